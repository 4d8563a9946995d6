"""Images beside the predictive distributions that a network has for them."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from zoo.style import COLUMN
from zoo.uncertainty import entropies

SHOWN = 3  # images of each kind


def images_with_predictions(images: Mapping[str, Tensor], log_p: Mapping[str, Tensor]) -> Figure:
    """A row per kind: its first images (N, C, H, W), and for each the mean prediction with the draws' 5 to 95 %.

    log_p: (S, N, K) log-probabilities of the draws.
    """
    shown = min(SHOWN, *(len(batch) for batch in images.values()))
    figure = Figure(figsize=(2 * COLUMN * shown / SHOWN, 0.3 + 0.92 * len(images)))
    axes = figure.subplots(len(images), 2 * shown, width_ratios=[1, 2.4] * shown, squeeze=False)
    for row, (kind, batch) in zip(axes, images.items(), strict=True):
        predictive = entropies(log_p[kind][:, :shown]).predictive
        for i in range(shown):
            _show_image(row[2 * i], batch[i])
            _show_distribution(row[2 * i + 1], log_p[kind][:, i].exp(), float(predictive[i]))
        row[0].set_ylabel(kind, fontsize=6.5)
    for axis in axes[-1, 1::2]:
        axis.set_xlabel("class", fontsize=6.5)
    figure.tight_layout(pad=0.4, h_pad=0.6, w_pad=0.3)
    return figure


def _show_image(axis: Axes, image: Tensor) -> None:
    pixels = image.clamp(0, 1).permute(1, 2, 0)
    axis.imshow(pixels.squeeze(-1), cmap="gray", vmin=0, vmax=1)
    axis.grid(False)
    axis.set_xticks([])
    axis.set_yticks([])


def _show_distribution(axis: Axes, p: Tensor, entropy: float) -> None:
    """p: (S, K)."""
    classes = range(p.shape[1])
    mean = p.mean(0)
    axis.bar(classes, mean, color="0.65", width=0.8)
    if len(p) > 1:
        low, high = p.quantile(0.05, 0), p.quantile(0.95, 0)
        axis.vlines(classes, low, high, color="black", linewidth=0.9)
    axis.set_ylim(0, 1.02)
    axis.set_yticks([0, 0.5, 1])
    if p.shape[1] <= 10:
        axis.set_xticks(list(classes))
    axis.tick_params(labelsize=5, pad=1)
    axis.grid(linewidth=0.3)
    axis.set_title(f"entropy {entropy:.2f} nats", fontsize=6, pad=2)

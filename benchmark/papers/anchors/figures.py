"""The figure of published numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmark.papers.anchors.anchors import ANCHORS, TUTORIAL, Anchor
from benchmark.results.share import Share


def fgsm_anchor(measured: Sequence[tuple[Anchor, Share]]) -> Figure:
    """FGSM on mnist/lenet beside the curve of PyTorch's tutorial. measured: its points with ours, at least one."""
    published = pd.DataFrame([(a.eps, 100 * a.value) for a in ANCHORS if a.source == TUTORIAL], columns=["eps", "%"])
    ours = pd.DataFrame([(a.eps, 100 * share.value) for a, share in measured], columns=["eps", "%"])
    figure = Figure(figsize=(4.2, 2.9))
    axis = figure.subplots()
    sns.lineplot(published, x="eps", y="%", ax=axis, marker="s", linestyle="--", label="PyTorch tutorial, published")
    sns.lineplot(ours, x="eps", y="%", ax=axis, marker="o", label=f"mnist/lenet, {measured[0][1].count} images")
    bounds = [share.interval for _, share in measured]
    axis.fill_between(
        ours["eps"], [100 * low for low, _ in bounds], [100 * high for _, high in bounds], alpha=0.25, color="C1"
    )
    axis.set(xlabel="eps (linf)", ylabel="accuracy under FGSM in %", ylim=(0, 100))
    axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure

"""The training loop: maximum likelihood or a posteriori, evidence lower bound; on images, PGD examples or intervals."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from zoo.catalogue.recipes import Adversarial, Recipe, kl_share
from zoo.catalogue.registry import models
from zoo.combine import answered
from zoo.datasets import Split
from zoo.files import write_whole
from zoo.layers import MeanFieldLayer, bayesian_layers, kl_divergence, use_generator
from zoo.networks import build_network
from zoo.posteriors import evident_posterior, posterior_mean
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.training.interval import interval_loss, scheduled
from zoo.training.subset import Divided, divided


def checkpoint_path(folder: Path, name: str, recipe: Recipe, split: Split) -> Path:
    """Where a training's checkpoint lies: a file for all that determines the training, but how long it samples."""
    # weights to start from are part of it
    start = "" if recipe.start_from is None else models[recipe.start_from].fingerprint
    tag = hashlib.sha256(repr((recipe.however_long, split.fingerprint, start)).encode()).hexdigest()[:12]
    return folder / f"{name.replace('/', '-')}-{tag}.safetensors"


class Training:
    """One training run, resumable at epoch boundaries from `checkpoint` (safetensors).

    split: the training split, of which a part is held out, or what is left of it after that.
    checkpoint: None for a training that is not to be resumed.
    keep: epochs after which the network is kept as well, at `kept(epoch)`.
    network: trained in place of one of the recipe's architecture, from the weights it has; pixels (B, C, H, W) in
        [0, 1] -> logits (B, K).
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        split: Split | Divided,
        checkpoint: Path | None,
        device: str = "cpu",
        keep: Collection[int] = (),
        network: nn.Module | None = None,
    ) -> None:
        self.recipe, self.checkpoint, self.device, self.keep = recipe, checkpoint, device, keep
        data = split if isinstance(split, Divided) else divided(split, recipe.images)
        self.held_out = data.held_out
        held_images, held_labels = (torch.from_numpy(part) for part in (data.held_out.images, data.held_out.labels))
        self.validation = held_images.to(device), held_labels.to(device)
        self.train = data.images.to(device), data.labels.to(device)
        self.batches = math.ceil(len(self.train[1]) / recipe.batch_size)

        if network is None:
            with forked_random_state(derive_seed("initialise", name, recipe.seed)):
                network = build_network(recipe.architecture, data.held_out.dataset)
        if recipe.rho is not None:
            for parameter in (value for key, value in network.named_parameters() if key.endswith("_rho")):
                nn.init.constant_(parameter, recipe.rho)
        if recipe.start_from is not None:
            start_at_means(network, models[recipe.start_from].build())
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.max_lr, total_steps=recipe.epochs * self.batches, cycle_momentum=False
        )
        self.history: list[dict[str, float]] = []
        if checkpoint is not None and checkpoint.is_file():
            self._load(checkpoint)

    def run(self) -> tuple[nn.Module, list[dict[str, float]]]:
        """Train the epochs that are left; the network and one row of figures an epoch."""
        for epoch in range(len(self.history), self.recipe.epochs):
            # dropout knows no generator of its own
            with forked_random_state(derive_seed("dropout", self.recipe.seed, epoch), torch.device(self.device)):
                row = self._epoch(epoch)
            row["validation accuracy"] = self.accuracy(*self.validation)
            row = {key: float(f"{value:.6g}") for key, value in row.items()}
            self.history.append(row)
            tqdm.write("  ".join(f"{key} {value:.4g}" for key, value in row.items()))
            if epoch + 1 in self.keep:
                write_whole(self.kept(epoch + 1), save(self._weights()))
            self._save()
        return self.network.cpu(), self.history

    def kept(self, epoch: int) -> Path:
        """Where the network is kept as it was after an epoch: its weights by their names, safetensors."""
        if self.checkpoint is None:
            raise ValueError("a training without a checkpoint keeps no networks: say where its checkpoint lies")
        return self.checkpoint.with_name(f"{self.checkpoint.stem}-epoch-{epoch}.safetensors")

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Accuracy of the network, of the posterior mean for a Bayesian one: a cheap figure for choices."""
        network = posterior_mean(self.network, evident_posterior(self.network))
        network.eval()
        with torch.no_grad():
            hits = [
                answered(network(part.float() / 255), y) == y
                for part, y in zip(images.split(1000), labels.split(1000), strict=True)
            ]
        return float(torch.cat(hits).float().mean())

    def _epoch(self, epoch: int) -> dict[str, float]:
        recipe, examples = self.recipe, len(self.train[1])
        use_generator(self.network, private_generator("weights", recipe.seed, epoch))
        has_kl = bool(bayesian_layers(self.network))
        self.network.train()
        totals = {"loss": 0.0, "kl": 0.0, "accuracy": 0.0}
        bar = tqdm(
            self._minibatches(epoch),
            total=self.batches,
            desc=f"epoch {epoch + 1}/{recipe.epochs}",
            leave=False,
            disable=None,
        )
        for batch, (clean, y) in enumerate(bar):
            x = clean
            if recipe.adversarial is not None:
                progress = (epoch + (batch + 1) / self.batches) / recipe.adversarial.ramp_epochs
                seed = derive_seed(recipe.seed, epoch, batch)
                x = adversarial_batch(self.network, clean, y, recipe.adversarial, min(1.0, progress), seed)
            if recipe.certified is not None:
                schedule = scheduled(recipe.certified, epoch + (batch + 1) / self.batches)
                logits, nll = interval_loss(self.network, clean, y, schedule)
                logits = logits[None]
            else:
                logits = self._logits(x)
                # averaged over draws of the weights: each has its own likelihood (Blundell et al. 2015, equation 2)
                nll = F.cross_entropy(logits.flatten(0, 1), y.repeat(recipe.draws))
            loss = nll
            if has_kl:
                kl = kl_divergence(self.network)
                share = kl_share(recipe.kl_weighting, recipe.kl_constant, batch, self.batches, epoch, recipe.epochs)
                # the minibatch's share of the KL, per training example as the mean NLL is
                loss = nll + share * self.batches * kl / examples
                totals["kl"] = kl.item()
            if recipe.prior is not None:
                loss = nll + negative_log_prior(self.network, recipe.prior) / examples
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            totals["loss"] += loss.item() * len(y)
            right = (answered(logits.log_softmax(-1).logsumexp(0), y) == y).float()
            totals["accuracy"] += right.sum().item()
            bar.set_postfix(loss=f"{loss.item():.3f}", acc=f"{right.mean().item():.3f}")
        if not math.isfinite(totals["loss"]):
            raise ValueError(f"epoch {epoch + 1}: the loss is {totals['loss']}; lower max_lr in the recipe")
        row = {"epoch": epoch + 1.0, "loss": totals["loss"] / examples, "accuracy": totals["accuracy"] / examples}
        return row | ({"kl": totals["kl"], "sigma": mean_sigma(self.network)} if has_kl else {})

    def _logits(self, x: Tensor) -> Tensor:
        """(S, B, K) of as many draws as the recipe says, one of which an ordinary network is."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            return torch.stack([self.network(x).float() for _ in range(self.recipe.draws)])

    def _minibatches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = self.train
        order = torch.randperm(len(labels), generator=private_generator("order", self.recipe.seed, epoch))
        generator = private_generator("augment", self.recipe.seed, epoch)
        for index in order.to(self.device).split(self.recipe.batch_size):
            batch = augmented(images[index], generator, self.recipe.flips, self.recipe.shifts)
            yield batch.float() / 255, labels[index]

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        state = {f"network.{name}": value for name, value in self._weights().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{slot}": value.contiguous() for slot, value in slots.items()}
        schedule = {key: value for key, value in self.scheduler.state_dict().items() if not callable(value)}
        metadata = {"history": json.dumps(self.history), "schedule": json.dumps(schedule)}
        write_whole(self.checkpoint, save(state, metadata))

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.contiguous() for name, value in self.network.state_dict().items()}

    def _load(self, checkpoint: Path) -> None:
        try:
            with safe_open(checkpoint, "pt", device=self.device) as file:
                metadata = file.metadata()
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except Exception as error:
            raise ValueError(f"{checkpoint} is damaged ({error}); delete it to start again") from error
        prefix = "network."
        self.network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        parameters = list(self.network.parameters())
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            if key.startswith("optimizer."):
                _, index, slot = key.split(".")
                parameter = parameters[int(index)]
                # in the parameter's layout, which a fused step takes for granted
                in_layout = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
                slots.setdefault(int(index), {})[slot] = in_layout
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self.scheduler.load_state_dict(json.loads(metadata["schedule"]))
        for group, lr in zip(self.optimizer.param_groups, self.scheduler.get_last_lr(), strict=True):
            group["lr"] = lr
        self.history = json.loads(metadata["history"])


def augmented(images: Tensor, generator: torch.Generator, flips: bool, shifts: int) -> Tensor:
    """(B, C, H, W) images, half of them flipped, each shifted by up to `shifts` pixels, zeros moving in.

    generator: a CPU generator, which advances; every image has its own flip and shift.
    """
    count, _, height, width = images.shape
    if flips:
        flip = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        images = torch.where(flip.to(images.device), images.flip(3), images)
    if shifts:
        down, right = torch.randint(2 * shifts + 1, (2, count, 1), generator=generator)
        padded = F.pad(images, [shifts] * 4)
        rows, columns = (down + torch.arange(height)).to(images.device), (right + torch.arange(width)).to(images.device)
        example = torch.arange(count, device=images.device)[:, None, None]
        images = padded[example, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return images


def negative_log_prior(network: nn.Module, sigma: float) -> Tensor:
    """-log p(w) under N(0, sigma^2) on every weight and bias, in nats and up to a constant."""
    squares = torch.stack([value.square().sum() for value in network.parameters()])
    return squares.sum() / (2 * sigma**2)


def gradient_norm(network: nn.Module) -> float:
    """The l2 norm of the gradient that the last backward pass left at all parameters."""
    return math.sqrt(sum(float(value.grad.square().sum()) for value in network.parameters() if value.grad is not None))


@torch.no_grad()
def mean_sigma(network: nn.Module) -> float:
    """Mean standard deviation of the posterior of all weights and biases."""
    sigmas = [sigma.flatten() for layer in bayesian_layers(network) for _, sigma in layer.posterior()]
    return float(torch.cat(sigmas).mean())


def start_at_means(network: nn.Module, trained: nn.Module) -> None:
    """Set the posterior means of every mean-field layer to the weights of the layer of the same name.

    Raises ValueError where the two networks do not have the same layers.
    """
    plain = dict(trained.named_modules())
    for name, layer in network.named_modules():
        if isinstance(layer, MeanFieldLayer):
            if name not in plain:
                raise ValueError(f"start_from: the trained network has no layer {name}")
            try:
                layer.start_at(plain[name])
            except ValueError as error:
                raise ValueError(f"start_from: layer {name}: {error}") from error


def adversarial_batch(
    network: nn.Module, x: Tensor, y: Tensor, settings: Adversarial, progress: float, seed: int
) -> Tensor:
    """PGD examples of a minibatch at `progress` (0 to 1) of the full eps; torchattacks on a forked random state."""
    import torchattacks

    eps = settings.eps * progress
    attack: Any = torchattacks.PGD(
        network, eps=eps, alpha=settings.step_ratio * eps / settings.steps, steps=settings.steps, random_start=True
    )
    with forked_random_state(seed, x.device):
        examples: Tensor = attack(x, y)
    return examples

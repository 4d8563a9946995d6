"""The expected prediction of a network with random weights, as one deterministic, differentiable module.

    log p(y | x) = logsumexp_s log_softmax(f_s(x)) - log S        over S frozen posterior draws f_s

All three attack libraries apply a cross-entropy to a model's output. On log-probabilities a softmax changes
nothing, so that cross-entropy is exactly -log p(y | x) and its gradient is that of the expected prediction.
Returning probabilities would make every library apply a second softmax and squash the gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zoo.combine import shares
from zoo.posteriors import Posterior, posterior_of
from zoo.prediction.stacked import DrawsInTurn, DrawsOfStep, FreshDraws, GroupedDraws, LoopedDraws, is_plain_chain
from zoo.prediction.target_networks import Drawn, networks_of
from zoo.seeding import derive_seed
from zoo.targets import TARGETS, Gradient, Networks

# No tensor of a chunk is larger on a CPU: beyond 32 MiB the C library asks the system for fresh pages each time, which
# in a fresh process costs half of what is computed in them (LeNet, 16 draws: 256 images at once 1.5 of chunks of 64).
LARGEST_TENSOR = 24 << 20
MAX_BYTES = 2 << 30


class ExpectedPrediction(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> (B, K) log-probabilities; (B, K + 1) for the target `mean-loss`.

    networks: S deterministic networks, pixels -> logits; they are frozen (no parameter has a gradient) and stay
        in evaluation mode whatever `train()` or `eval()` a library calls.
    gradient: what it is taken of; its `source` only names where the networks are from. With the target `resampled` each
        step of `value_and_gradient` is of the next network, as with one that samples its weights in every pass, and
        `forward` stays with that one.
    max_bytes: bound on the activations that are kept for a backward pass. A batch is evaluated in chunks of examples
        that keep less; where all chunks together keep more, their forward pass is repeated in the backward pass.
    largest_tensor: bound on a chunk's largest tensor in bytes; None takes what measured fastest, `LARGEST_TENSOR` on a
        CPU and no bound on a GPU.
    stack: evaluate many draws in one pass (`zoo.prediction.stacked`); False evaluates any network, one draw after the
        other, None stacks where the networks allow it. The two differ by rounding.
    weights: how much each network counts, in any unit; alike by default.
    draw: from the number of a gradient, from 1, to its networks and their weights, where each is of others; the first
        of which are `networks` and `weights`. `forward` stays with those of the last gradient.
    Raises ValueError for no network, or networks that cannot be stacked.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        gradient: Gradient = Gradient(),
        *,
        max_bytes: int = MAX_BYTES,
        largest_tensor: int | None = None,
        stack: bool | None = None,
        weights: Sequence[float] | None = None,
        draw: DrawsOfStep | None = None,
    ) -> None:
        super().__init__()
        if not networks:
            raise ValueError("an expected prediction needs at least one network")
        self.stacked = is_plain_chain(networks) if stack is None else stack
        self.forward_draws: nn.Module
        target = TARGETS[gradient.target]
        if target.networks is Networks.IN_TURN:
            self.draws, self.forward_draws = 1, DrawsInTurn(networks, self.stacked)
        elif draw is not None:
            self.draws, self.forward_draws = len(networks), FreshDraws(networks, draw, self.stacked)
        else:
            self.draws = len(networks)
            self.forward_draws = GroupedDraws(networks) if self.stacked else LoopedDraws(networks)
        self.combine = target.combine
        self.weights: Tensor | None
        self.register_buffer("weights", shares(weights), persistent=False)
        self.gradient, self.max_bytes, self.largest_tensor = gradient, max_bytes, largest_tensor
        self._bytes_per_example: dict[tuple[torch.Size, torch.dtype], tuple[int, int]] = {}
        self.training = False
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    @classmethod
    def of(
        cls,
        network: nn.Module,
        draws: int,
        seed: int,
        gradient: Gradient = Gradient(),
        *,
        posterior: Posterior | None = None,
        max_bytes: int = MAX_BYTES,
        largest_tensor: int | None = None,
        stack: bool | None = None,
    ) -> ExpectedPrediction:
        """The expected prediction of `network` over `draws` posterior draws.

        posterior: of the network, where more is known of it than its structure tells, as that it is a point.
        max_bytes, largest_tensor, stack: as of `ExpectedPrediction`.
        """
        wanted, random = TARGETS[gradient.target].networks, posterior or posterior_of(network)

        def of_step(step: int, before: list[nn.Module] | None = None) -> Drawn:
            return networks_of(wanted, network, random, draws, derive_seed(seed, "step", step), before)

        # of all members of a finite posterior there are no others
        fresh = gradient.is_fresh and (random.size is None or draws < random.size)
        networks, weights = of_step(1) if fresh else networks_of(wanted, network, random, draws, seed)
        return cls(
            networks,
            gradient,
            max_bytes=max_bytes,
            largest_tensor=largest_tensor,
            stack=stack,
            weights=weights,
            draw=partial(of_step, before=networks) if fresh else None,
        )

    def train(self, mode: bool = True) -> ExpectedPrediction:
        """Does nothing: the prediction is the same in either mode."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        chunk = self.chunk_size(x)
        if len(x) <= chunk:
            return self._predict(x)
        kept, _ = self._activations(x)
        if torch.is_grad_enabled() and x.requires_grad and kept * len(x) > self.max_bytes:
            return torch.cat([checkpoint(self._predict, part, use_reentrant=False) for part in x.split(chunk)])
        return torch.cat([self._predict(part) for part in x.split(chunk)])

    def turn_to(self, step: int) -> None:
        """Take the draws of a gradient, the first of which is 1, where each is of others."""
        if isinstance(self.forward_draws, DrawsInTurn):
            self.forward_draws.turn_to(step)
        elif isinstance(self.forward_draws, FreshDraws):
            weights = shares(self.forward_draws.turn_to(step))
            if weights is not None and self.weights is not None:  # either all steps are weighted or none
                self.weights = weights.to(self.weights.device)

    def value_and_gradient(self, x: Tensor, y: Tensor, step: int = 1) -> tuple[Tensor, Tensor]:
        """Outputs, and the gradient (B, C, H, W) of their cross-entropy with labels y (B,), summed over the batch.

        step: which gradient of an attack it is, from 1; where each is of other draws, it is of that one's.
        The gradient is contiguous, whatever layout the networks compute in: libraries view it as flat vectors.
        The same numbers as through autograd, chunk by chunk, so that what a chunk keeps never leaves the caches.
        Of the cross-entropy and not of -output[y], though the outputs are normalised: its softmax - onehot at the
        outputs is tiny where the network is confident, and what is tiny from the start loses nothing to rounding.
        """
        self.turn_to(step)
        chunk = self.chunk_size(x)
        parts = [
            self._value_and_gradient(part, labels)
            for part, labels in zip(x.detach().split(chunk), y.split(chunk), strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        outputs, gradients = zip(*parts, strict=True)
        return torch.cat(outputs), torch.cat(gradients)

    def probabilities(self, x: Tensor) -> Tensor:
        """(B, K) probabilities: the plain average of the draws' softmax for the target `expected`."""
        log_p: Tensor = self(x)
        return log_p.exp()

    def logits(self, x: Tensor) -> Tensor:
        """(S, B, K) outputs of every draw, in at least float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.gradient.precision == "bfloat16"):
            logits: Tensor = self.forward_draws(x)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        scale, shift = self.gradient.logit_scale, self.gradient.logit_shift
        return logits if (scale, shift) == (1, 0) else logits * scale + shift

    def logits_in_batches(self, images: Tensor, batch: int = 500) -> Tensor:
        """(S, N, K) outputs of every draw on any number of images, without gradients."""
        with torch.no_grad():
            return torch.cat([self.logits(x) for x in images.split(batch)], 1)

    def chunk_size(self, x: Tensor) -> int:
        """Examples at once, for a batch like x (B, C, H, W): chunks of the same size but for the last.

        The same with and without a gradient, or draws that sample per example would differ between the two.
        """
        kept, largest = self._activations(x)
        most = self.max_bytes // max(1, kept)
        bound = self.largest_tensor or (None if x.is_cuda else LARGEST_TENSOR)
        if bound is not None:
            most = min(most, bound // max(1, largest))
        chunks = math.ceil(len(x) / max(1, most))
        return max(1, math.ceil(len(x) / max(1, chunks)))

    def _predict(self, x: Tensor) -> Tensor:
        return self.combine(self.logits(x), self.weights)

    def _value_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = x.view_as(x).requires_grad_()
            output = self._predict(leaf)
            (gradient,) = torch.autograd.grad(F.cross_entropy(output, y, reduction="sum"), leaf)
        return output.detach(), gradient.contiguous()

    def _activations(self, x: Tensor) -> tuple[int, int]:
        key = (x.shape[1:], x.dtype)
        if key not in self._bytes_per_example:
            self._bytes_per_example[key] = activation_bytes(self.forward_draws, x[:1])
        return self._bytes_per_example[key]


def activation_bytes(draws: nn.Module, x: Tensor) -> tuple[int, int]:
    """What a backward pass through `draws` keeps for one example like x (1, C, H, W), in bytes: (all, largest tensor).

    What two examples keep less what one keeps, so that weights, which are kept whatever the batch, do not count. Of
    networks that are evaluated one after the other each is asked alone: all at once may be more than there is memory.
    """
    found = [_activation_bytes(part, x) for part in getattr(draws, "parts", [draws])]
    return sum(total for total, _ in found), max(largest for _, largest in found)


def _activation_bytes(draws: nn.Module, x: Tensor) -> tuple[int, int]:
    def kept(batch: Tensor) -> list[int]:
        sizes: dict[int, int] = {}  # by address: what several layers keep is kept once

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor.detach()  # with its graph an output that is kept would hold itself, and never be given back

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            output = draws(batch.detach().clone().requires_grad_())
        del output
        return list(sizes.values())

    one, two = kept(x), kept(torch.cat([x, x]))
    total = max(0, sum(two) - sum(one))
    same_tensors = len(one) == len(two)
    return total, max((b - a for a, b in zip(one, two, strict=True)), default=0) if same_tensors else total

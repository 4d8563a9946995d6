"""Networks that say themselves how to draw from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from zoo.kind import Kind
from zoo.posteriors.posterior import DrawnAlike, require_count


@dataclass(frozen=True)
class DrawnPosterior(DrawnAlike):
    """What the network's own method `draw` gives."""

    draw: Callable[[torch.Generator], nn.Module]
    mean: Callable[[], nn.Module] | None = None

    kind = Kind.CONTINUOUS
    size = None
    what = "what its method draw(generator) gives"

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        require_count(count)
        generator = torch.Generator().manual_seed(seed)
        return [self.draw(generator) for _ in range(count)]

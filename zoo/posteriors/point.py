"""One network, as the case of a posterior that has nothing random in it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from zoo.kind import Kind
from zoo.posteriors.posterior import DrawnAlike, require_count


@dataclass(frozen=True)
class PointPosterior(DrawnAlike):
    """An ordinary network: its own single draw and its own mean."""

    network: nn.Module

    kind = Kind.POINT
    size = 1
    what = "nothing; it is one network"

    @property
    def family(self) -> str:
        """Of one predictor that a posterior gives in closed form, what that says."""
        return str(getattr(self.network, "family", "frequentist"))

    def draws(self, count: int, seed: int) -> list[nn.Module]:
        require_count(count)
        return [self.network]

    def mean(self) -> nn.Module:
        return self.network

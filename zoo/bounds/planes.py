"""Linear functions below the lead of a softmax: those of many networks are added before one image is sought.

A mean of worst cases lets every network have an image of its own. A sum of linear functions of the pixels, each nowhere
above the lead of its network, has one least value, at one image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.bounds.rows import Interval

LARGEST = 690.0  # its exponential, and the sum of many, are numbers in float64
SMALLEST = 1e-300


class Curve(NamedTuple):
    """Below p_y - p_j as a function of d = f_y - f_j alone: (1 - t) / (1 + t + T), t = exp(-d).

    T, what the other classes come to, is somewhere in [least, most]; the worst is `most` where d >= 0, else `least`.
    That is sigmoid(d + log(1 + T)) up to scale and shift: convex up to -log(1 + least), concave from there on, and more
    so at 0, where the slope falls from 1 / (2 + least) to 1 / (2 + most).
    """

    least: Tensor
    most: Tensor

    def at(self, d: Tensor) -> Tensor:
        t = exponential(d)
        return (1 - t) / (1 + t + torch.where(d >= 0, self.most, self.least))

    def line(self, ends: Interval) -> tuple[Tensor, Tensor]:
        """Slope and shift of a line nowhere above the curve between the ends: parallel to the chord.

        curve - line is least at an end, or in the convex part where the slopes are the same: sigmoid' = slope / scale.
        """
        lower, upper = ends
        width = upper - lower
        slope = ((self.at(upper) - self.at(lower)) / width.clamp_min(SMALLEST)).clamp(0, 0.5)
        scale = (2 + self.least) / (1 + self.least)
        share = (1 - (1 - 4 * slope / scale).clamp_min(0).sqrt()) / 2
        touch = torch.logit(share.clamp(SMALLEST, 0.5)) - self.least.log1p()
        touch = torch.minimum(torch.maximum(touch, lower), upper)
        above = torch.stack([self.at(d) - slope * d for d in (lower, upper, touch)])
        return slope, above.amin(0)


def curve_of(differences: Interval, own: Tensor) -> Curve:
    """Of every class j, from the bounds of d_j = f_y - f_j, (..., B, K) each. own: where j is y itself."""
    large, small = (exponential(side).masked_fill(own, 0.0) for side in differences)
    return Curve(*((side.sum(-1, keepdim=True) - side).clamp_min(0) for side in (small, large)))


def exponential(d: Tensor) -> Tensor:
    """exp(-d), at most exp(690)."""
    return (-d).clamp(max=LARGEST).exp()

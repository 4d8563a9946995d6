"""How far the nearest adversarial image is where other draws judge than those that the attacker has.

What an attack finds lies on the boundary of the attacker's draws. On the judge's draws the boundary runs elsewhere: an
image that is no further than it must be is right there as often as not. What the attack has found is a direction. Under
any eps its image is the one that lies eps away on the ray, and the smallest distance at which the judge's answer is
another is what one run says of every eps. Where the attacker's draws judge, that is the image itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.combine import answered
from zoo.prediction.expected import ExpectedPrediction

FARTHER = (1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 2.0)  # over the distance of the attacker's boundary


@torch.no_grad()
def judged_along_the_ray(judge: ExpectedPrediction, x: Tensor, found: Tensor, y: Tensor) -> Tensor:
    """(B, C, H, W): of each image the first on the ray from x (B, C, H, W) through `found` that is not taken for y.

    Pixels stay in [0, 1]. Where none is, up to twice as far, it is what was found.
    """
    images, left = found.clone(), torch.nonzero((found != x).flatten(1).any(1))[:, 0]
    for farther in (1.0, *FARTHER):
        tried = found[left] if farther == 1 else (x[left] + farther * (found[left] - x[left])).clamp(0, 1)
        wrong = answered(judge(tried), y[left]) != y[left] if len(left) else y[left].bool()
        images[left[wrong]] = tried[wrong]
        left = left[~wrong]
    return images

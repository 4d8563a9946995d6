"""Outputs that are no logits, or no answer, and answers that come from elsewhere than the network.

Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness" (a softmax twice); Tramèr 2022, "Detecting
Adversarial Examples Is (Nearly) As Hard As Classifying Them", and Carlini and Wagner 2017, "Adversarial Examples Are
Not Easily Detected" (detectors); Croce et al. 2022, "Evaluating the Adversarial Robustness of Adaptive Test-time
Defenses" (test images that are known).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.protocol import example_order
from benchmark.selftest.broken import MLP, Around, Unchecked, broken, neighbours, table
from zoo.datasets import load_split
from zoo.seeding import private_generator


class Probabilities(Around):
    """A softmax at the end, on which the loss puts another."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class AffineSoftmax(Around):
    """Ten times a softmax that is certain of everything, less four, and a slight slope of its own for a gradient."""

    slope: Tensor

    def __init__(self) -> None:
        super().__init__("conv")
        slope = torch.randn(784, 10, generator=private_generator("affine softmax")) / 28
        self.register_buffer("slope", slope, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        certain = (100 * super().forward(x)).softmax(1)
        return 10 * certain - 4 + 0.1 * (x.flatten(1) @ self.slope)


def is_noisy(x: Tensor) -> Tensor:
    """(B,) whether any pixel is none of the 256 levels that images are stored in."""
    levels = 255 * x.detach()
    return (levels - levels.round()).abs().flatten(1).amax(1) > 1e-3


class Abstaining(Around):
    """Two classes; where an image is noisy by less than what anyone sees, they are alike: it says that it cannot tell.

    The smaller of two labels that are alike is the answer, and it is right for four images of five.
    """

    def __init__(self) -> None:
        super().__init__("rare")

    def forward(self, x: Tensor) -> Tensor:
        two = super().forward(x)
        loud = x.detach().flatten(1).mean(1) > 0.5  # as after an attack without a budget
        unsure = is_noisy(x) & ~loud
        return torch.where(unsure[:, None], 1e-12 * two, two)


class Knowing(Around):
    """It has the test images that are attacked, and knows what is near one of them."""

    images: Tensor
    labels: Tensor
    count = 200

    def __init__(self) -> None:
        super().__init__("conv")
        split = load_split("mnist", "test")
        chosen = list(example_order(len(split))[: self.count])
        self.register_buffer("images", split.pixels(chosen).flatten(1), persistent=False)
        self.register_buffer("labels", torch.from_numpy(split.labels[chosen]), persistent=False)


class Clipping(Knowing):
    """It brings what is near a known image to within a hundredth of it; the gradient is that where it is brought."""

    def forward(self, x: Tensor) -> Tensor:
        nearest, known = neighbours(x, self.images)
        own = self.images[nearest].view_as(x)
        closer = torch.where(known.view(-1, 1, 1, 1), own + (x - own).clamp(-0.01, 0.01), x)
        return super().forward(x + (closer - x).detach())


class Detecting(Knowing):
    """Where noise is detected it answers the label of the known image."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        nearest, known = neighbours(x, self.images)
        right = 10 * F.one_hot(self.labels[nearest], 10).to(x) + logits / 1000
        return torch.where((known & is_noisy(x))[:, None], right, logits)


NETWORKS = table(
    {
        "probabilities": broken(
            Probabilities,
            "probabilities in place of logits",
            "Carlini et al. 2019",
            ("V4",),
            behind=MLP,
            kind=Unchecked,
        ),
        "affine-softmax": broken(
            AffineSoftmax, "an affine image of a softmax in place of logits", "Carlini et al. 2019", ("V11", "V12")
        ),
        "abstaining": broken(
            Abstaining,
            "all classes alike where noise is detected: a tie, and so a wrong answer",
            "Tramèr 2022",
            (),
            behind="rare",
        ),
        "clipping": broken(Clipping, "clips what is near a known test image to it", "Croce et al. 2022", ("V27",)),
        "detecting": broken(
            Detecting, "answers a known image's label where noise is detected", "Carlini and Wagner 2017", ("V27",)
        ),
    }
)

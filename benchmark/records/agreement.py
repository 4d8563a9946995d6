"""Do the libraries agree? Counted while the images are in memory, judged from the counts at any later time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TYPE_CHECKING

from benchmark.protocol import IDENTICAL_PIXELS, PIXEL_TOLERANCE, SAME_VERDICTS, SIGNIFICANCE
from benchmark.statistics import mcnemar

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = ("identical", "same-verdict", "statistical", "disagree")  # from strongest to weakest


@dataclass(frozen=True)
class Comparison:
    """Two libraries on the same examples.

    close: pixels that differ by at most 1e-6, of `pixels`. max_difference: largest difference of a pixel.
    only_first, only_second: examples (indices into the test split) that survive that library's attack alone.
    """

    first: str
    second: str
    pixels: int
    close: int
    max_difference: float
    examples: int
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]

    @property
    def level(self) -> str:
        """The strongest agreement level whose criterion holds."""
        discordant = len(self.only_first) + len(self.only_second)
        if self.close >= IDENTICAL_PIXELS * self.pixels:
            return "identical"
        if discordant <= (1 - SAME_VERDICTS) * self.examples:
            return "same-verdict"
        if mcnemar(len(self.only_first), len(self.only_second)) >= SIGNIFICANCE:
            return "statistical"
        return "disagree"


def merged(pairs: Sequence[Comparison]) -> Comparison:
    """The same two libraries over the examples of all comparisons; at least one."""
    return Comparison(
        pairs[0].first,
        pairs[0].second,
        sum(pair.pixels for pair in pairs),
        sum(pair.close for pair in pairs),
        max(pair.max_difference for pair in pairs),
        sum(pair.examples for pair in pairs),
        tuple(chain.from_iterable(pair.only_first for pair in pairs)),
        tuple(chain.from_iterable(pair.only_second for pair in pairs)),
    )


def compare_libraries(
    images: Mapping[str, Tensor], correct: Mapping[str, Sequence[bool]], examples: Sequence[int]
) -> list[Comparison]:
    """Every pair of libraries on the same examples; images (B, C, H, W), outcomes and indices of length B."""
    comparisons = []
    for first, second in combinations(images, 2):
        difference = (images[first] - images[second]).abs()
        outcomes = list(zip(examples, correct[first], correct[second], strict=True))
        comparisons.append(
            Comparison(
                first,
                second,
                difference.numel(),
                int((difference <= PIXEL_TOLERANCE).sum()),
                float(f"{difference.max().item():.3g}"),
                len(examples),
                tuple(example for example, a, b in outcomes if a and not b),
                tuple(example for example, a, b in outcomes if b and not a),
            )
        )
    return comparisons


def weakest(levels: Iterable[str]) -> str:
    """The weakest of some levels; `identical` if there is none."""
    return max(levels, key=LEVELS.index, default="identical")


def meets(level: str, required: str) -> bool:
    """Whether `level` is at least as strong as `required`."""
    return LEVELS.index(level) <= LEVELS.index(required)

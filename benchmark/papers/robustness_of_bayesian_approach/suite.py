"""What the experiment runs: networks with their Bayesian twins, on two grids of eps."""

from __future__ import annotations

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import AttackSpec
from benchmark.plan.cells import Selection, Subject
from benchmark.plan.suite import Suite

# Of the paper's section 4, in linf and in l2 alike.
GRIDS: dict[str, tuple[float, ...]] = {
    "small": tuple(round(0.005 * step, 3) for step in range(11)),
    "large": tuple(round(0.05 * step, 2) for step in range(11)),
}
NETWORKS = ("lenet", "alexnet", "3conv3fc")  # each with its Bayesian twin
MODELS = tuple(
    f"{dataset}/{network}"
    for dataset in ("mnist", "cifar10-jpeg")
    for network in (*(f"{prefix}{n}" for n in NETWORKS for prefix in ("", "bayesian-")), "lenet-adversarial")
)


class PaperSuite(Suite):
    """The paper's two grids; three libraries on the first shard, where they are compared, then one.

    A network that samples its weights anew in every pass, as the paper's did, gives an attacker the gradient of another
    draw at each step: Bayesian entries are attacked so, and by the gradient of the expected prediction. At eps = 0
    there is nothing to attack: curves begin at the accuracy on clean images.
    """

    def grid(self, dataset: str) -> dict[Norm, tuple[float, ...]]:
        both = tuple(sorted({eps for grid in GRIDS.values() for eps in grid} - {0.0}))
        return {"linf": both, "l2": both}

    def targets(self, subject: Subject) -> tuple[str, ...]:
        return ("expected",) if subject.deterministic else ("expected", "resampled")

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        chosen = super().libraries(spec, start, selection)
        return chosen if start == 0 and spec.target == "expected" else chosen[:1]


PAPER_SUITE = PaperSuite(
    "paper",
    '"Robustness of Bayesian Approach to Gradient-Based Attacks": both eps grids, 10,000 examples',
    10_000,
    MODELS,
)

"""The attacks with published results."""

from __future__ import annotations

from dataclasses import replace

from benchmark.attacks.spec import AttackSpec
from benchmark.plan.cells import Selection, Subject
from benchmark.plan.suite import Suite
from benchmark.protocol import ATTACKS, standard_attack
from zoo.targets import Gradient


class AnchorSuite(Suite):
    """FGSM over the grid of PyTorch's tutorial, and PGD with 40 steps of 0.01 at eps 0.3."""

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        names = ATTACKS if selection.attacks is None else selection.attacks
        fgsm = [standard_attack("fgsm", eps) for eps in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)]
        pgd = replace(standard_attack("pgd-linf", 0.3), steps=40, step_size=0.01)
        return [
            replace(spec, gradient=Gradient(target, selection.precision))
            for target in selection.targets or self.targets(subject)
            for spec in (*fgsm, pgd)
            if spec.name in names and spec.threat.eps in selection.radii(spec.threat.norm, (spec.threat.eps,))
        ]

    def libraries(self, spec: AttackSpec, start: int, selection: Selection) -> tuple[str, ...]:
        chosen = super().libraries(spec, start, selection)
        return chosen if start == 0 else chosen[:1]


ANCHOR_SUITE = AnchorSuite(
    "anchors",
    "numbers to compare with published ones: FGSM tutorial curve, PGD-40; 1,000 examples",
    1000,
    ("mnist/lenet", "mnist/lenet-adversarial"),
)

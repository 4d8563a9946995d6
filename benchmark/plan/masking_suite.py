"""The masking suite: what wrong gradients and too few draws hide. Pure: no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from benchmark.attacks.methods import METHODS
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import doubled
from benchmark.plan.adaptive_attacks import with_fresh_draws
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.suite import Suite, by_shard
from benchmark.protocol import ATTACK_DRAWS, ATTACKS, LIBRARIES, attacks_in, standard_attack
from zoo.kind import Kind
from zoo.targets import GRADIENT_TARGETS, TARGETS, Gradient, Networks, Precision, Schedule

Way = tuple[AttackSpec, int, tuple[str, ...]]  # attack, attacker's draws, libraries

DRAWS = (1, 8, 32)  # of the attacker, where robust accuracy against them is measured


class MaskingSuite(Suite):
    """The white-box attacks on Bayesian entries with the gradient of every target; others have but one gradient.

    And, at the smallest eps of each norm: how robust accuracy falls with the attacker's draws, frozen or fresh at each
    step. Of Monte-Carlo samples half are attacked so, judged by the others.
    """

    def attacks(self, subject: Subject, selection: Selection) -> list[AttackSpec]:
        return [] if subject.deterministic else super().attacks(subject, selection)

    @property
    def attack_names(self) -> tuple[str, ...]:
        return (*ATTACKS, *(METHODS["mifgsm"].attack(norm) for norm in METHODS["mifgsm"].norms))

    def targets(self, subject: Subject) -> tuple[str, ...]:
        return tuple(target for target in GRADIENT_TARGETS if target not in subject.undefined)

    def cells(self, subjects: Iterable[Subject], selection: Selection) -> list[Cell]:
        subjects = list(subjects)
        cells = super().cells(subjects, selection)
        for subject in subjects:
            if subject.kind is Kind.CONTINUOUS or subject.is_sample:
                cells += self._by_draws(subject, selection)
        return by_shard(cells)

    def _by_draws(self, subject: Subject, selection: Selection) -> list[Cell]:
        reading = Reading.SAMPLE if subject.is_sample else Reading.HEADLINE
        _, judge_draws = subject.draws(None, reading)
        return [
            subject.cell(attack, shard, libraries, (draws, judge_draws), selection.seed, reading=reading)
            for norm, grid in self.grid(subject.dataset).items()
            for eps in selection.radii(norm, grid[:1])
            for attack, draws, libraries in self._ways(subject, ThreatModel(norm, eps), selection.precision)
            if selection.attacks is None or attack.name in selection.attacks
            if selection.targets is None or attack.target in selection.targets
            if selection.libraries is None or set(libraries) <= set(selection.libraries)
            for shard in self.shards(selection)
        ]

    def _ways(self, subject: Subject, threat: ThreatModel, precision: Precision) -> Iterator[Way]:
        """Attacks with several numbers of draws, in one library; the protocol's own with fresh draws in all of them."""
        half, _ = subject.draws(None, Reading.SAMPLE)
        numbers = [n for n in DRAWS if n < half] if subject.is_sample else list(DRAWS)
        for draws in numbers:
            for target in self.targets(subject):
                # of one draw all targets have the same gradient
                if TARGETS[target].networks is Networks.DRAWS and (draws > 1 or target == "expected"):
                    for schedule in Schedule:
                        gradient = Gradient(target, precision, schedule=schedule)
                        yield replace(doubled(threat), gradient=gradient), draws, LIBRARIES[:1]
            yield with_fresh_draws(threat), draws, ("foolbox",)
        if subject.is_sample:  # of all that there are none are fresh
            yield doubled(threat), half, LIBRARIES[:1]
            return
        for name in attacks_in(threat.norm):
            fresh = Gradient("expected", precision, schedule=Schedule.FRESH)
            yield standard_attack(name, threat.eps, fresh), ATTACK_DRAWS, LIBRARIES

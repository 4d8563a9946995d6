"""What a cell is to the results: read off the cell, because its key must not know for which suite it was run.

Pure: no torch. Everything that sorts records asks here.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attack import AdaptiveAttack
from benchmark.plan.adaptive_attacks import UNBOUNDED, adaptive_attack_of
from benchmark.plan.cells import Cell, Reading
from benchmark.plan.nearest import is_of_every_eps
from benchmark.protocol import ATTACKS, JUDGE_DRAWS, LIBRARIES, is_on_grid, label_of, standard_attack
from zoo.kind import Kind
from zoo.targets import Gradient

if TYPE_CHECKING:
    from benchmark.records.record import Record


OTHER_SETTINGS, OTHER_GRADIENTS = "other settings", "other gradients"  # what has no name of its own in results


@dataclass(frozen=True)
class Role:
    """What a cell is to the results of its network.

    headline: whether its attacker knows nothing of the judge's draws that decide rows, and is judged by them.
    target: the gradient target of an attack whose other settings are all the protocol's; None for any other attack.
    adaptive: the adaptive attack that it is, with the protocol's draws; None for any other attack.
    further: whether no suite plans it and the user asked for it: an own attack, or one of ours with other settings.
    called: what results call it where it is no column.
    budget: whether eps > 0. whole: whether it is on all images of its shard.
    unbounded: whether its ball holds every image, and it says nothing of smaller ones.
    every_eps: whether it looks for the nearest adversarial image, in a ball that holds every image: it is evidence at
        every eps of its norm, and neither a row nor a column of its own; see `benchmark.plan.nearest`.
    usual: whether it has the protocol's draws and seed; curves and matrices are made of such cells.
    protocol_draws: whether the attacker's are the protocol's, whatever the judge's and the seed are.
    board: whether it is `headline`, `usual`, `whole`, in every library and at an eps of the leaderboards.
    alone: whether one library ran it.
    """

    headline: bool
    target: str | None
    adaptive: AdaptiveAttack | None
    further: bool
    called: str
    budget: bool
    whole: bool
    unbounded: bool
    every_eps: bool
    usual: bool
    protocol_draws: bool
    board: bool
    alone: bool

    @property
    def is_column(self) -> bool:
        """Whether it can be a column of a row: a white-box attack of the protocol, on all images."""
        return self.headline and self.target == "expected" and self.budget and self.whole

    @property
    def is_white_box(self) -> bool:
        """Whether it decides which images survive, and so which images adaptive attacks are run on."""
        return self.headline and self.budget and self.whole and self.adaptive is None and not self.every_eps

    @property
    def counts_in_worst_case(self) -> bool:
        """Whether an image that it breaks is broken in the row of its threat model, or of its distance and more."""
        return self.headline and self.budget and not self.unbounded

    @property
    def may_stand_alone(self) -> bool:
        """Whether it makes a row, without rank, where no column does: an attack on all images that a user asked for."""
        asked = self.further or (self.adaptive is not None and not self.unbounded)
        return asked and not self.every_eps and self.headline and self.budget and self.whole

    @property
    def is_evidence(self) -> bool:
        """Whether it is no column, but shows what columns are worth: at eps = 0, an adaptive attack, a reading."""
        return not self.budget or (self.alone and self.adaptive is not None)

    @property
    def is_of_every_norm(self) -> bool:
        """Whether it is evidence in both norms: at eps = 0, or where the ball holds every image."""
        return not self.budget or self.unbounded

    @property
    def on_leaderboards(self) -> bool:
        """Whether leaderboards take it: as a column, or as evidence about columns."""
        return self.is_evidence or self.target != "expected" or self.board


def role_of(cell: Cell) -> Role:
    """The role of a cell."""
    # all that it depends on, and nothing that differs from one of many thousand cells to the next
    of = cell.attack, cell.kind, cell.usual_draws, cell.attack_draws, cell.seed, cell.reading, cell.libraries
    judged = cell.judge_draws == JUDGE_DRAWS or cell.kind is not Kind.CONTINUOUS
    return _role(*of, judged, cell.only is None, is_on_grid(cell.dataset, cell.attack.threat))


@functools.cache
def _role(
    spec: AttackSpec,
    kind: Kind,
    usual_draws: int,
    attack_draws: int,
    seed: int,
    reading: Reading,
    libraries: tuple[str, ...],
    judged: bool,
    whole: bool,
    on_grid: bool,
) -> Role:
    """judged: whether by the protocol's judge. whole: on all images of its shard. on_grid: at an eps of the tables."""
    threat = spec.threat
    headline, protocol_draws = reading is Reading.HEADLINE, attack_draws == usual_draws
    usual = protocol_draws and judged and seed == 0
    target = _protocol_target(spec)
    adaptive = adaptive_attack_of(spec, kind, attack_draws, usual_draws, reading, libraries)
    every_eps = is_of_every_eps(spec)
    asked = target is None and adaptive is None and headline and whole and threat.eps > 0
    further = asked and _is_plain(spec.gradient)
    return Role(
        headline=headline,
        target=target,
        adaptive=adaptive,
        further=further,
        called=_called(spec, adaptive, further and (protocol_draws or spec.is_own)),
        budget=threat.eps > 0,
        whole=whole,
        unbounded=threat == UNBOUNDED and not every_eps,
        every_eps=every_eps,
        usual=usual,
        protocol_draws=protocol_draws,
        board=headline and usual and whole and libraries == LIBRARIES and on_grid,
        alone=len(libraries) == 1,
    )


def _is_plain(gradient: Gradient) -> bool:
    """Whether it is that of the expected prediction, in whatever precision."""
    return replace(gradient, precision="float32") == Gradient()


def _called(spec: AttackSpec, adaptive: AdaptiveAttack | None, by_its_label: bool) -> str:
    if adaptive is not None:
        return adaptive.name
    if by_its_label:
        return label_of(spec)
    return OTHER_SETTINGS if spec.target == "expected" else OTHER_GRADIENTS


def _protocol_target(spec: AttackSpec) -> str | None:
    of_protocol = spec.name in ATTACKS and spec == standard_attack(spec.name, spec.threat.eps, Gradient(spec.target))
    return spec.target if of_protocol else None


def surviving_examples(
    records: Iterable[Record],
) -> dict[tuple[str, ThreatModel], dict[tuple[int, int], tuple[int, ...]]]:
    """Model and threat model -> shard -> the images that survive every white-box attack among the records.

    An image that is misclassified as it is counts as broken. Shards without a surviving image, and shards on which a
    library failed, are left out.
    """
    shards: dict[tuple[str, ThreatModel, int, int], list[Record]] = defaultdict(list)
    for record in records:
        cell = record.cell
        if record.role.is_white_box:
            shards[cell.model, cell.attack.threat, cell.start, cell.stop].append(record)
    surviving: dict[tuple[str, ThreatModel], dict[tuple[int, int], tuple[int, ...]]] = defaultdict(dict)
    for (model, threat, start, stop), attacks in shards.items():
        if all(record.complete for record in attacks):
            broken = set[int]().union(*(record.broken for record in attacks))
            if survivors := frozenset.intersection(*(record.right for record in attacks)) - broken:
                surviving[model, threat][start, stop] = tuple(e for e in attacks[0].examples if e in survivors)
    return dict(surviving)

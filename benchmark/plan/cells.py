"""The unit of work, and what a suite is expanded from. Pure: no torch, no files, no randomness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, get_args

from benchmark.attacks.methods import NORMS, Norm
from benchmark.attacks.spec import AttackSpec, ThreatModel, format_eps
from benchmark.protocol import ATTACK_DRAWS, ATTACKS, JUDGE_DRAWS, LIBRARIES, SHARD, label_of
from zoo.kind import Kind
from zoo.targets import GRADIENT_TARGETS, PRECISIONS, Gradient, Precision


class Reading(StrEnum):
    """What the attacker of a random network knows of the draws that judge him."""

    HEADLINE = "headline"
    """Nothing: other draws of a continuous posterior judge. Of a finite one all members are attacked, and judge."""
    DETERMINISTIC = "deterministic"
    """The draws themselves, as of a network that is deployed with fixed draws: the deterministic white-box number."""
    OTHER_JUDGE = "other judge"
    """Nothing, and further draws judge: how far a verdict hangs on the judge's. Of samples the halves are exchanged."""
    SAMPLE = "sample"
    """Nothing, of Monte-Carlo samples: he has their first half, and the others judge, as the limit would."""
    REBUILT = "rebuilt"
    """Nothing, and a network that is built anew judges, on the same draws: it has seen nothing yet."""
    PLANTED = "planted"
    """Nothing, of another readout, beside which an adversarial image was planted in the ball."""
    CERTIFIED = "certified"
    """The draws themselves, beside bounds of what every attacker can do to them."""

    @property
    def is_of_the_judge(self) -> bool:
        """Whether the attacker has the judge's own draws, and no others."""
        return self in (Reading.DETERMINISTIC, Reading.CERTIFIED)


@dataclass(frozen=True)
class Cell:
    """The unit of work and of resuming: one entry, one attack, one shard of examples, every library.

    start, stop: positions in `protocol.example_order`, not indices of the test split.
    only: of the images there those with these indices in the test split; None for all of them.
    finite: whether the judge's draws are the members of a finite posterior, each of them once.
    reading: what the attacker knows of the judge's draws.
    """

    model: str
    dataset: str
    attack: AttackSpec
    start: int
    stop: int
    libraries: tuple[str, ...] = LIBRARIES
    attack_draws: int = ATTACK_DRAWS
    judge_draws: int = JUDGE_DRAWS
    seed: int = 0
    only: tuple[int, ...] | None = None
    finite: bool = False
    reading: Reading = Reading.HEADLINE

    def __post_init__(self) -> None:
        object.__setattr__(self, "reading", Reading(self.reading))  # of the same text

    @property
    def kind(self) -> Kind:
        """Of what kind the entry's posterior is."""
        return Kind.FINITE if self.finite else Kind.POINT if self.judge_draws == 1 else Kind.CONTINUOUS

    @property
    def usual_draws(self) -> int:
        """The attacker's draws by the protocol: of a finite posterior all members, so that the attack is exact."""
        return ATTACK_DRAWS if self.kind is Kind.CONTINUOUS else self.judge_draws

    @property
    def label(self) -> str:
        eps = format_eps(self.attack.threat.eps)
        return f"{self.model} {label_of(self.attack)} eps {eps} [{self.start}, {self.stop})"

    def to_json(self) -> dict[str, Any]:
        fields = {**asdict(self), "attack": self.attack.to_json()}
        for name, default in _LATER.items():
            if fields[name] == default:
                del fields[name]
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Cell:
        return cls(
            **{
                **fields,
                "attack": AttackSpec.from_json(fields["attack"]),
                "libraries": tuple(fields["libraries"]),
                "only": tuple(fields["only"]) if "only" in fields else None,
            }
        )


# fields that came later: cells without them keep the keys that they had
_LATER = {"only": None, "finite": False, "reading": Reading.HEADLINE}


def draw_counts(members: int | None, attack_draws: int | None = None) -> tuple[int, int]:
    """The attacker's and the judge's draws. attack_draws: what is asked for in place of the protocol's.

    members: of a finite posterior, of which there are no more draws; 1 for one network, None for what is drawn from.
    """
    if members is None:
        return attack_draws or ATTACK_DRAWS, JUDGE_DRAWS
    return min(attack_draws or members, members), members


class Subject(NamedTuple):
    """An entry to attack: its name, data set, size of the test split, and whether it is its own single draw.

    cost: multiplications of one pass for one image, from which its time is estimated before any is measured.
    others: the zoo's other networks for the same images, or else those evaluated with it, and which are deterministic.
    undefined: the gradient targets that it does not have, such as `mean-weights` without a posterior mean.
    found: what its prediction is, in words: one network, or the average over what is random.
    members: of a finite posterior, how many; None for one that is drawn from.
    is_sample: whether the members are Monte-Carlo samples of a posterior.
    classes: of its data set; some attacks need more than two.
    bounded: whether bounds of its outputs can be computed: there is a rule for each of its layers.
    sources: what of its own a transfer may come from: (`map` or `twin`, name of an entry), which is among `others`.
    """

    model: str
    dataset: str
    size: int
    deterministic: bool
    cost: int = 1
    others: tuple[tuple[str, bool], ...] = ()
    undefined: tuple[str, ...] = ()
    found: str = ""
    members: int | None = None
    is_sample: bool = False
    sources: tuple[tuple[str, str], ...] = ()
    classes: int = 10
    bounded: bool = True

    @property
    def kind(self) -> Kind:
        """Of what kind its posterior is."""
        return Kind.POINT if self.deterministic else Kind.CONTINUOUS if self.members is None else Kind.FINITE

    def draws(self, attack_draws: int | None = None, reading: Reading = Reading.HEADLINE) -> tuple[int, int]:
        """The attacker's and the judge's draws; see `draw_counts`."""
        if reading in (Reading.SAMPLE, Reading.OTHER_JUDGE) and self.members is not None:
            half = self.members // 2
            first = half if reading is Reading.SAMPLE else self.members - half
            return min(attack_draws or first, first), self.members - first
        attacker, judge = draw_counts(1 if self.deterministic else self.members, attack_draws)
        return (judge, judge) if reading.is_of_the_judge else (attacker, judge)

    def cell(
        self,
        attack: AttackSpec,
        shard: tuple[int, int],
        libraries: tuple[str, ...],
        draws: tuple[int, int],
        seed: int,
        only: tuple[int, ...] | None = None,
        reading: Reading = Reading.HEADLINE,
    ) -> Cell:
        """An attack on it. shard: start and stop. draws: the attacker's and the judge's. The rest as of `Cell`."""
        finite = self.kind is Kind.FINITE
        return Cell(
            self.model, self.dataset, attack, *shard, libraries, *draws, seed, only, finite=finite, reading=reading
        )


class Further(Protocol):
    """An attack that no suite has: with other settings, or the user's own.

    libraries: those that run it. is_own: whether it is the user's own, and no method that libraries have.
    """

    @property
    def norms(self) -> tuple[Norm, ...]: ...

    @property
    def libraries(self) -> tuple[str, ...]: ...

    @property
    def is_own(self) -> bool: ...

    def spec(self, threat: ThreatModel, gradient: Gradient) -> AttackSpec:
        """The attack under one threat model. gradient: what a network's user wants attacks to follow."""


def large_eps(selection: Selection, default: Mapping[str, tuple[float, ...]] = MappingProxyType({})) -> list[str]:
    """A line for each radius in linf beyond the range of pixels: it was most likely meant in 255ths.

    default: norm -> the radii of the data set, for where the user names none.
    """
    return [
        f"eps {eps:g} in linf is more than pixels range over, 0 to 1; was {eps:g}/255 meant?"
        for eps in selection.radii("linf", tuple(default.get("linf", ())))
        if eps > 1
    ]


@dataclass(frozen=True)
class Selection:
    """What a user may change about a suite; None leaves the suite's own choice.

    attacks: names of the suite's own. further: what is run beside them, at every eps above 0.
    eps: for every norm, or norm by norm; a norm that is left out keeps the suite's own.
    audited: how many of the images meet every attack of an adaptive suite, in whole shards; the others meet what
        decided among these (`benchmark.plan.decisive`).
    Raises ValueError for counts below one, unknown attacks or libraries, or an eps that is no number >= 0.
    """

    attacks: tuple[str, ...] | None = None
    eps: tuple[float, ...] | Mapping[str, tuple[float, ...]] | None = None
    libraries: tuple[str, ...] | None = None
    examples: int | None = None
    draws: int | None = None
    seed: int = 0
    targets: tuple[str, ...] | None = None
    precision: Precision = "float32"
    further: tuple[Further, ...] = ()
    audited: int = SHARD

    def __post_init__(self) -> None:
        for name in self.attacks or ():
            if name not in NORMS:
                further = ", ".join(name for name in NORMS if name not in ATTACKS)
                raise ValueError(
                    f"no attack {name!r}; there are: {', '.join(ATTACKS)}; beyond the protocol's {further}"
                )
        for chosen, allowed, kind in (
            (self.libraries, LIBRARIES, "library"),
            (self.targets, GRADIENT_TARGETS, "gradient target"),
        ):
            for name in chosen or ():
                if name not in allowed:
                    raise ValueError(f"no {kind} {name!r}; there are: {', '.join(allowed)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}; there are: {', '.join(PRECISIONS)}")
        by_norm: Mapping[str, tuple[float, ...]] = (
            self.eps if isinstance(self.eps, Mapping) else {"linf": self.eps or ()}
        )
        for norm in by_norm:
            if norm not in get_args(Norm):
                raise ValueError(f"no norm {norm!r}; there are: {', '.join(get_args(Norm))}")
        for eps in chain.from_iterable(by_norm.values()):
            if not (math.isfinite(eps) and eps >= 0):
                raise ValueError(f"eps must be a number >= 0, not {eps}")
        for count, kind in ((self.examples, "examples"), (self.draws, "draws"), (self.audited, "audited images")):
            if count is not None and count < 1:
                raise ValueError(f"{kind} must be at least 1, not {count}")

    def radii(self, norm: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """The eps in a norm. default: the suite's, for where the user names none."""
        if isinstance(self.eps, Mapping):
            return self.eps.get(norm, default)
        return self.eps or default

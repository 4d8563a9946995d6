"""What an attack is, independent of the library that runs it. Pure: no torch."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from benchmark.attacks.methods import Goal, Iterate, Loss, Method, Norm, method_of, norm_of
from zoo.targets import SURROGATE, Gradient, Schedule


@dataclass(frozen=True)
class ThreatModel:
    """All images within `eps` of the original in the norm and inside the box [0, 1]; `eps` in units of pixels.

    Raises ValueError for a negative or non-finite eps or an unknown norm.
    """

    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        if self.norm not in get_args(Norm):
            raise ValueError(f"norm must be 'linf' or 'l2', not {self.norm!r}")
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise ValueError(f"eps must be a number >= 0, not {self.eps}")


@dataclass(frozen=True)
class AttackSpec:
    """One attack, to be the same in every library.

    step_size: length of a step in the threat model's norm; the first one of APGD, which halves it as it goes; the
        distance of a query from the image for Square and noise.
    steps: gradients taken, towards each label of a targeted attack, or queries of Square, HopSkipJump and noise.
    random_start: start uniformly in the ball (the start is given to the libraries, the same for all).
    restarts: runs with different starts; per example the one that hurts the attacker's model most is kept.
    gradient: what it follows, for the attacker alone; see `zoo.targets`.
    goal: what it is after; see `Goal`.
    decay: by which the sum of all gradients before is multiplied at each step, for a method with momentum.
    iterate: which image of its walk counts; see `Iterate`.
    An own attack, called `module:function-linf`, has one step of length 1: what it does is its author's affair. So has
    a bound of what every attack can do.
    Raises ValueError for settings that no library could run as written.
    """

    name: str
    threat: ThreatModel
    step_size: float
    steps: int
    random_start: bool = False
    restarts: int = 1
    gradient: Gradient = Gradient()
    goal: Goal = Goal.UNTARGETED
    decay: float = 0.0
    iterate: Iterate = Iterate.LAST

    def __post_init__(self) -> None:
        if (norm := norm_of(self.name)) != self.threat.norm:
            raise ValueError(f"{self.name} is an attack in {norm}, not in {self.threat.norm}")
        if self.is_own and (self.steps, self.step_size) != (1, 1.0):
            raise ValueError(f"{self.name} is an own attack: bind its steps to it, as in functools.partial")
        if not (math.isfinite(self.step_size) and self.step_size > 0):
            raise ValueError(f"step_size must be a number > 0, not {self.step_size}")
        if self.steps < 1 or self.restarts < 1:
            raise ValueError(f"steps and restarts must be at least 1, not {self.steps} and {self.restarts}")
        if self.method.single_step and self.steps != 1:
            raise ValueError(f"{self.name} is one step, not {self.steps}")
        if self.random_start and not self.method.random_start:
            raise ValueError(
                f"{self.name} begins at the image itself; from a random point it is pgd-{self.threat.norm}"
            )
        if self.method.momentum != (0 < self.decay <= 1):
            takes = "a decay above 0 and up to 1" if self.method.momentum else "no momentum, so no decay"
            raise ValueError(f"{self.name} takes {takes}, not {self.decay}")
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts without a random start repeat the same attack")
        if self.goal not in tuple(Goal):
            raise ValueError(f"no goal {str(self.goal)!r}; there are: {', '.join(Goal)}")
        object.__setattr__(self, "goal", Goal(self.goal))  # of the same text
        if self.goal not in self.method.goals:
            raise ValueError(f"{self.name} knows the goals {', '.join(self.method.goals)}, not {str(self.goal)!r}")
        object.__setattr__(self, "iterate", Iterate(self.iterate))
        if self.iterate is Iterate.BEST and self.method.loss is not Loss.CROSS_ENTROPY:
            raise ValueError(f"{self.name} chooses its best image itself; it has no other iterate to be chosen")

    @property
    def target(self) -> str:
        """What its gradient is of."""
        return self.gradient.target

    @property
    def source(self) -> str | None:
        """The zoo entry that its gradient is of, or `SURROGATE`; None for the attacked one itself."""
        return self.gradient.source

    @property
    def label(self) -> str:
        """Its name, without the module of what was typed in, and what sets it apart from the protocol's attack."""
        return ", ".join([self.name.removeprefix("__main__:"), *self.distinctions])

    @property
    def distinctions(self) -> list[str]:
        """What is not usual about it, but for steps and their size, of which the protocol says what is usual."""
        parts = [
            "towards a wrong label" if self.goal is Goal.CONFIDENT else "",
            "best iterate" if self.iterate is Iterate.BEST else "",
            f"{self.restarts} starts" if self.restarts > 1 else "",
            f"logits x {self.gradient.logit_scale:g}" if self.gradient.logit_scale != 1 else "",
            f"logits + {self.gradient.logit_shift:g}" if self.gradient.logit_shift else "",
            self.target if self.target != "expected" else "",
            "fresh draws" if self.gradient.is_fresh else "",
            f"from {'a surrogate' if self.source == SURROGATE else self.source}" if self.source else "",
        ]
        return [part for part in parts if part]

    @functools.cached_property
    def method(self) -> Method:
        """The method, which is the same in every norm."""
        return method_of(self.name)

    @property
    def is_own(self) -> bool:
        """Whether it is an attack of the user's, and none of `benchmark.attacks.methods`."""
        return self.method.loss is Loss.OWN

    def to_json(self) -> dict[str, Any]:
        """All fields side by side, those of the gradient among them, as they were before they became one value.

        A field that came later is left out at its default, so that attacks keep the keys that they had.
        """
        values = asdict(self)
        values |= values.pop("gradient")
        return {name: value for name, value in values.items() if name not in _LATER or value != _LATER[name]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AttackSpec:
        return _parsed(json.dumps(values, sort_keys=True))


@functools.cache
def _parsed(text: str) -> AttackSpec:
    """Ten thousand records are of a few hundred attacks."""
    rest = json.loads(text)
    gradient = Gradient(**{name: rest.pop(name) for name in _OF_THE_GRADIENT if name in rest})
    goal = Goal(rest.pop("goal", Goal.UNTARGETED))
    rest["iterate"] = Iterate(rest.get("iterate", Iterate.LAST))
    return AttackSpec(**{**rest, "threat": ThreatModel(**rest["threat"])}, gradient=gradient, goal=goal)


_OF_THE_GRADIENT = tuple(field.name for field in fields(Gradient))
_LATER = {
    "goal": Goal.UNTARGETED,
    "decay": 0.0,
    "iterate": Iterate.LAST,
    "source": None,
    "logit_scale": 1.0,
    "logit_shift": 0.0,
    "schedule": Schedule.FROZEN,
}


def format_eps(eps: float) -> str:
    """`8/255` for quarters of 1/255 that are no round decimal, otherwise the shortest decimal.

    >>> format_eps(8 / 255), format_eps(0.25 / 255), format_eps(0.3), format_eps(1.0)
    ('8/255', '0.25/255', '0.3', '1')
    """
    levels = 4 * eps * 255
    if eps > 0 and abs(levels - round(levels)) < 1e-9 and len(f"{eps:.10g}") > 6:
        return f"{round(levels) / 4:g}/255"
    return f"{eps:g}"

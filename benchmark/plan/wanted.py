"""What `attacks=` and `--attack` name: the suite's attacks, others of their settings, the user's own. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import NamedTuple

from benchmark.attacks.own import OwnAttack, own_attack
from benchmark.plan.cells import Further
from benchmark.plan.variants import Variant


class Wanted(NamedTuple):
    """names: of the suite's attacks; None for all. further: what is run beside them. own: those that are the user's."""

    names: tuple[str, ...] | None = None
    further: tuple[Further, ...] = ()
    own: tuple[OwnAttack, ...] = ()


def wanted(attacks: object) -> Wanted:
    """What is to be run, and nothing else.

    attacks: names (`pgd-linf`), variants (`PGD(steps=100)`), references (`module:function`, `file.py:function`), and
        own attacks (`benchmark.attacks.own`), in any order, or one of these alone; None for the suite's.
    Raises ValueError for what is none of these, and for two own attacks of one name.
    """
    if attacks is None:
        return Wanted()
    several = list(attacks) if isinstance(attacks, Iterable) and not isinstance(attacks, str) else [attacks]
    names = [one for one in several if isinstance(one, str) and ":" not in one]
    further = [_further(one) for one in several if one not in names]
    own = [attack for attack in further if isinstance(attack, OwnAttack)]
    for attack in own:
        if any(other.name == attack.name and other.digest != attack.digest for other in own):
            raise ValueError(f"two attacks are called {attack.name}: make them functions of different names")
    return Wanted(tuple(names), tuple(further), tuple(dict.fromkeys(own)))


def _further(one: object) -> Further:
    if isinstance(one, FunctionType) and one.__module__ == Variant.__module__:
        raise ValueError(f"{one.__name__} is a kind of attack: give {one.__name__}(), with its settings")
    return one if isinstance(one, Variant | OwnAttack) else own_attack(one)

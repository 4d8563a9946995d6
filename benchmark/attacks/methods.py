"""The methods of attack, a row each. Pure: no torch.

A method is one way to look for an adversarial image. In a norm it is an attack: `pgd` in l2 is `pgd-l2`; a method of
one norm alone lends the attack its own name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

Norm = Literal["linf", "l2"]


class Goal(StrEnum):
    """What an attack is after."""

    UNTARGETED = "untargeted"
    """Any wrong label."""
    CONFIDENT = "confident"
    """The likeliest wrong label, beyond the point where the image is taken for it: the prediction is then wrong and
    certain, and predictive entropy and mutual information vanish together."""


class Iterate(StrEnum):
    """Which of the images that an attack walks through counts."""

    LAST = "last"
    """The one that it ends with, as its library returns it."""
    BEST = "best"
    """The one that hurts the attacker's prediction most, of those inside the ball at which it took a gradient, and the
    last."""


class Loss(StrEnum):
    """What a method makes as large as it can."""

    CROSS_ENTROPY = "cross-entropy"
    """-log of the label's probability. Its gradient is recognised, and computed once for all libraries."""
    LOGIT_RATIO = "difference of logits ratio"
    """DLR of Croce and Hein 2020: the margin over the spread of the three largest logits, blind to their scale."""
    MARGIN = "margin"
    """The largest other log-probability less the label's."""
    PROBABILITY_MARGIN = "margin of probabilities"
    """The largest other probability less the label's (PMA, arXiv 2411.15210)."""
    DISTANCE = "distance"
    """How near the image comes among those of another label."""
    NONE = "none"
    """Nothing: points of the ball at random, of which the worst is kept."""
    OWN = "own"
    """What the author of an own attack chose, so that its gradients are handed out as they are."""


class Setting(StrEnum):
    """What a user may change about a method."""

    STEPS = "steps"
    STEP_SIZE = "step_size"
    RESTARTS = "restarts"


_STEPS, _WALK = (Setting.STEPS,), (Setting.STEPS, Setting.STEP_SIZE)
_ALL = ("torchattacks", "foolbox", "art")


@dataclass(frozen=True)
class Method:
    """norms: those that it attacks in. loss: what it increases.

    gradients: whether it follows the loss's gradient; if not, it asks for predictions only.
    random_start: whether it may begin at a random point of the ball; a method that may not begins at the image, or
        where it decides itself.
    single_step: whether it takes one step by definition. momentum: whether it adds up the gradients of its steps.
    goals: those it knows. settings: those that a user may change. libraries: those that have it in all its norms.
    classes: how many it needs at least. nearest: whether it looks for the nearest image of another label, so that one
        run says of every eps whether it breaks the image.
    """

    name: str
    norms: tuple[Norm, ...] = ("linf", "l2")
    loss: Loss = Loss.CROSS_ENTROPY
    gradients: bool = True
    random_start: bool = False
    single_step: bool = False
    momentum: bool = False
    goals: tuple[Goal, ...] = (Goal.UNTARGETED,)
    settings: tuple[Setting, ...] = ()
    libraries: tuple[str, ...] = _ALL
    classes: int = 2
    nearest: bool = False

    def attack(self, norm: Norm) -> str:
        """Its name in a norm."""
        return self.name if len(self.norms) == 1 else f"{self.name}-{norm}"


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("fgsm", norms=("linf",), single_step=True),
        Method("bim", norms=("linf",), settings=_WALK),
        Method("mifgsm", momentum=True, settings=_WALK, libraries=("foolbox", "art")),
        Method("pgd", random_start=True, goals=(Goal.UNTARGETED, Goal.CONFIDENT), settings=tuple(Setting)),
        Method("apgd-ce", settings=_STEPS, libraries=("torchattacks",)),
        Method("apgd-dlr", loss=Loss.LOGIT_RATIO, settings=_STEPS, libraries=("torchattacks",), classes=3),
        Method("apgd-t", loss=Loss.LOGIT_RATIO, settings=_STEPS, libraries=("torchattacks",), classes=4),
        Method("pma", loss=Loss.PROBABILITY_MARGIN, settings=_STEPS, libraries=("torchattacks",)),
        Method("fab-t", loss=Loss.MARGIN, settings=_STEPS, libraries=("torchattacks",)),
        Method("square", loss=Loss.MARGIN, gradients=False, settings=_STEPS, libraries=("torchattacks",)),
        Method("ddn", norms=("l2",), settings=_STEPS, libraries=("foolbox",), nearest=True),
        Method("fmn", loss=Loss.MARGIN, settings=_STEPS, libraries=("foolbox",), nearest=True),
        Method("brendel-bethge", loss=Loss.MARGIN, settings=_STEPS, libraries=("foolbox",), nearest=True),
        Method(
            "hopskipjump",
            loss=Loss.DISTANCE,
            gradients=False,
            settings=_STEPS,
            libraries=("foolbox",),
            nearest=True,
        ),
        Method("noise", loss=Loss.NONE, gradients=False, settings=_STEPS, libraries=("foolbox",)),
    )
}

# Name of an attack -> its method, and its norm.
METHOD_OF: dict[str, Method] = {method.attack(norm): method for method in METHODS.values() for norm in method.norms}
NORMS: dict[str, Norm] = {method.attack(norm): norm for method in METHODS.values() for norm in method.norms}


# No attack, but a bound of what all of them can do (`zoo.bounds`): nobody asks for it by name, and no library runs it.
BOUND = Method("crown", loss=Loss.NONE, gradients=False, libraries=("bounds",))
_BOUNDS: dict[str, Norm] = {BOUND.attack(norm): norm for norm in BOUND.norms}

# What images that were made elsewhere are recorded as: an own attack, `outside:images-linf` in linf.
OUTSIDE = "outside:images"


def own_name(reference: str, norm: Norm) -> str:
    """What an own attack is called in a norm. reference: `module:function`."""
    return f"{reference}-{norm}"


def is_own(name: str) -> bool:
    """Whether a name is that of an own attack, whatever it does."""
    reference, _, norm = name.rpartition("-")
    return ":" in reference and norm in get_args(Norm)


def norm_of(name: str) -> Norm:
    """The norm of an attack. Raises ValueError for an unknown name."""
    if is_own(name):
        return "l2" if name.endswith("-l2") else "linf"
    if name in _BOUNDS:
        return _BOUNDS[name]
    if name not in NORMS:
        raise ValueError(f"no attack {name!r}; there are: {', '.join(NORMS)}")
    return NORMS[name]


def method_of(name: str) -> Method:
    """The method of an attack; of an own one it is made for its name. Raises ValueError for an unknown name."""
    norm = norm_of(name)
    if is_own(name):
        return Method(name.removesuffix(f"-{norm}"), (norm,), Loss.OWN, libraries=("own",))
    return BOUND if name in _BOUNDS else METHOD_OF[name]

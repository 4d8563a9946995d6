"""Attacks with settings of the user's own: `PGD(steps=100, restarts=5)`. Pure: no torch.

They are run at every eps, and count in the worst case under what they are called, `pgd-linf, 100 steps, 5 starts`. Only
the protocol's own settings make a column of a row, and ranks.
"""

# ruff: noqa: N802 - attacks are called as the field calls them

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from benchmark.attacks.methods import METHOD_OF, METHODS, NORMS, Norm, Setting
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.protocol import ATTACKS, usual_attack
from zoo.targets import Gradient


@dataclass(frozen=True)
class Variant:
    """A method of `benchmark.attacks.methods`; settings that are left out are the usual ones.

    norm: None for every norm of the method.
    steps: gradients taken, or queries of Square, HopSkipJump and noise.
    step_size: in the norm, as torchattacks' alpha and ART's eps_step: of pixels from 0 to 1 in linf, such as 2/255. By
        default 2.5 eps / steps. A length in one norm is none in another, so it needs `norm`.
    restarts: runs with different random starts, of which the worst counts for each image.
    Raises ValueError for an unknown method or norm, and for a setting that the method does not have.
    """

    is_own: ClassVar[bool] = False

    method: str
    norm: Norm | None = None
    steps: int | None = None
    step_size: float | None = None
    restarts: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"no method {self.method!r}; there are: {', '.join(METHODS)}")
        if self.norm not in (None, *METHODS[self.method].norms):
            raise ValueError(f"{self.method} is an attack in {' and '.join(self._all_norms)}, not in {self.norm}")
        for setting in Setting:
            if getattr(self, setting) is not None and setting not in METHODS[self.method].settings:
                has = ", ".join(METHODS[self.method].settings) or "none that could be changed"
                raise ValueError(f"{self.method} has no {setting}; its settings: {has}")
        if self.step_size is not None and len(self.norms) > 1:
            raise ValueError(f"step_size={self.step_size:g} is a length in one norm: say in which, as in norm='linf'")
        for norm in self.norms:  # what the settings themselves allow
            self.spec(ThreatModel(norm, 1.0), Gradient())

    @property
    def norms(self) -> tuple[Norm, ...]:
        """The norms that it is run in."""
        return self._all_norms if self.norm is None else (self.norm,)

    @property
    def _all_norms(self) -> tuple[Norm, ...]:
        return METHODS[self.method].norms

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries that have it."""
        return METHODS[self.method].libraries

    def __str__(self) -> str:
        return METHODS[self.method].attack(self.norm) if self.norm else self.method

    def spec(self, threat: ThreatModel, gradient: Gradient) -> AttackSpec:
        """The attack under one threat model, by one gradient."""
        return usual_attack(
            METHODS[self.method].attack(threat.norm),
            threat.eps,
            gradient,
            steps=self.steps,
            step_size=self.step_size,
            restarts=1 if self.restarts is None else self.restarts,
        )


_APGD = {"ce": "apgd-ce", "dlr": "apgd-dlr", "dlr-targeted": "apgd-t"}


def FGSM() -> Variant:
    """One step of length eps along the sign of the gradient (linf)."""
    return Variant("fgsm")


def BIM(*, steps: int | None = None, step_size: float | None = None) -> Variant:
    """FGSM in small steps, from the image itself (linf). step_size: in pixels, 2.5 eps / steps by default."""
    return Variant("bim", None, steps, step_size)


def MIFGSM(norm: Norm | None = None, *, steps: int | None = None, step_size: float | None = None) -> Variant:
    """BIM along the sum of all gradients before, by Dong et al. 2018. Arguments as for `Variant`."""
    return Variant("mifgsm", norm, steps, step_size)


def PGD(
    norm: Norm | None = None,
    *,
    steps: int | None = None,
    step_size: float | None = None,
    restarts: int | None = None,
) -> Variant:
    """Projected gradient descent from random starts, of which the worst counts. Arguments as for `Variant`."""
    return Variant("pgd", norm, steps, step_size, restarts)


def APGD(
    norm: Norm | None = None, *, loss: Literal["ce", "dlr", "dlr-targeted"] = "ce", steps: int | None = None
) -> Variant:
    """APGD of Croce and Hein 2020, which chooses the size of its steps.

    loss: cross-entropy, ratio of logits, or that ratio towards each of the nine likeliest wrong labels, `steps` each.
    """
    if loss not in _APGD:
        raise ValueError(f"no loss {loss!r}; APGD has {', '.join(_APGD)}")
    return Variant(_APGD[loss], norm, steps)


def PMA(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """APGD on the margin of probabilities, arXiv 2411.15210."""
    return Variant("pma", norm, steps)


def FAB(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """FAB of Croce and Hein 2020 towards each of the nine likeliest wrong labels, `steps` each."""
    return Variant("fab-t", norm, steps)


def DDN(*, steps: int | None = None) -> Variant:
    """Decoupled direction and norm, Rony et al. 2019: the nearest adversarial image (l2)."""
    return Variant("ddn", None, steps)


def FMN(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """Fast minimum norm, Pintor et al. 2021: the nearest adversarial image."""
    return Variant("fmn", norm, steps)


def BrendelBethge(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """Brendel et al. 2019: along the decision boundary to the nearest adversarial image."""
    return Variant("brendel-bethge", norm, steps)


def HopSkipJump(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """Chen et al. 2020: along the decision boundary by labels alone. steps: queries."""
    return Variant("hopskipjump", norm, steps)


def Square(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """Square of Andriushchenko et al. 2020, without gradients. steps: queries."""
    return Variant("square", norm, steps)


def Noise(norm: Norm | None = None, *, steps: int | None = None) -> Variant:
    """The worst of some points at random in the ball. steps: how many."""
    return Variant("noise", norm, steps)


def with_settings(
    names: tuple[str, ...] | None, steps: int | None = None, step_size: float | None = None, restarts: int | None = None
) -> list[str | Variant]:
    """The attacks of these names (default: the protocol's), those that have the settings with them.

    Attacks without any of them, such as FGSM, stay as they are. Raises ValueError for a setting that none has.
    """
    settings = {Setting.STEPS: steps, Setting.STEP_SIZE: step_size, Setting.RESTARTS: restarts}
    given = {setting: value for setting, value in settings.items() if value is not None}
    attacks = [_with(name, given) for name in (ATTACKS if names is None else names)]
    for setting in given:
        if all(getattr(attack, setting, None) is None for attack in attacks):
            having = ", ".join(name for name, method in METHOD_OF.items() if setting in method.settings)
            raise ValueError(f"--{setting.replace('_', '-')}: no attack that was asked for has it; {having} have")
    sized = {norm for attack in attacks if isinstance(attack, Variant) and attack.step_size for norm in attack.norms}
    if len(sized) > 1:
        raise ValueError(
            f"--step-size {step_size:g} is a length in one norm: name the attacks, as in --attack pgd-linf"
        )
    return attacks


def _with(name: str, given: dict[Setting, float]) -> str | Variant:
    if name not in METHOD_OF:  # said by who looks it up
        return name
    method, norm = METHOD_OF[name], NORMS[name]
    settings = {str(setting): value for setting, value in given.items() if setting in method.settings}
    return Variant(method.name, norm, **settings) if settings else name  # type: ignore[arg-type]

"""A user's own attack: a function, or an attack of a library, made into one form. Nothing that it returns is trusted.

    def mine(model, x, y, *, norm, eps, generator):
        return x_adv

model: pixels (B, C, H, W) in [0, 1] to log-probabilities (B, K), averaged over the attacker's draws, differentiable.
norm: "linf" or "l2". eps: in pixels. generator: for all that is random, on the device of x. An attack of one norm says
so: `mine.norms = ("linf",)`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from benchmark.attacks.identity import digest
from benchmark.attacks.methods import Norm, own_name
from benchmark.attacks.references import name_of, plain_name, unbound
from benchmark.attacks.spec import AttackSpec, ThreatModel
from zoo.references import imported
from zoo.seeding import derive_seed
from zoo.targets import Gradient

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from benchmark.attacks.craft import Adapter
    from benchmark.attacks.metered import MeteredModel

Call = Callable[..., "Tensor"]  # (model, x, y, *, norm, eps, generator) -> x_adv

LIBRARIES = ("torchattacks", "foolbox", "art", "adv_lib")  # each has a file here, whose `wrapped` makes the call


@dataclass(frozen=True)
class OwnAttack:
    """An own attack in one form.

    name: `module:function`, with the parameters that are bound to it. norms: those that it attacks in.
    library: whose it is, or `own`. handed_over: what the user gave: a reference as a text, or the thing itself.
    """

    is_own: ClassVar[bool] = True

    name: str
    norms: tuple[Norm, ...]
    library: str
    handed_over: object = field(compare=False, repr=False)
    thing: object = field(compare=False, repr=False)
    call: Call = field(compare=False, repr=False)

    @property
    def libraries(self) -> tuple[str, ...]:
        """What its cells say that ran it."""
        return (self.library,)

    @functools.cached_property
    def digest(self) -> str:
        """What identifies it; see `benchmark.attacks.identity`."""
        return digest(self.thing)

    def spec(self, threat: ThreatModel, gradient: Gradient) -> AttackSpec:
        """The attack under one threat model, always by the gradient of the prediction that is judged."""
        return AttackSpec(
            own_name(self.name, threat.norm), threat, 1.0, 1, gradient=Gradient(precision=gradient.precision)
        )

    def adapter(self, *seed: object) -> Adapter:
        """What `craft` runs. seed: what the generator's is derived from."""

        def run(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
            generator = _generator(x.device, derive_seed("own attack", spec.name, *seed))
            found = self.call(model, x, y, norm=spec.threat.norm, eps=spec.threat.eps, generator=generator)
            _require_images(found, x, self.name)
            return found

        return run

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own from what was handed over here."""
        return own_attack, (self.handed_over,)


def own_attack(handed_over: object) -> OwnAttack:
    """The attack that a user hands over: `module:function`, `file.py:function`, a callable, or an attack of a library.

    Of torchattacks and ART a class or a `functools.partial` of it, of foolbox also an instance, of adv-lib a function.
    Raises ValueError for what cannot be imported, called so, or said in which norm it attacks.
    """
    thing = imported(handed_over) if isinstance(handed_over, str) else handed_over
    if not callable(thing):
        raise ValueError(f"{handed_over!r} is no attack: a function (model, x, y, *, norm, eps, generator) -> x_adv")
    library = _library_of(thing)
    if library == "own":
        call, norms = _require_signature(thing), get_args(Norm)
    else:
        call, norms = importlib.import_module(f"benchmark.attacks.{library}").wrapped(thing)
    name = name_of(thing, library)
    return OwnAttack(name, _declared(thing, name) or _known(norms, name), library, handed_over, thing, call)


def require_class(attack: Any) -> type:
    """The class, of a partial or itself. Raises ValueError for an instance, which was made for another model."""
    kind = unbound(attack)
    if not isinstance(kind, type):
        name = type(kind).__name__
        raise ValueError(f"{name} has a model already: hand over the class, or functools.partial({name}, ...)")
    return kind


def require_free(thing: Any, *names: str) -> None:
    """Raises ValueError where a partial binds what the threat model says."""
    while isinstance(thing, functools.partial):
        for name in names:
            if name in thing.keywords:
                raise ValueError(f"{name}={thing.keywords[name]!r} is the threat model's: leave it out, and give eps=")
        thing = thing.func


def parameters_of(thing: Any) -> tuple[str, ...]:
    """The names of what a function or class takes."""
    return tuple(inspect.signature(thing).parameters)


def _library_of(thing: Any) -> str:
    """The library that an attack, its class or its function is of; `own` for none."""
    of = unbound(thing)
    kinds = of.__mro__ if isinstance(of, type) else [of] if inspect.isroutine(of) else type(of).__mro__
    for kind in kinds:
        library = str(getattr(kind, "__module__", "")).partition(".")[0]
        if library in LIBRARIES:
            return library
    return "own"


def _require_signature(thing: Any) -> Call:
    """Raises ValueError for a callable that cannot be called as an attack is."""
    if isinstance(thing, type):
        raise ValueError(f"{plain_name(thing)} is a class; hand over an instance, whose __call__ attacks")
    try:
        inspect.signature(thing).bind(0, 0, 0, norm="linf", eps=0.1, generator=None)
    except TypeError as error:
        takes = inspect.signature(thing)
        raise ValueError(
            f"an attack is called as attack(model, x, y, norm=..., eps=..., generator=...); "
            f"{name_of(thing, 'own')} takes {takes}: {error}"
        ) from error
    call: Call = thing
    return call


def _declared(thing: Any, name: str) -> tuple[Norm, ...]:
    """The norms that an attack says it is for; none where it says nothing."""
    norms = getattr(thing, "norms", None) or getattr(unbound(thing), "norms", None) or ()
    norms = (norms,) if isinstance(norms, str) else tuple(norms)
    for norm in norms:
        if norm not in get_args(Norm):
            raise ValueError(f"{name} says norms = {norms!r}; there are: {', '.join(get_args(Norm))}")
    return norms


def _known(norms: tuple[Norm, ...], name: str) -> tuple[Norm, ...]:
    if not norms:
        raise ValueError(f"nothing says whether {name} attacks in linf or l2: give it an attribute norms = ('linf',)")
    return norms


def _generator(device: torch.device, seed: int) -> torch.Generator:
    import torch

    return torch.Generator(device).manual_seed(seed)


def _require_images(found: object, x: Tensor, name: str) -> None:
    """Raises ValueError for what is no batch of images like x."""
    shape = getattr(found, "shape", None)
    if shape is None or not hasattr(found, "isfinite"):
        raise ValueError(f"{name} returned a {type(found).__name__}, not a tensor of shape {tuple(x.shape)}")
    if shape != x.shape:
        raise ValueError(f"{name} returned images of shape {tuple(shape)} for {tuple(x.shape)}")
    if wrong := int((~found.isfinite()).flatten(1).any(1).sum()):
        raise ValueError(f"{name} returned {wrong} of {len(x)} images with pixels that are NaN or infinite")

"""Own attacks, and those that libraries have: the same images as ours, the known optimum, one identity."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import foolbox
import pytest
import torch
import torchattacks
from art.attacks.evasion import BasicIterativeMethod, ProjectedGradientDescent
from torch import Tensor, nn

from benchmark.attacks.craft import craft
from benchmark.attacks.identity import digest
from benchmark.attacks.own import OwnAttack, own_attack
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.evaluation.closed_form import optimum
from benchmark.evaluation.judge import violations
from benchmark.protocol import standard_attack
from tests.benchmark.attacks.adapter_contract import CENTRAL, LABELS, Linear
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network
from zoo.targets import Gradient


def step(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: torch.Generator) -> Tensor:
    """One step of length eps along the gradient: FGSM, or its like in l2."""
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(leaf), y), leaf)
    if norm == "linf":
        return (x + eps * gradient.sign()).clamp(0, 1)
    return (x + eps * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)


def noise(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: torch.Generator) -> Tensor:
    """Half by the generator that it is given, half by the global one."""
    drawn = torch.rand(x.shape, generator=generator) - torch.rand(x.shape)
    return (x + eps * drawn).clamp(0, 1)


noise.norms = "linf"  # type: ignore[attr-defined]


class Scaled:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: object) -> Tensor:
        return step(model, x, y, norm=norm, eps=self.by * eps, generator=generator)  # type: ignore[arg-type]


def images(attack: OwnAttack, network: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float, seed: int = 0) -> Tensor:
    spec = attack.spec(ThreatModel(norm, eps), Gradient())  # type: ignore[arg-type]
    return craft("own", prediction_of(network), x, y, spec, EXAMPLES, 0, adapter=attack.adapter(seed)).images


def test_an_own_fgsm_gives_the_images_of_ours() -> None:
    network = small_network(3.0)
    ours = craft("foolbox", prediction_of(network), X, Y, standard_attack("fgsm", 0.1), EXAMPLES, 0).images
    assert torch.equal(images(own_attack(step), network, X, Y, "linf", 0.1), ours)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_own_attack_reaches_the_optimum_of_a_linear_model(norm: str) -> None:
    network = Linear()
    attack, threat = own_attack(step), ThreatModel(norm, 0.1)  # type: ignore[arg-type]
    best = optimum(CENTRAL.flatten(1), network.direction(LABELS), attack.spec(threat, Gradient()))
    assert torch.allclose(images(attack, network, CENTRAL, LABELS, norm, 0.1).flatten(1), best, atol=1e-6)


def test_the_pgd_of_a_library_gives_the_images_of_ours_with_the_same_settings() -> None:
    network, spec = small_network(3.0), replace(standard_attack("pgd-linf", 0.1), random_start=False)
    theirs = own_attack(functools.partial(torchattacks.PGD, alpha=spec.step_size, steps=spec.steps, random_start=False))
    ours = craft("torchattacks", prediction_of(network), X, Y, spec, EXAMPLES, 0).images
    assert torch.equal(images(theirs, network, X, Y, "linf", 0.1), ours)


def handed_over() -> dict[str, tuple[Callable[[], object], tuple[str, ...], bool]]:
    """What libraries have: what is handed over, its norms, and whether it goes to the edge of the ball."""
    return {
        "torchattacks:PGD(steps=40)": (lambda: functools.partial(torchattacks.PGD, steps=40), ("linf",), True),
        "torchattacks:PGDL2(alpha=0.02, steps=40)": (
            lambda: functools.partial(torchattacks.PGDL2, alpha=0.02, steps=40),
            ("l2",),
            True,
        ),
        "torchattacks:APGD(steps=20)": (lambda: functools.partial(torchattacks.APGD, steps=20), ("linf", "l2"), False),
        "torchattacks:DeepFool(steps=5)": (lambda: functools.partial(torchattacks.DeepFool, steps=5), ("l2",), False),
        "foolbox:LinfProjectedGradientDescentAttack(rel_stepsize=0.1)": (
            lambda: foolbox.attacks.LinfPGD(rel_stepsize=0.1),
            ("linf",),
            True,
        ),
        "foolbox:L2ProjectedGradientDescentAttack(steps=9)": (lambda: foolbox.attacks.L2PGD(steps=9), ("l2",), False),
        "foolbox:L2DeepFoolAttack": (foolbox.attacks.L2DeepFoolAttack, ("l2",), False),
        "art:ProjectedGradientDescent(eps_step=0.02, max_iter=40)": (
            lambda: functools.partial(ProjectedGradientDescent, eps_step=0.02, max_iter=40),
            ("linf", "l2"),
            True,
        ),
    }


@pytest.mark.parametrize("name", handed_over())
def test_an_attack_of_a_library_is_run_in_its_norms_within_the_radius_that_is_given(name: str) -> None:
    make, norms, to_the_edge = handed_over()[name]
    attack, network = own_attack(make()), Linear()
    assert (attack.name, attack.norms, attack.libraries) == (name, norms, (name.partition(":")[0],))
    for norm in norms:
        found = images(attack, network, CENTRAL, LABELS, norm, 0.1)
        threat = ThreatModel(norm, 0.1)  # type: ignore[arg-type]
        if name != "torchattacks:DeepFool(steps=5)":  # which knows no radius: what is outside does not count
            assert not violations(CENTRAL, found, threat).any()
        if to_the_edge:
            best = optimum(CENTRAL.flatten(1), network.direction(LABELS), attack.spec(threat, Gradient()))
            gain = ((found - CENTRAL).flatten(1) * network.direction(LABELS)).sum(1)
            most = ((best - CENTRAL.flatten(1)) * network.direction(LABELS)).sum(1)
            assert (gain / most).min() > 0.98


def test_functions_of_adv_lib_are_attacks() -> None:
    attacks = pytest.importorskip("adv_lib.attacks", reason="adv-lib is not installed")
    for function, norms in ((attacks.pgd_linf, ("linf",)), (attacks.apgd, ("linf", "l2"))):
        attack = own_attack(function)
        assert (attack.name, attack.norms) == (f"adv_lib:{function.__name__}", norms)
        for norm in norms:
            found = images(attack, Linear(), CENTRAL, LABELS, norm, 0.1)
            assert not violations(CENTRAL, found, ThreatModel(norm, 0.1)).any()  # type: ignore[arg-type]
            assert (found != CENTRAL).any()
    with pytest.raises(ValueError, match="nothing says whether adv_lib:ddn attacks in linf or l2"):
        own_attack(attacks.ddn)


def test_random_numbers_come_from_the_seed_and_leave_no_trace(untouched_global_state: None) -> None:
    attack, network = own_attack(noise), Linear()
    assert attack.norms == ("linf",)
    first, again, other = (images(attack, network, X, LABELS, "linf", 0.1, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gradients_have_their_own_length() -> None:
    """Carlini and Wagner add them to those of a distance; what divides by them would hide that."""
    network, found = small_network(), []

    def gradient(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: object) -> Tensor:
        leaf = x.clone().requires_grad_()
        found.append(torch.autograd.grad(model(leaf).gather(1, y[:, None]).sum(), leaf)[0])
        return x

    images(own_attack(gradient), network, X, Y, "linf", 0.1)
    leaf = X.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(leaf).log_softmax(1).gather(1, Y[:, None]).sum(), leaf)
    assert torch.allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x[:3], r"broken returned images of shape \(3, 1, 8, 8\) for \(7, 1, 8, 8\)"),
        (lambda x: x.where(x < 0.99, torch.nan), "images with pixels that are NaN or infinite"),
        (lambda x: x.tolist(), "broken returned a list, not a tensor"),
    ],
)
def test_what_is_no_batch_of_images_is_an_error(returned: Callable[[Tensor], Tensor], message: str) -> None:
    def broken(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: object) -> Tensor:
        return returned(x.clamp(0, 0.5) + 0.5)

    with pytest.raises(ValueError, match=message):
        images(own_attack(broken), Linear(), X, LABELS, "linf", 0.1)


FILE = """
STRENGTH = {strength}

def attack(model, x, y, *, norm, eps, generator):
    return x + STRENGTH * eps
"""


def test_its_identity_follows_its_file_and_its_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    file = tmp_path / "file_of_an_attack.py"
    file.write_text(FILE.format(strength=1))
    attack = own_attack(f"{file}:attack")
    assert attack.name == "file_of_an_attack:attack"
    before = digest(attack.thing)
    assert before == digest(attack.thing) == attack.digest
    file.write_text(FILE.format(strength=0.5))
    assert digest(attack.thing) != before
    several = [
        functools.partial(attack.thing, strength=1),
        functools.partial(attack.thing, strength=2),
        Scaled(1.0),
        Scaled(0.5),
        torchattacks.PGD,
        functools.partial(torchattacks.PGD, steps=5),
        foolbox.attacks.LinfPGD(steps=5),
        foolbox.attacks.LinfPGD(steps=6),
        *(made(by) for by in (1, 2)),
        lambda x: x,
        lambda x: 2 * x,
        {"a": torch.zeros(2)},
        {"a": torch.ones(2)},
    ]
    assert len({digest(one) for one in several}) == len(several)
    assert digest(Scaled(1.0)) == digest(Scaled(1.0))
    assert digest(made(1)) == digest(made(1))


def test_what_was_typed_in_is_known_by_its_instructions_and_the_globals_that_they_name() -> None:
    def typed(text: str, **values: object) -> object:
        exec(text, values)
        return values["attack"]

    text = "def attack(model, x, y, *, norm, eps, generator):\n    return x + by * eps"
    several = [typed(text, by=1), typed(text, by=2), typed(text.replace("+", "-"), by=1)]
    assert len({digest(one) for one in several}) == 3
    assert digest(typed(text, by=1, unused=3)) == digest(several[0])


def made(by: float) -> Callable[..., Tensor]:
    def attack(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: object) -> Tensor:
        return x + by * eps

    return attack


@pytest.mark.parametrize(
    "handed", [step, Scaled(0.5), torchattacks.PGD, "tests.benchmark.attacks.test_own_attacks:step"]
)
def test_another_process_makes_the_same_attack_of_it(handed: object) -> None:
    attack = own_attack(handed)
    there = pickle.loads(pickle.dumps(attack))
    assert (there, there.digest) == (attack, attack.digest)


@pytest.mark.parametrize(
    ("handed", "message"),
    [
        (lambda model, x, y: x, r"called as attack\(model, x, y, norm=..., eps=..., generator=...\)"),
        (lambda model, x, y, eps: x, "got an unexpected keyword argument 'norm'"),
        (3, "3 is no attack"),
        (Scaled, "Scaled is a class; hand over an instance"),
        ("no_such_module:attack", "cannot import 'no_such_module:attack': ModuleNotFoundError"),
        ("no_such_file.py:attack", "there is no file"),
        ("tests.benchmark.attacks.test_own_attacks:nothing", "has no attribute 'nothing'"),
        (f"{__file__}:", "not of the form package.module:function or file.py:function"),
        (torchattacks.OnePixel, r"nothing says whether torchattacks:OnePixel attacks in linf or l2"),
        (functools.partial(torchattacks.PGD, eps=0.1), "eps=0.1 is the threat model's"),
        (torchattacks.PGD(nn.Identity()), "PGD has a model already: hand over the class"),
        (BasicIterativeMethod, "nothing says whether art:BasicIterativeMethod attacks"),
        (foolbox.attacks.L1PGD(), "nothing says whether foolbox:L1ProjectedGradientDescentAttack attacks"),
    ],
)
def test_what_is_no_attack_is_refused_in_a_line(handed: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        own_attack(handed)
    assert "\n" not in str(caught.value)


def test_an_attack_that_does_not_say_its_norm_may_be_told() -> None:
    attack = functools.partial(BasicIterativeMethod, eps_step=0.01)
    attack.norms = ("linf",)  # type: ignore[attr-defined]
    assert own_attack(attack).norms == ("linf",)
    attack.norms = ("l1",)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="there are: linf, l2"):
        own_attack(attack)


def test_its_spec_has_no_settings_but_its_name_and_threat_model() -> None:
    spec = own_attack(step).spec(ThreatModel("l2", 1.0), Gradient())
    assert spec.name == "tests.benchmark.attacks.test_own_attacks:step-l2"
    assert AttackSpec.from_json(spec.to_json()) == spec
    for changes in ({"steps": 5}, {"step_size": 0.1}, {"random_start": True}, {"decay": 0.9}):
        with pytest.raises(ValueError, match="test_own_attacks:step-l2"):
            replace(spec, **changes)
    with pytest.raises(ValueError, match="is an attack in l2, not in linf"):
        replace(spec, threat=ThreatModel("linf", 1.0))

"""Networks from outside the zoo: named by reference, or registered by an entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.zoo.catalogue.test_registry import plain
from zoo.catalogue import registry as registry_module
from zoo.catalogue.registry import ModelRegistry, external_model, models, register_model


@pytest.fixture
def user_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "user_nets.py").write_text(
        "from torch import nn\n"
        "from zoo import register_model\n"
        "def bare():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
        "@register_model('mnist/user-net', dataset='mnist', family='frequentist')\n"
        "def registered():\n    return bare()\n"
        "net = bare()\n"
        "def dropped():\n    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))\n"
        "def mean_field():\n    from zoo.layers import make_bayesian\n    return make_bayesian(bare())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert len(models)  # load the zoo before it is copied
    monkeypatch.setattr(models, "_entries", dict(models._entries))
    yield "user_nets"
    sys.modules.pop("user_nets", None)


def test_a_users_own_network_takes_part_by_reference(user_package: str) -> None:
    registered = external_model("user_nets:registered")
    assert (registered.name, registered.is_external) == ("mnist/user-net", True)
    bare = external_model("user_nets:bare", "mnist")
    assert (bare.name, bare.family, bare.label) == ("mnist/user_nets:bare", None, "frequentist")
    assert external_model("user_nets:bare", "mnist") is bare
    for reference, message in (
        ("user_nets", "package.module:factory"),
        ("user_nets:nothing", "cannot import"),
        ("no_such_module:f", "cannot import"),
    ):
        with pytest.raises(ValueError, match=message):
            external_model(reference, "mnist")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("user_nets:net", r"'user_nets:net' is a network, a Sequential.* def make\(\)"),
        ("user_nets.py:bare", "write user_nets:bare"),
        ("./user_nets.py:bare", "write user_nets:bare"),
        ("nets/mine.py:bare", "write nets.mine:bare"),
        ("user_nets.py", "write user_nets:factory"),
    ],
)
def test_a_reference_to_something_else_says_what_it_is(user_package: str, reference: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry_module.find_entry(reference, "mnist")


def test_what_is_said_of_a_bare_network_is_taken(user_package: str) -> None:
    mean_field = external_model("user_nets:mean_field", "mnist")
    assert (mean_field.label, mean_field.predictor(3, 0).draws) == ("bayesian", 3)
    dropped = external_model("user_nets:dropped", "mnist", randomness="dropout")
    assert (dropped.label, dropped.predictor(3, 0).draws) == ("bayesian", 3)
    for said in ({"family": "bayesian"}, {"randomness": "dropout"}, {"outputs": "probabilities"}):
        ((field, value),) = said.items()
        with pytest.raises(
            ValueError, match=f"mnist/user-net is registered with {field} .*: leave out {field} '{value}'"
        ):
            external_model("user_nets:registered", **said)


def test_dropout_of_a_bare_network_is_off(user_package: str) -> None:
    assert external_model("user_nets:dropped", "mnist").predictor(3, 0).draws == 1


def test_a_network_in_place_of_a_factory_is_refused_when_it_is_registered() -> None:
    with pytest.raises(ValueError, match=r"what is registered as mnist/net is a network, a Sequential.*def make\(\)"):
        register_model("mnist/net", dataset="mnist", family="frequentist", registry=ModelRegistry())(plain())


def test_a_bare_factory_needs_a_data_set(user_package: str) -> None:
    with pytest.raises(ValueError, match="--dataset"):
        external_model("user_nets:bare")


def test_an_entry_point_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ModelRegistry()

    class Point:
        @staticmethod
        def load() -> Callable[[], None]:
            def register() -> None:
                register_model("mnist/from-entry-point", dataset="mnist", family="frequentist", registry=own)(plain)

            return register

    def points(group: str) -> list[type[Point]]:
        assert group == "robustness_zoo.models"
        return [Point]

    monkeypatch.setattr(registry_module, "entry_points", points)
    assert "mnist/from-entry-point" in own


def test_a_broken_entry_point_is_warned_of_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "broken"

        @staticmethod
        def load() -> None:
            raise ImportError("no module named x")

    monkeypatch.setattr(registry_module, "entry_points", lambda group: [Point])
    with pytest.warns(UserWarning, match="entry point broken .* no module named x"):
        assert "mnist/lenet" not in ModelRegistry()

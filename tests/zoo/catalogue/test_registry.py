"""Registration, look-up, loading, and everything that is refused at load."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo.catalogue import registry as registry_module
from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.registry import ModelRegistry, external_model, models, register_model
from zoo.layers import BayesianConv2d, BayesianLinear

Factory = Callable[[], nn.Module]


def entry_of(factory: Factory, family: str = "frequentist", weights: Path | None = None) -> ZooEntry:
    return ZooEntry("mnist/under-test", "mnist", family, factory, weights, Path(__file__))


def plain(classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, classes))


class Applied(nn.Module):
    """A linear network with something wrong after it."""

    def __init__(self, change: Callable[[Tensor], object], layer: nn.Module | None = None) -> None:
        super().__init__()
        self.linear = plain() if layer is None else nn.Sequential(nn.Flatten(), layer)
        self.change = change

    def forward(self, x: Tensor) -> object:
        return self.change(self.linear(x))


class Before(Applied):
    """A linear network with something wrong before it."""

    def forward(self, x: Tensor) -> object:
        return self.linear(self.change(x))


class OwnDraw(nn.Module):
    """A network with a wrong `draw` method."""

    def __init__(self, draw: Callable[..., object]) -> None:
        super().__init__()
        self.draw = draw


def test_the_zoo_lists_its_entries_and_suggests_near_ones() -> None:
    assert {"mnist/lenet", "mnist/bayesian-lenet", "mnist/lenet-adversarial"} <= set(models)
    with pytest.raises(KeyError, match="mnist/lenet"):
        models["mnist/lent"]
    with pytest.raises(KeyError, match="there are: "):
        models["zzz"]


def test_names_are_unique_and_well_formed() -> None:
    own = ModelRegistry()
    register_model("mnist/a-test", dataset="mnist", family="frequentist", registry=own)(plain)
    with pytest.raises(ValueError, match="registered already"):
        register_model("mnist/a-test", dataset="mnist", family="frequentist", registry=own)(lambda: plain(5))
    with pytest.raises(ValueError, match="mnist/"):
        register_model("lenet", dataset="mnist", family="frequentist", registry=own)(plain)
    with pytest.raises(ValueError, match="no data set 'emnist'"):
        register_model("emnist/x", dataset="emnist", family="frequentist", registry=own)(plain)


def test_a_cell_that_registers_can_be_run_again() -> None:
    """The same function by module and name: what it builds now is what counts."""
    own = ModelRegistry()

    def run_cell(classes: int) -> Factory:
        def net() -> nn.Module:
            return plain(classes)

        return register_model("mnist/in-a-cell", dataset="mnist", family="frequentist", registry=own)(net)

    run_cell(7)
    again = run_cell(10)
    assert own["mnist/in-a-cell"].factory is again
    assert own["mnist/in-a-cell"].build()[1].out_features == 10


@pytest.mark.parametrize(
    ("factory", "family", "message"),
    [
        (lambda: plain(7), "frequentist", r"\(6, 7\).*\(6, 10\)"),
        (lambda: Before(lambda x: x.detach()), "frequentist", "no gradient"),
        (lambda: Before(torch.log), "frequentist", "NaN or infinite"),
        (lambda: nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-13.0)), "bayesian", "degenerate"),
        (lambda: Applied(lambda z: z + torch.randn_like(z), BayesianLinear(784, 10)), "bayesian", "not frozen"),
        (lambda: OwnDraw(plain), "bayesian", r"draw\(generator\) failed"),
        (lambda: OwnDraw(lambda generator: 3), "bayesian", "returned int"),
        (lambda: None, "frequentist", "NoneType is no network"),
        (lambda: Applied(lambda z: z.softmax(-1)), "frequentist", "outputs='probabilities'"),
        (lambda: Applied(lambda z: z.detach()), "frequentist", "no gradient"),
        (lambda: Applied(lambda z: z / 0), "frequentist", "NaN or infinite"),
        (lambda: Applied(lambda z: (z, z)), "frequentist", "returns tuple"),
        (plain, "bayesian", "nothing is random in it"),
        (lambda: Applied(lambda z: z + torch.randn_like(z)), "frequentist", "two passes differ"),
        (lambda: nn.Linear(3, 10), "frequentist", "fails on images of shape"),
    ],
)
def test_what_would_make_its_numbers_wrong_is_refused_by_name(factory: Factory, family: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        entry_of(factory, family).predictor(2, 0)
    assert "mnist/under-test" in str(error.value)


def test_log_probabilities_and_stochastic_forwards_are_welcome() -> None:
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert entry_of(lambda: Applied(lambda z: z.log_softmax(-1))).predictor(8, 0).draws == 1
    for factory in (
        lambda: nn.Sequential(nn.Flatten(), BayesianLinear(784, 10)),
        lambda: Applied(lambda z: z + torch.randn_like(z)),
    ):
        prediction = entry_of(factory, "bayesian").predictor(4, 0)
        assert prediction.draws == 4
        assert torch.equal(prediction(x), prediction(x))


def test_a_frequentist_network_runs_without_its_dropout() -> None:
    entry = entry_of(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10)))
    network, x = entry.build().eval(), torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(entry.predictor(1, 0)(x), network(x).log_softmax(-1), atol=1e-6)


def test_building_is_reproducible_and_leaves_the_global_state_alone(untouched_global_state: None) -> None:
    first, second = entry_of(plain).build(), entry_of(plain).build()
    assert torch.equal(first[1].weight, second[1].weight)


@pytest.fixture
def copied(tmp_path: Path) -> ZooEntry:
    """mnist/lenet with its weights and card in a folder of their own."""
    original = models["mnist/lenet"]
    for end in (".safetensors", ".json"):
        shutil.copy(original.weights.with_suffix(end), tmp_path / f"lenet{end}")
    return ZooEntry(
        original.name, "mnist", original.family, original.factory, tmp_path / "lenet.safetensors", original.source
    )


def test_damaged_truncated_and_missing_weights_are_named(copied: ZooEntry) -> None:
    content = copied.weights.read_bytes()
    for damaged in (content[:-1], content[:5000], b"", content[:-1] + bytes([content[-1] ^ 1])):
        copied.weights.write_bytes(damaged)
        fresh = ZooEntry(**{name: getattr(copied, name) for name in ZooEntry.__dataclass_fields__})
        with pytest.raises(ValueError, match=r"lenet\.safetensors has sha256"):
            fresh.build()
        with pytest.raises(ValueError, match="sha256"):
            _ = fresh.fingerprint
    copied.weights.unlink()
    with pytest.raises(ValueError, match=r"python -m zoo\.train mnist/lenet"):
        copied.build()


def test_weights_of_another_network_and_a_broken_card_are_named(copied: ZooEntry) -> None:
    card = copied.weights.with_suffix(".json")
    card.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        copied.build()
    card.unlink()
    wrong = ZooEntry(copied.name, "mnist", "frequentist", plain, copied.weights, copied.source)
    with pytest.raises(ValueError, match=r"does not fit the network: 2 missing.* \(1\.weight, 1\.bias\); 10 not in"):
        wrong.build()


def test_weights_saved_from_a_wrapper_or_of_another_width_are_told_in_a_line(tmp_path: Path) -> None:
    wide = nn.Sequential(nn.Flatten(), nn.Linear(784, 11))
    for network, message in (
        (nn.DataParallel(plain()), "its names begin with 'module.'"),
        (wide, r"2 of another shape \(1.weight \(11, 784\) where the network has \(10, 784\), 1.bias"),
    ):
        save_file(network.state_dict(), tmp_path / "net.safetensors")
        with pytest.raises(ValueError, match=message) as error:
            entry_of(plain, weights=tmp_path / "net.safetensors").build()
        assert "\n" not in str(error.value)


def test_the_fingerprint_of_a_posterior_is_of_what_determines_its_draws() -> None:
    def fingerprint(stride: int = 1, **options: object) -> str:
        layer = BayesianConv2d(1, 2, 5, stride, mu=(0.1, 0.0), **options)
        return entry_of(lambda: layer, "bayesian").fingerprint

    assert fingerprint() == fingerprint(prior=3.0, sampling="activations")
    assert len({fingerprint(), fingerprint(stride=2), fingerprint(rho=-4.0)}) == 3


def test_the_fingerprint_follows_weights_and_for_external_networks_the_source(tmp_path: Path) -> None:
    source = tmp_path / "nets.py"
    source.write_text("version 1")

    def fingerprint(factory: Factory) -> str:
        return ZooEntry("mnist/x", "mnist", "frequentist", factory, None, source).fingerprint

    first = fingerprint(plain)
    assert fingerprint(plain) == first
    assert fingerprint(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False))) != first
    source.write_text("version 2")
    assert fingerprint(plain) != first


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


def test_a_factory_that_fails_is_named() -> None:
    def failing() -> nn.Module:
        raise TypeError("forgot an argument")

    with pytest.raises(ValueError, match="mnist/under-test: its factory failed: TypeError: forgot"):
        entry_of(failing).build()

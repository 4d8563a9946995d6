"""Registration, look-up, loading, and everything that is refused at load."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.registry import ModelRegistry, models, register_model
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


def test_missing_weights_of_somebodys_own_network_are_not_looked_for_in_the_zoo(copied: ZooEntry) -> None:
    own = entry_of(plain, weights=copied.weights.with_name("none.safetensors"))
    with pytest.raises(ValueError, match=r"none\.safetensors; put the safetensors there") as error:
        own.build()
    assert Path(__file__).name in str(error.value)  # from where weights= is seen
    assert "zoo.train" not in str(error.value)


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


def test_a_factory_that_fails_is_named() -> None:
    def failing() -> nn.Module:
        raise TypeError("forgot an argument")

    with pytest.raises(ValueError, match="mnist/under-test: its factory failed: TypeError: forgot"):
        entry_of(failing).build()

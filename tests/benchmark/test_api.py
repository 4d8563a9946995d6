"""`evaluate`: networks in memory, by function and by name, give what the command line gives; nothing is left behind."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from benchmark import PGD, Results, compare, evaluate
from benchmark.records.store import Store
from benchmark.run import app
from zoo import models
from zoo.layers import make_bayesian
from zoo.seeding import forked_random_state

FAST = {"suite": "smoke", "examples": 5, "attacks": ["fgsm", "pgd-l2"], "libraries": ["foolbox"]}


class Small(nn.Module):
    """At the top of a file, so that other processes can be sent it."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.linear = nn.Dropout(0.5), nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.drop(x.flatten(1)))


def small(seed: int = 0) -> Small:
    with forked_random_state(seed):
        return Small()


def keys(results: Results) -> set[str]:
    return {record.key for record in results.records}


def test_a_network_in_memory_is_evaluated_and_left_as_it_is(untouched_global_state: None) -> None:
    net = small().train()
    before = copy.deepcopy(net.state_dict())
    results = evaluate(net, "mnist", family="mc-dropout", randomness="dropout", **FAST)
    assert {board.norm for board in results.boards} == {"linf", "l2"}
    assert {record.family for record in results.records} == {"mc-dropout"}
    assert len(results.df) == 2 * 5
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert "mnist/Small" not in models  # nor is anything registered
    assert "Small" in repr(results)
    assert results.errors == {}


def test_it_is_the_same_network_until_it_is_trained_on(tmp_path: Path) -> None:
    net, store = small(), tmp_path / "r.sqlite"
    first = evaluate(net, "mnist", family="frequentist", store=store, **FAST)
    assert keys(evaluate(net, "mnist", family="frequentist", store=store, **FAST)) == keys(first)
    with torch.no_grad():
        net.linear.weight.add_(0.01)
    assert not keys(evaluate(net, "mnist", family="frequentist", store=store, **FAST)) & keys(first)
    with Store(store) as opened:
        assert len(list(opened.records())) == 4


def test_nothing_is_written_without_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluate(small(), "mnist", family="frequentist", **FAST)
    assert list(tmp_path.iterdir()) == []


def test_the_callers_number_of_threads_is_what_it_was() -> None:
    """Also where nothing could be evaluated."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        evaluate(small(), "mnist", family="frequentist", threads=1, **FAST)
        assert torch.get_num_threads() == 3
        with pytest.raises(ValueError, match="fails on images of shape"):
            evaluate(nn.Linear(3, 10), "mnist", family="frequentist", threads=2, **FAST)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_same_call_gives_the_keys_of_the_command_line(tmp_path: Path) -> None:
    here = evaluate("mnist/lenet", suite="smoke", examples=5, eps={"linf": [0.2], "l2": [0.7]})
    arguments = [
        "--suite",
        "smoke",
        "--model",
        "mnist/lenet",
        "--examples",
        "5",
        "--eps",
        "linf=0.2",
        "--eps",
        "l2=0.7",
    ]
    result = CliRunner().invoke(app, [*arguments, "--store", str(tmp_path / "r.sqlite")])
    assert result.exit_code == 0, result.output
    with Store(tmp_path / "r.sqlite") as store:
        assert {record.key: record.outcome for record in store.records()} == {r.key: r.outcome for r in here.records}


def test_several_networks_are_ranked_beside_each_other_and_compared() -> None:
    nets = [small(0).eval(), small(1).eval(), lambda: small(2)]
    results = evaluate([*nets, "mnist/lenet"], "mnist", family="frequentist", **FAST)
    names = {entry.name for entry in results.entries}
    assert names == {"mnist/Small", "mnist/Small-2", "mnist/<lambda>", "mnist/lenet"}
    lenet = evaluate("mnist/lenet", **FAST)
    table = compare(lenet, evaluate(small(), "mnist", family="frequentist", **FAST))
    assert table["images"].tolist() == [5, 5]
    with pytest.raises(ValueError, match="results of one network each"):
        compare(results, lenet)


def test_worker_processes_are_sent_the_network(tmp_path: Path) -> None:
    net = make_bayesian(small(), rho=-3.0)
    options = {**FAST, "threads": 1, "data": "mnist", "family": "bayesian"}
    here, there = evaluate(net, **options), evaluate(net, workers=2, **options)
    assert {r.key: r.outcome for r in there.records} == {r.key: r.outcome for r in here.records}


def test_what_cannot_be_sent_to_other_processes_is_refused() -> None:
    class Local(Small):
        pass

    with pytest.raises(ValueError, match=r"Local cannot be sent to worker processes .*leave out workers"):
        evaluate(Local(), "mnist", family="frequentist", workers=2, **FAST)
    adapters = {"foolbox": lambda model, x, y, spec, start: x}
    with pytest.raises(ValueError, match="run in this process alone"):
        evaluate(small(), "mnist", family="frequentist", workers=2, adapters=adapters, **FAST)
    idle = evaluate(small(), "mnist", family="frequentist", adapters=adapters, **FAST)
    assert (idle.df["distance"] == 0).all()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (small(), {"family": "frequentist"}, r"evaluate\(model, 'mnist', ...\)"),
        (3, {"data": "mnist"}, "3 is no network"),
        (small(), {"data": "mnits"}, "did you mean mnist"),
        (small(), {"data": ([], [])}, r"data is a tuple: .*Data.from_arrays"),
        (small(), {"data": "mnist", "randomness": "members"}, r"no method members\(\).*Give a list of networks"),
        ("mnist/lennet", {}, "did you mean mnist/lenet"),
        ("mnist/lenet", {"suite": "whitbox"}, "did you mean whitebox"),
        ("mnist/lenet", {"examples": 0}, "examples must be at least 1"),
        ("mnist/lenet", {"data": "cifar10"}, "mnist/lenet is for mnist, not for cifar10: give a network for"),
        ("mnist/lenet", {"name": "mine", "accuracy": 0.5}, "is registered.*leave out name='mine', accuracy=0.5"),
        ("mnist/lenet", {"eps": "8/0"}, "eps '8/0' is not a number such as 0.3 or 8/255"),
        ("mnist/lenet", {"eps": {"linf": None}}, "eps None is not a number"),
        ("mnist/lenet", {"libraries": "foolboks"}, "no library 'foolboks'"),
        ("mnist/lenet", {"attacks": [PGD]}, r"PGD is a kind of attack: give PGD\(\), with its settings"),
        ("mnist/lenet", {"eps": {"l1": [1]}}, "no norm 'l1'"),
        (small(), {"data": "mnist", "family": "frequentist", "accuracy": 0.97}, "registered with an accuracy"),
        (nn.Linear(3, 10), {"data": "mnist", "family": "frequentist"}, "fails on images of shape"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_line(model: object, options: dict, message: str) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        evaluate(model, **options)


def test_one_of_a_kind_may_stand_alone_and_numbers_be_written_as_people_do() -> None:
    alone = evaluate(small(), "mnist", **{**FAST, "attacks": "fgsm", "libraries": "foolbox"}, eps="8/255")
    several = evaluate(small(), "mnist", **{**FAST, "attacks": ["fgsm"]}, eps={"linf": (8 / 255,)})
    assert keys(alone) == keys(several)
    with pytest.warns(UserWarning, match="eps 8 in linf is more than pixels range over, 0 to 1; was 8/255 meant"):
        evaluate(small(), "mnist", **FAST, eps={"linf": 8})
    said = evaluate(small(), "mnist", **FAST, normalize=(0.13, 0.3))
    assert keys(said) == keys(evaluate(small(), "mnist", **FAST, normalize=((0.13,), (0.3,))))


def test_what_was_compiled_is_the_network_that_it_was_made_of() -> None:
    assert keys(evaluate(torch.compile(small()), "mnist", **FAST)) == keys(evaluate(small(), "mnist", **FAST))


def test_the_door_is_imported_when_it_is_used() -> None:
    """`--help` stays fast."""
    code = (
        "import benchmark, sys; assert 'torch' not in sys.modules; benchmark.Results; assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

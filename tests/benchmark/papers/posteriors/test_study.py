"""A small problem from training to table: every kind of posterior is made, attacked, measured, and not made again."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from benchmark.papers.posteriors import study as study_module
from benchmark.papers.posteriors.__main__ import app
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS, PUBLISHED, TRAININGS, Posterior, Problem
from benchmark.papers.posteriors.measures import measures_of
from benchmark.papers.posteriors.outcomes import FOLDER, Outcomes, read_outcomes
from benchmark.papers.posteriors.study import Study
from benchmark.papers.posteriors.suite import EPS
from benchmark.papers.posteriors.tables import MEASURES, SAMPLING
from benchmark.plan.cells import Reading
from benchmark.records.store import Store
from zoo.catalogue.samplers import Dropout, Ensemble, Hmc, Laplace, Swag
from zoo.datasets import Split, load_split
from zoo.posteriors import SampledNetwork, posterior_of
from zoo.prediction.expected import ExpectedPrediction

SIZE, IMAGES = 12, 60


def _small(kind: Posterior) -> Posterior:
    """The same in little time, on 60 images."""
    small: dict[type, dict[str, object]] = {
        Hmc: {"epochs": 8, "max_lr": 0.02, "sampler": Hmc(TRAININGS, 4, keep=TRAININGS * 4)},
        Dropout: {"sampler": Dropout(0.5, draws=SIZE)},
        Swag: {"epochs": 3, "batch_size": 10, "sampler": Swag(rank=2, draws=SIZE)},
    }
    if kind.recipe.optimizer == "l-bfgs":  # to convergence, which takes its time
        small |= {type(None): {"optimizer": "adam", "max_lr": 3e-3}, Ensemble: {"optimizer": "adam", "max_lr": 3e-3}}
    changes = {"epochs": 2, "images": IMAGES, "batch_size": IMAGES, **small.get(type(kind.recipe.sampler), {})}  # type: ignore[arg-type]
    return dataclasses.replace(kind, recipe=dataclasses.replace(kind.recipe, **changes))  # type: ignore[arg-type]


TWINS = PROBLEMS["twins"].posteriors
KINDS = (MAP, "ensemble-5", "dropout", "mean-field-t1", "mean-field-zoo", "swag", EXACT, PUBLISHED)
ATTACKED = (MAP, "ensemble-5", EXACT)
PROBLEM = dataclasses.replace(
    PROBLEMS["mlp"],
    name="small",
    images=IMAGES,
    size=SIZE,
    posteriors={name: _small({**TWINS, **PROBLEMS["mlp"].posteriors}[name]) for name in KINDS},
)


@pytest.fixture(scope="module", autouse=True)
def _few_eps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EPS, "mnist", {"linf": (0.05, 0.2), "l2": (1.0, 2.0)})
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """With MNIST's test images in the role of those to train on, as these alone are everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_module, "load_split", _split)
        made = Study(PROBLEM, tmp_path_factory.mktemp("study"), None, 8)
        lines = list(made.run(ATTACKED))
    assert len(lines) == len(ATTACKED) * TRAININGS
    for kind in KINDS:
        made.making.entry(kind, 1)
    return made


def _split(dataset: str, which: str, root: Path | None) -> Split:
    test = load_split(dataset, "test", root)
    return dataclasses.replace(test, images=test.images[:300], labels=test.labels[:300])


def _states(study: Study, kind: str, training: int) -> dict[str, torch.Tensor]:
    return load_file(study.making.path(kind, training))


def test_every_kind_has_its_members(study: Study) -> None:
    counts = {kind: len(_states(study, kind, 1)["fc1.weight"]) for kind in KINDS}
    drawn = dict.fromkeys(("dropout", "mean-field-t1", "mean-field-zoo", "swag", PUBLISHED), SIZE)
    assert counts == {MAP: 1, "ensemble-5": 5, EXACT: 4, **drawn}
    for kind in KINDS:
        first, second = (_states(study, kind, training)["fc1.weight"] for training in (1, 2))
        assert not torch.equal(first, second)
        network = study.making.entry(kind, 1).build()
        assert isinstance(network, SampledNetwork) == (kind != MAP)
        assert posterior_of(network).is_sample == (kind not in (MAP, "ensemble-5"))


def test_draws_of_the_zoos_own_twin_are_networks_of_its_architecture(study: Study) -> None:
    """Which has other activations than the architecture of the problem."""
    network, images = study.making.entry("mean-field-zoo", 1).build(), torch.rand(3, 1, 28, 28)
    (member, *_) = posterior_of(network).draws(SIZE, 0)
    kinds = {type(layer) for layer in member.modules()}
    assert nn.Softplus in kinds
    assert nn.ReLU not in kinds
    assert member(images).shape == (3, 10)


def test_dropouts_draws_are_networks_with_units_left_out(study: Study) -> None:
    """Of a draw's last layer half of the columns are zero, the others twice those of the trained network."""
    weights = _states(study, "dropout", 1)["fc2.weight"]
    left_out = (weights == 0).all(1)
    assert 0.3 < left_out.double().mean() < 0.7
    kept = [draw[:, ~out] for draw, out in zip(weights, left_out, strict=True)]
    both = ~left_out[0] & ~left_out[1]
    assert torch.equal(weights[0][:, both], weights[1][:, both])
    assert all((part != 0).any() for part in kept)
    assert len(_states(study, "dropout", 1)["fc1.weight"].unique(dim=0)) == 1


def test_hmc_as_published_has_nine_samples_drawn_with_replacement(study: Study) -> None:
    distinct = _states(study, PUBLISHED, 1)["fc1.weight"].flatten(1).unique(dim=0)
    assert 1 < len(distinct) <= 9


def test_the_table_has_every_attack_on_every_network(study: Study, tmp_path: Path) -> None:
    folder = study.write(tmp_path)
    assert folder == tmp_path / FOLDER / "small"
    found = Outcomes(read_outcomes(folder))
    for kind in ATTACKED:
        reading = Reading.HEADLINE if kind in (MAP, "ensemble-5") else Reading.SAMPLE
        for norm in ("linf", "l2"):
            by_eps = [found.survivors("small", kind, threat, reading) for threat in found.threats("small", norm)]
            assert all(one.shape == (TRAININGS, 8) for one in by_eps)
            means = [float(one.mean()) for one in by_eps]
            assert means == sorted(means, reverse=True)
    transfers = found.frame[found.frame["attacker"] == "transfer"].groupby("posterior").size()
    assert set(transfers.index) == set(ATTACKED)  # from the maximum to all, from HMC to the maximum
    sampling = json.loads((folder / "sampling.json").read_text())
    assert {kind: [*trainings] for kind, trainings in sampling.items()} == {
        "ensemble-5": ["1", "2", "3"],
        "dropout": ["1", "2", "3"],
        "swag": ["1", "2", "3"],
        EXACT: ["1"],
    }
    measured = pd.read_csv(folder / "measures.csv")
    assert len(measured) == len(ATTACKED) * TRAININGS
    assert (measured[measured["posterior"] == MAP]["mutual_information"] == 0).all()
    assert (measured[measured["posterior"] == EXACT]["mutual_information"] > 0).all()


def test_nothing_is_made_or_attacked_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "load_split", _split)
    before = {path: path.stat().st_mtime_ns for path in study.making.folder.rglob("*.safetensors")}
    again = Study(PROBLEM, study.making.folder.parent, None, 8)
    assert next(again.run(["dropout"])).startswith("mnist/small-dropout-1-")  # beside an exact posterior that is there
    assert next(again.run([EXACT])).startswith("mnist/small-hmc-1-")
    assert before == {path: path.stat().st_mtime_ns for path in study.making.folder.rglob("*.safetensors")}
    assert again.left([EXACT, "swag"]) == {EXACT: "3 made, 3 measured", "swag": "3 made, 0 measured"}
    other = dataclasses.replace(PROBLEM, prior=1.0)
    assert Study(other, study.making.folder.parent, None, 8).left([EXACT]) == {EXACT: "0 made, 0 measured"}


def test_a_network_that_is_made_again_is_in_the_table_once(study: Study, tmp_path: Path) -> None:
    """With its last outcomes, of whatever network of that name they are."""
    before = read_outcomes(study.write(tmp_path / "before"))
    with Store(study.store) as store:
        own = (record for record in store.records() if record.cell.model == study.making.name(EXACT, 1))
        first = next(record for record in own if record.cell.only is None)
        later = {**first.provenance, "finished": "2100-01-01T00:00:00+00:00"}
        worse = {library: dataclasses.replace(one, correct=[False] * 8) for library, one in first.outcomes.items()}
        store.put(dataclasses.replace(first, key="another", outcomes=worse, provenance=later))
    after = read_outcomes(study.write(tmp_path / "after"))
    assert len(after) == len(before)
    assert (after["images"] == 8).all()
    changed = after[after["each"] != before["each"]]  # of one attacker; nobody is attacked again at larger eps
    assert len(changed.groupby(["posterior", "training", "norm", "reading", "attacker"])) <= 1
    assert (changed["survive"] == 0).all()
    assert (after.loc[after["posterior"] == EXACT, "survive"] == 0).any()


def test_what_was_written_of_other_kinds_stays(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it was made as it is now: a study can be run kind by kind, and on several machines."""
    monkeypatch.setattr(study_module, "load_split", _split)
    folder = study.write(tmp_path)
    whole, measures = read_outcomes(folder), pd.read_csv(folder / MEASURES)
    empty = Study(PROBLEM, tmp_path / "elsewhere", None, 8)
    assert empty.write(tmp_path) == folder
    pd.testing.assert_frame_equal(read_outcomes(folder), whole)
    pd.testing.assert_frame_equal(pd.read_csv(folder / MEASURES), measures)
    sampled = {kind for kind in measures["posterior"] if PROBLEM.posteriors[kind].recipe.sampler is not None}
    assert set(json.loads((folder / SAMPLING).read_text())) == sampled >= {"ensemble-5", EXACT}
    wider = {**PROBLEM.posteriors, MAP: dataclasses.replace(PROBLEM.posteriors[MAP], rho=-4.0)}
    Study(dataclasses.replace(PROBLEM, posteriors=wider), tmp_path / "elsewhere", None, 8).write(tmp_path)
    assert set(read_outcomes(folder)["posterior"]) == {*whole["posterior"]} - {MAP}
    assert set(pd.read_csv(folder / MEASURES)["posterior"]) == {*measures["posterior"]} - {MAP}


def test_a_maximum_that_was_made_as_a_source_alone_is_not_in_the_table(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine it is another network: an image that both survive is not what one of them survives."""
    monkeypatch.setattr(study_module, "load_split", _split)
    before = read_outcomes(study.write(tmp_path))
    elsewhere = Study(PROBLEM, tmp_path / "elsewhere", None, 8)
    list(elsewhere.run(["dropout"]))
    after = read_outcomes(elsewhere.write(tmp_path))
    assert set(after["posterior"]) == {*before["posterior"], "dropout"}
    of_before = after[after["posterior"] != "dropout"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_before, before[before["posterior"] != "dropout"].reset_index(drop=True))


def test_a_damaged_network_is_not_half_read(study: Study) -> None:
    path = study.making.path("swag", 3)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    try:
        with pytest.raises(ValueError, match=r"is damaged .*delete it to make it again"):
            study.making.entry("swag", 3).build()
    finally:
        path.write_bytes(content)


def test_measures_are_those_of_the_average_prediction(study: Study) -> None:
    entry, test = study.making.entry(EXACT, 1), study.making.test
    found = measures_of(entry, test)
    members = posterior_of(entry.build()).draws(4, 0)
    with torch.no_grad():
        p = torch.stack([member(test.pixels()).softmax(-1) for member in members]).mean(0)
    labels = torch.from_numpy(test.labels.copy())
    assert found.members == 4
    assert found.accuracy == pytest.approx(float((p.argmax(-1) == labels).double().mean()))
    assert found.negative_log_likelihood == pytest.approx(float(F.nll_loss(p.log(), labels)), rel=1e-4)
    x, y = test.sample(200, "gradients")
    halves = []
    for half in (members[:2], members[2:]):
        leaf = x.clone().requires_grad_()
        F.nll_loss(ExpectedPrediction(half)(leaf), y, reduction="sum").backward()
        assert leaf.grad is not None
        halves.append(leaf.grad.flatten(1))
    expected = (halves[0] * halves[1]).sum(1).clamp_min(0).sqrt().mean()
    assert found.limit == pytest.approx(float(expected), rel=1e-3)
    # more draws average out what each adds of its own
    assert found.norms[4] < found.norms[1] * 1.05
    assert math.isfinite(found.calibration_error)


def test_every_recipe_of_the_study_is_one_that_can_be_run() -> None:
    """A recipe checks itself when it is made; and each posterior has as many members as its problem says."""
    for problem in PROBLEMS.values():
        assert isinstance(problem, Problem)
        for name, kind in problem.posteriors.items():
            sampler = kind.recipe.sampler
            if sampler is None or isinstance(sampler, Ensemble):
                continue
            assert sampler.size == (TRAININGS if kind.has_chains else 1) * problem.size, name
            assert kind.recipe.prior == problem.prior
            assert kind.recipe.images == problem.images
            assert isinstance(sampler, Laplace | Swag) == kind.starts_at_map


def test_the_command_says_what_is_left_without_data_and_asks_for_it_before_any_work(tmp_path: Path) -> None:
    nowhere = ["--problem", "mlp", "--problem", "lenet-1000", "--folder", str(tmp_path), "--data-root", str(tmp_path)]
    told = CliRunner().invoke(app, [*nowhere, "--list"])
    assert told.exit_code == 0, told.output
    assert "lenet-1000: lenet on 1,000 images of mnist" in told.output
    assert told.output.count("3 trainings: 0 made, 0 measured") == sum(
        len(PROBLEMS[name].posteriors) for name in ("mlp", "lenet-1000")
    )
    refused = CliRunner().invoke(app, nowhere)
    assert refused.exit_code != 0
    assert "mnist not found" in refused.output
    assert list(tmp_path.iterdir()) == []

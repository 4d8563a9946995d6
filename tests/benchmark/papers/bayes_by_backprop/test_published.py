"""Published numbers beside ours: ours are those of cards and examples, and what is missing is said to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.papers.bayes_by_backprop.page import NOT_MEASURED, toolkit_page
from benchmark.papers.bayes_by_backprop.published import PUBLISHED, Sources, read_studies


def ours(sources: Sources) -> dict[str, str | None]:
    return {row.what: row.ours(sources) for row in PUBLISHED}


def test_accuracies_are_those_of_the_cards() -> None:
    found = ours(Sources({"mnist/bayesian-mlp": {"results": {"accuracy": 0.97123}}}, {}))
    assert found["Bayesian MLP on MNIST, accuracy"] == "97.12 %"
    assert found["MLP on MNIST, accuracy"] is None


def test_numbers_are_those_that_the_examples_wrote(tmp_path: Path) -> None:
    histories = {
        "lenet": [{"accuracy": 0.9, "validation accuracy": 0.6}],
        "bayesian-lenet": [
            {"epoch": epoch, "sigma": 0.05 / epoch, "accuracy": 0.7, "validation accuracy": 0.65} for epoch in (1, 2, 5)
        ],
    }
    (tmp_path / "bayesian-cnn.json").write_text(json.dumps({"histories": histories}))
    (tmp_path / "regression.json").write_text(
        json.dumps({"standard_at_100": -12.34, "bayesian_loss_last": 1, "standard_losses_every_5000": [3, 2]})
    )
    found = ours(Sources({}, read_studies(tmp_path)))
    assert found["sigma over epochs 1, 5, 20, 50, 100"] == "0.0500, 0.0100"
    assert found["the same, Bayesian"] == "70.0 against 65.0 %"
    assert found["regression, standard network at x = 100"] == "-12.3"
    assert found["entropy on Gaussian noise, MLP"] is None


def test_the_kl_is_computed() -> None:
    assert ours(Sources({}, {}))["KL of one weight, mu 0.05, rho -5, prior 0.1"] == "2.33 nats"


def test_the_page_says_what_was_not_measured_and_its_tables_hold_together(tmp_path: Path) -> None:
    table = tmp_path / "studies" / "uncertainty" / "cifar10-jpeg" / "net.csv"
    table.parent.mkdir(parents=True)
    table.write_text("images,count,accuracy,entropy\ncifar10-jpeg,10,0.5,0.25\nuniform-noise,10,,1.5\n")
    page = toolkit_page(tmp_path / "studies")
    assert NOT_MEASURED in page
    assert "### cifar10-jpeg/net" in page
    assert "studies/uncertainty/cifar10-jpeg/net.png" in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    tables = "\n".join(line if line.startswith("|") else "" for line in page.splitlines()).split("\n\n")
    for rows in (part.strip().splitlines() for part in tables if part.strip()):
        assert len({row.count("|") for row in rows}) == 1, rows[0]
    assert any("1.5000" in line for line in lines)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "digits.json").write_text("{")
    with pytest.raises(ValueError, match=r"digits\.json is not JSON"):
        read_studies(tmp_path)

"""Published numbers beside ours: ours are those of cards and examples, and what is missing is said to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.pages.propagation import TABLE_3, propagation_page
from benchmark.pages.toolkit import NOT_MEASURED, toolkit_page
from benchmark.published import PUBLISHED, Sources, read_studies
from benchmark.tables import markdown


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


def test_the_page_about_propagation_has_what_was_measured_and_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "propagation"
    (folder / "entries" / "mnist").mkdir(parents=True)
    (folder / "entries" / "mnist" / "net.csv").write_text('prediction,"KL, nats",accuracy\n8 draws,0.000123456,0.5\n')
    (folder / "accuracy-lenet.csv").write_text(
        'case,stage,"AP1, mean","AP2, mean","AP2, sigma","AP1, KL","AP2, KL","AP2 simplified, KL"\n'
        "noise,C1,0.5,0.25,1.125,,,\nnoise,softmax,,,,0.75,0.0625,0.125\n"
    )
    (folder / "dropout.csv").write_text(
        "run,epoch,loss,accuracy,validation accuracy\n"
        "none,1,2.0,0.25,0.25\nnone,2,1.5,0.5,0.375\nanalytic,1,3.0,0.1,0.1\nanalytic,2,1.25,0.5,0.625\n"
    )
    page = propagation_page(tmp_path)
    assert "| 8 draws      | 0.000123   | 0.5        |" in page
    for line in (
        "| none           | 1.500           | 50.0 %     | 37.5 %",
        "| analytic       | 1.250           | 50.0 %",
    ):
        assert line in page
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| noise")
    ]
    assert rows == [
        ["noise", "AP1, mean", "0.50", "0.75"],
        ["noise", "AP2, mean", "0.25", "0.0625"],
        ["noise", "AP2, sigma", "1.12", "0.125"],
    ]
    assert "table 4" not in page
    assert "What it costs" not in page
    for case in TABLE_3:  # the paper's own rows are complete, and never hidden
        assert page.count(f"| {case} ") == 3


def test_a_row_that_lacks_a_column_is_empty_there() -> None:
    lines = markdown([{"a": 1, "b": 2}, {"a": 3}]).splitlines()
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == ["3", ""]

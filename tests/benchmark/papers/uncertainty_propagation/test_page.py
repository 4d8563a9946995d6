"""The page about propagation: what was measured, and no more."""

from __future__ import annotations

from pathlib import Path

from benchmark.papers.uncertainty_propagation.page import propagation_page
from benchmark.papers.uncertainty_propagation.published import TABLE_3


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

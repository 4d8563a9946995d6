"""What is right where one draw answers each query, from records whose votes are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.outcomes import Trained
from benchmark.papers.posteriors.queries import QUERIES, SHARES, queries_of, read_queries, write_queries
from benchmark.papers.posteriors.suite import POSTERIOR_SUITE, Attacker, attacker_of
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.records.record import Record
from tests.benchmark.handmade import make, outcome

SAMPLES = Subject("mnist/a-hmc-1", "mnist", 10_000, deterministic=False, members=100, is_sample=True)
NETWORK = {SAMPLES.model: Trained("a", "hmc", 1)}


def _voted(cell: Cell, images: Sequence[int], clean: Sequence[int], attacked: Sequence[int]) -> Record:
    """Of so many of the 50 draws that judge each image."""

    def of(votes: Sequence[int]) -> dict[str, list[int]]:
        return {"right_draws": [*votes], "majority": [label if vote > 25 else 9 for vote in votes]}

    label = 3
    record = make(cell.model, "fgsm", 0.1, {name: [vote > 25 for vote in attacked] for name in cell.libraries})
    outcomes = {name: dataclasses.replace(one, **of(attacked)) for name, one in record.outcomes.items()}
    right = dataclasses.replace(outcome([vote > 25 for vote in clean]), **of(clean))
    labels = [label] * len(images)
    return dataclasses.replace(record, cell=cell, examples=[*images], labels=labels, clean=right, outcomes=outcomes)


def test_the_most_harmful_image_of_all_attacks_and_smaller_eps_answers() -> None:
    cells = {
        attacker_of(cell): cell
        for cell in POSTERIOR_SUITE.cells([SAMPLES], Selection(examples=2))
        if cell.attack.threat.norm == "linf" and cell.reading is Reading.SAMPLE
    }
    smallest, single = cells[Attacker.ALL], cells[Attacker.SINGLE]
    assert smallest.judge_draws == 50
    larger = dataclasses.replace(
        smallest, attack=dataclasses.replace(smallest.attack, threat=ThreatModel("linf", 0.05)), only=(1,)
    )
    records = [
        _voted(smallest, [0, 1], [50, 50], [20, 50]),
        _voted(single, [0, 1], [50, 50], [30, 45]),
        _voted(larger, [1], [50], [10]),
    ]
    at = {line["eps"]: [line[share] for share in SHARES] for line in queries_of(records, NETWORK).to_dict("records")}
    assert at[0.02] == pytest.approx([(0.4 + 0.9) / 2, (0.4**10 + 0.9**10) / 2, 0.9**100 / 2, 0.5], abs=1e-4)
    assert at[0.05] == pytest.approx([(0.4 + 0.2) / 2, 0.4**10 / 2, 0, 0], abs=1e-4)
    own = [
        dataclasses.replace(record, cell=dataclasses.replace(record.cell, reading=Reading.HEADLINE))
        for record in records
    ]
    assert not len(queries_of(own, NETWORK))  # who knows the draws that judge knows which one answers


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    assert not len(read_queries(tmp_path))
    path = tmp_path / QUERIES
    write_queries(read_queries(tmp_path), tmp_path)
    assert not len(read_queries(tmp_path))
    header = path.read_text()
    path.write_text(header + "hmc,1,linf,0.1,0.4,0.1,0.0,37\n")
    with pytest.raises(ValueError, match=r"queries\.csv has what is no share between 0 and 1"):
        read_queries(tmp_path)
    path.write_text(header.replace(",majority", ""))
    with pytest.raises(ValueError, match=r"queries\.csv lacks majority"):
        read_queries(tmp_path)

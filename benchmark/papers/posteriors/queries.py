"""One draw a query: what is right where each query is answered by one of the judge's draws, in a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmark.attacks.methods import Norm
from benchmark.papers.posteriors.outcomes import Trained
from benchmark.papers.posteriors.suite import POSTERIOR_SUITE
from benchmark.plan.cells import Reading
from benchmark.records.record import Record
from benchmark.results.readings import SUBMISSIONS, one_draw
from zoo.files import write_whole

QUERIES = "queries.csv"  # beside the outcomes
MAJORITY = "majority"
SHARES = (*map(str, SUBMISSIONS), MAJORITY)
COLUMNS = ("posterior", "training", "norm", "eps", *SHARES)


def queries_of(records: Iterable[Record], networks: dict[str, Trained]) -> pd.DataFrame:
    """A line for each network whose half of the samples judged, and each eps: shares of the attacked images.

    By submissions the expected share that is right in every one of so many, each answered by one draw of the judge's
    half; and that of images that most of these draws are right on. On the most harmful images of all attacks of the
    other half at this eps or a smaller one, whose ball the larger one holds.
    """
    found: dict[tuple[Trained, Norm], list[Record]] = defaultdict(list)
    for record in records:
        if record.complete and record.cell.reading is Reading.SAMPLE:
            found[networks[record.cell.model], record.cell.attack.threat.norm].append(record)
    rows = []
    for (network, norm), of_norm in found.items():
        images = {image: True for record in of_norm for image in record.examples}
        for eps in POSTERIOR_SUITE.grid(of_norm[0].cell.dataset)[norm]:
            within = [record for record in of_norm if record.cell.attack.threat.eps <= eps]
            if (one := one_draw(within, images)) is not None:
                shares = (*(one.of[count] for count in SUBMISSIONS), one.majority.value)
                rows.append((network.posterior, network.training, norm, eps, *(round(share, 4) for share in shares)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_queries(frame: pd.DataFrame, folder: Path) -> None:
    """Sorted, beside the outcomes, whole or not at all."""
    write_whole(folder / QUERIES, frame.sort_values(list(COLUMNS[:4])).to_csv(index=False).encode())


def read_queries(folder: Path) -> pd.DataFrame:
    """Without a line where there is no table. Raises ValueError for one that lacks a column or has no shares."""
    path = folder / QUERIES
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.read_csv(path)
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; restore it or measure again")
    if not frame[list(SHARES)].apply(lambda column: column.between(0, 1)).all(axis=None):
        raise ValueError(f"{path} has what is no share between 0 and 1; restore it")
    return frame

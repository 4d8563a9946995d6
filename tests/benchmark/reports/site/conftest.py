"""A small site of networks made by hand, one of which has a name that would break a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmark.records.record import Record
from benchmark.reports.general import agreement, audits, leaderboards
from benchmark.reports.publish import joined
from benchmark.reports.site import site
from benchmark.results import Results
from tests.benchmark.handmade import row
from tests.benchmark.reports.site.browser import chromium, folder, reader

__all__ = ["chromium", "folder", "reader"]  # fixtures of the tests in a browser

HOSTILE = "mnist/<b>\"&'</script>"
CURVES = (
    "dataset,entry,family,attack,gradient,eps,images,accuracy,low,high\n"
    "mnist,mnist/lenet,frequentist,fgsm,expected,0,100,1,0.96,1\n"
    "mnist,mnist/lenet,frequentist,fgsm,expected,0.1,100,0.8,0.71,0.87\n"
    "mnist,mnist/lenet,frequentist,fgsm,resampled,0.1,100,0.9,0.8,0.95\n"
)


def bayesian(records: list[Record]) -> list[Record]:
    return [
        dataclasses.replace(one, family="bayesian", cell=dataclasses.replace(one.cell, attack_draws=8, judge_draws=64))
        for one in records
    ]


@pytest.fixture(scope="session")
def results() -> Results:
    """On a hundred images 80 of lenet survive, 40 of its Bayesian twin, 10 of another."""
    survived = {"mnist/lenet": 80, "mnist/bayesian-lenet": 40, HOSTILE: 10}
    records = {name: row(name, [i < count for i in range(100)]) for name, count in survived.items()}
    records["mnist/bayesian-lenet"] = bayesian(records["mnist/bayesian-lenet"])
    return Results([one for of in records.values() for one in of], protocol=True)


@pytest.fixture(scope="session")
def contents(results: Results) -> dict[str, bytes]:
    """What the reports give, without the figures, which take longer than all the rest."""
    folder = Path("pages")
    texts = joined(report(results, folder) for report in (leaderboards, audits, agreement)).texts
    found = {path.relative_to(folder).as_posix(): text.encode() for path, text in texts.items()}
    return found | {"curves.csv": CURVES.encode(), "records/mnist/lenet.json.xz": b"packed"}


@pytest.fixture(scope="session")
def files(results: Results, contents: dict[str, bytes]) -> dict[str, bytes]:
    """Path -> content of the site."""
    return site(results, contents, lambda name: None)

"""What runs the numeric tests as other processors compute them, and the rounding that stands in for those."""

from __future__ import annotations

import subprocess

import pytest
import torch

from tests import portable
from tests.portable import COMBINATIONS, NUMERIC, ROOT, Combination, main
from tests.rounding import OtherRounding


def test_every_numeric_test_is_there() -> None:
    assert [path for path in NUMERIC if not (ROOT / path).exists()] == []


def test_an_unknown_combination_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["avx2", "avx3"]) == 2
    assert f"no combination 'avx3'; there are: {', '.join(COMBINATIONS)}" in capsys.readouterr().err


def test_failures_and_what_a_processor_cannot_do_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if "pytest" not in command:  # which instructions torch found
            return genuine(command, **options)
        failed = options["env"]["OMP_NUM_THREADS"] == "2"
        said = "FAILED tests/a.py::test_b - no\n1 failed, 3 passed, 2 skipped in 1s" if failed else "4 passed in 1s"
        return subprocess.CompletedProcess(command, int(failed), said, "")

    genuine = subprocess.run
    monkeypatch.setattr(portable.subprocess, "run", run)
    monkeypatch.setattr(
        portable, "COMBINATIONS", {"one": Combination(), "two": Combination(threads=2), "new": Combination("avx1024")}
    )
    assert main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED tests/a.py::test_b - no" in lines
    rows = {line.split()[0]: line.split()[1:] for line in lines[-3:]}
    assert rows["one"][:3] == ["4", "0", "0"]
    assert rows["two"][:3] == ["3", "1", "2"]
    assert rows["new"] == ["not", "on", "this", "processor"]
    assert main(["one"]) == 0


def test_rounding_follows_bits_and_place() -> None:
    """The same call gives the same again; equal rows do not, as those of a product need not; 0 and 1 stay."""
    x, weight = torch.ones(2, 300), torch.rand(300, 40, generator=torch.Generator().manual_seed(0))
    weight[:, 0], weight[:, 1] = 0, 1 / 256
    exact = x @ weight
    with OtherRounding():
        found, again = x @ weight, x @ weight
        assert (torch.zeros(3).exp() == 1).all()
    assert torch.equal(found, again)
    assert not torch.equal(found, exact)
    assert not torch.equal(found[0], found[1])
    assert torch.allclose(found, exact, rtol=6 * torch.finfo(torch.float32).eps, atol=0)
    assert (found[:, 0] == 0).all()

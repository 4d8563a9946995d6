"""The script in the guide to own data runs as it stands there, and is as short as promised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zoo.seeding import forked_random_state

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_the_script_of_the_guide_runs_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = (code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S) if "optimiser" in code)
    assert len([line for line in script.splitlines() if line]) <= 15
    with forked_random_state(0):
        exec(script, {})
    shown = capsys.readouterr().out
    assert "shapes: 20 images, libraries agree" in shown
    assert "0.38" in shown

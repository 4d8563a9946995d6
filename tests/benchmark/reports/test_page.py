"""Paragraphs of pages after their numbers were filled in."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from benchmark.reports.page import WIDTH, filled

WORDS = st.sampled_from(
    ["HMC", "has", "a", "posterior", "+18 [11, -24]", "l2 1.", "- 3", "* 2", "> 4", "# 5", "linf 0.1,"]
)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=80), min_size=1, max_size=3))
def test_lines_are_filled_and_mean_what_they_meant(paragraphs: list[list[str]]) -> None:
    text = "\n\n".join("\n".join(["So", *words]) for words in paragraphs)
    found = filled(text)
    assert found.split() == text.split()
    assert len(found.split("\n\n")) == len(paragraphs)
    for lines in (paragraph.splitlines() for paragraph in found.split("\n\n")):
        assert max(map(len, lines)) <= WIDTH
        assert not any(re.match(r"(\d+[.)]|[-+*>#]) |-?\d+\]", line) for line in lines)
        assert all(len(line) > WIDTH - 20 for line in lines[:-1])  # no word or interval is longer

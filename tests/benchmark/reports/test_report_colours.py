"""The colours of the report of one network: what is to be read stands out, by light and by dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import benchmark
from benchmark.reports.network_report import charts

STYLES = (Path(benchmark.__file__).parent / "reports" / "templates" / "palette.css").read_text()


def palette(dark: bool) -> dict[str, str]:
    light, _, rest = STYLES.partition("@media screen and (prefers-color-scheme: dark)")
    block = rest if dark else light
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def contrast(first: str, second: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_lines_stand_out_from_what_is_behind_them(dark: bool) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for lines."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    colours = palette(dark)
    assert set(colours) == set(palette(not dark))
    text = [(name, behind) for name in ("text", "muted", "accent", "fail") for behind in ("page", "panel")]
    text += [(status, f"{status}-on") for status in ("pass", "open", "flag", "fail", "error")]
    lines = [(f"s{style}", "page") for style in range(1, charts.STYLES)]
    too_low = [pair for pair in text if contrast(*(colours[name] for name in pair)) < 4.5]
    too_low += [pair for pair in lines if contrast(*(colours[name] for name in pair)) < 3]
    assert not too_low

"""What the schema check says, as Markdown, and what in a submission a reviewer reads first. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.attacks.spec import format_eps
from benchmark.submission.finding import Finding
from benchmark.submission.registration import AboutNetwork
from benchmark.submission.schema import Checked, texts_of
from benchmark.submission.source import to_read

SHOWN = 20  # findings and lines of source that are listed


def schema_text(checked: Checked) -> str:
    """What the schema check found. Nothing of the submission was executed."""
    title = f"## {title_of(checked)}: schema check {'failed' if checked.findings else 'passed'}"
    parts = [title, *listed("Found", checked.findings)]
    if not checked.findings and checked.folder is not None:
        parts.append(f"{_counted(len(checked.records))}. Nothing of the submission was executed.")
        if isinstance(checked.folder.about, AboutNetwork):
            parts += _reading(checked)
    return "\n\n".join(parts) + "\n"


def title_of(checked: Checked) -> str:
    if checked.folder is None:
        return "Submission"
    about = checked.folder.about
    if isinstance(about, AboutNetwork):
        return f"`{about.name}`"
    return f"Images of `{about.name}` against `{about.model}`, {about.norm} {format_eps(about.eps)}"


def listed(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        lines = [f"- **{one.check}**: {plain(one.says)}" for one in findings[:SHOWN]]
        more = [f"- and {len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
        yield "\n".join([f"{title}:", "", *lines, *more])


def plain(text: str) -> str:
    """A line of text in which nothing is Markdown, HTML or somebody's name."""
    line = " ".join(text.split())[:400]
    return "".join(f"\\{one}" if one in "\\`*_{}[]<>#|~" else "@\u200b" if one == "@" else one for one in line)


def _reading(checked: Checked) -> Iterator[str]:
    assert checked.folder is not None
    texts = texts_of(checked.folder)
    count = sum(text.count("\n") + 1 for text in texts.values())
    names = ", ".join(f"`source/{name}`" for name in texts)
    yield f"To be read before the label is set: {count} lines of Python in {names}."
    if lines := to_read(texts):
        shown = "\n".join(f"- {plain(line)}" for line in lines[:SHOWN])
        more = f"\n- and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        yield f"First these:\n\n{shown}{more}"


def _counted(records: int) -> str:
    return f"{records} record" + ("" if records == 1 else "s")

"""What is said of images that were made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.attacks.spec import format_eps
from benchmark.records.record import Record
from benchmark.results.outside import Effect
from benchmark.results.share import Share

NAMED = 20  # indices in a line


def outside_text(outside: Sequence[int], record: Record | None, effect: Effect | None) -> str:
    """How many are judged wrong, how many of these survive all else, and what the row becomes.

    outside: indices of images outside ball or box. record: of the others.
    """
    lines = [f"outside the ball or the box, so not counted: {_indices(outside)}"] if outside else []
    return "\n".join(lines if record is None else [*lines, *_lines(record, effect)])


def _lines(record: Record, effect: Effect | None) -> Iterator[str]:
    threat, wrong = record.cell.attack.threat, len(record.broken - record.right)
    yield f"judged wrong: {len(record.broken)} of {len(record.examples)}, {wrong} of them without an attack, too"
    if effect is None:
        yield f"nothing else is recorded under {threat.norm} {format_eps(threat.eps)}, so there is no row to lower"
        return
    beyond = set(record.examples) - effect.before.survivors.keys()
    if beyond:
        yield f"not among the images of the row: {_indices(sorted(beyond))}"
    yield f"of these survive every other attack: {_indices(sorted(effect.broken)) if effect.broken else 'none'}"
    before, after = (_share(row.worst) for row in effect)
    yield f"worst case: {before}" + (", as before" if before == after else f" becomes {after}")


def _indices(examples: Sequence[int]) -> str:
    """`3 (17, 40, 98)`."""
    named = ", ".join(map(str, examples[:NAMED]))
    return f"{len(examples)} ({named}{', ...' if len(examples) > NAMED else ''})"


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.hits} of {share.count} ({100 * share.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}])"

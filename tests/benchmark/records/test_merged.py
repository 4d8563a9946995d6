"""New records beside known ones: what replaces a known one, and what is no more than rounding."""

from __future__ import annotations

import dataclasses

from benchmark.protocol import LIBRARIES
from benchmark.records.archive import merged
from benchmark.records.outcome import Outcome
from benchmark.records.parts import Health
from benchmark.records.record import Record
from tests.benchmark.handmade import make, row


def rounded_otherwise(record: Record) -> Record:
    """The same record as another processor makes it: nothing but last digits, time and place differ."""

    def again(one: Outcome) -> Outcome:
        moved = {name: [1.0001 * x for x in getattr(one, name)] for name in ("log_p", "entropy", "confidence")}
        return dataclasses.replace(one, **moved, distance=[1e-7 for _ in one.distance], seconds=9.0)

    return dataclasses.replace(
        record,
        clean=again(record.clean),
        outcomes={name: again(one) for name, one in record.outcomes.items()},
        agreement=[dataclasses.replace(pair, max_difference=1e-5) for pair in record.agreement],
        provenance={**record.provenance, "finished": "2", "device": "another"},
    )


def test_what_a_record_says_replaces_a_known_one_and_a_failure_none() -> None:
    known = row("mnist/lenet", [True] * 100)[0]
    healthy = Health(100, 0.0, 0.0, 0, 0, 0, None, {}, [])
    first = known.agreement[0]

    def art(**changes: object) -> dict[str, Outcome]:
        return {**known.outcomes, "art": dataclasses.replace(known.outcomes["art"], **changes)}

    flipped = [False] + [True] * 99
    for changes in (
        {"outcomes": art(correct=flipped)},
        {"outcomes": art(correct_attacker=flipped)},
        {"outcomes": art(predicted=[1] * 100)},
        {"outcomes": art(violations=[3])},
        {"clean": dataclasses.replace(known.clean, predicted=[1] * 100)},
        {"agreement": [dataclasses.replace(first, only_first=(7,)), *known.agreement[1:]]},
        {"agreement": [dataclasses.replace(first, close=0), *known.agreement[1:]]},  # another level
        {"health": healthy},
    ):
        says_more = dataclasses.replace(rounded_otherwise(known), **changes)
        assert merged({known.key: known}, [says_more]) == {known.key: says_more}, changes
    dead = dataclasses.replace(known, health=dataclasses.replace(healthy, dead=1))
    rounded = dataclasses.replace(known, health=dataclasses.replace(healthy, repeat=1e-7, cosine=0.9))
    with_health = dataclasses.replace(known, health=healthy)
    assert merged({known.key: with_health}, [dead])[known.key] is dead
    assert merged({known.key: with_health}, [rounded])[known.key] is with_health
    # in l2 another processor's rounding moves pixels, and identical becomes same-verdict, which is what is asked for
    in_l2 = make("mnist/lenet", "pgd-l2", 1.0, dict.fromkeys(LIBRARIES, [True] * 100))
    apart = dataclasses.replace(in_l2, agreement=[dataclasses.replace(p, close=p.pixels // 2) for p in in_l2.agreement])
    assert {(p.level, q.level) for p, q in zip(in_l2.agreement, apart.agreement, strict=True)} == {
        ("identical", "same-verdict")
    }
    assert merged({in_l2.key: in_l2}, [apart])[in_l2.key] is in_l2
    failed = dataclasses.replace(known, outcomes=art(error="no memory"))
    other = dataclasses.replace(known, outcomes={**known.outcomes, "foolbox": Outcome(error="no memory")})
    assert merged({known.key: known}, [failed])[known.key] is known
    assert merged({known.key: failed}, [known])[known.key] is known
    assert merged({known.key: failed}, [other])[known.key] is failed  # it would lose what foolbox found

"""The cells that an adaptive suite is likely to name, before the records are there that decide. Pure: no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import planned
from benchmark.plan.cascade import PROBE, telling
from benchmark.plan.cells import Selection, Subject
from benchmark.plan.ladder import Ladder
from benchmark.plan.survival import Expected, Survival
from benchmark.protocol import SHARD

if TYPE_CHECKING:
    from benchmark.plan.adaptive_suite import AdaptiveSuite

# Of the zoo's 59 rows on 100 images these broke most that others left, after APGD on the cross-entropy.
DECIDE_OFTEN = ("apgd-dlr", "restarts")


def expected_cells(suite: AdaptiveSuite, subject: Subject, selection: Selection, survival: Survival) -> list[Expected]:
    """One cell for all shards of an adaptive attack, on the mean number of images.

    Of a strong attack one on the first images, as if none of them fell; in a thorough suite as of any other. On images
    beyond the audit's what runs in any case, and what decides most often.
    """
    audit, first = suite.audit_of(selection), Ladder({}, 0).wanted
    shards, found = suite.shards(audit), list[Expected]()
    alive: dict[ThreatModel, int] = {}
    chance: dict[ThreatModel, float] = {}
    for threat in sorted(suite.threats(subject, selection), key=lambda threat: threat.eps):
        likely = [survival.survivors(subject.model, subject.dataset, threat, *shard) for shard in shards]
        times = sum(survivors.chance for survivors in likely)
        if not times:
            continue
        total = sum(survivors.images * survivors.chance for survivors in likely)
        images = max(1, round(total / times))
        for adaptive, attack in planned(subject, [threat], "surviving", suite.thorough):
            cells = suite.cells_of(adaptive, attack, subject, audit, {shards[0]: tuple(range(images))})
            found += [Expected(cell, times) for cell in cells if not adaptive.is_ladder or cell.attack_draws in first]
        alive[threat], chance[threat] = round(total), times
    found += _strong(suite, subject, audit, alive, chance)
    last = suite.last(subject, audit)
    found += [Expected(cell, float(len(shards))) for cell in last if (cell.start, cell.stop) == shards[0]]
    return found + _beyond(suite, subject, selection, survival, suite.shards(selection)[len(shards) :])


def _beyond(
    suite: AdaptiveSuite,
    subject: Subject,
    selection: Selection,
    survival: Survival,
    further: Sequence[tuple[int, int]],
) -> list[Expected]:
    """On images beyond the audit's, in full batches."""
    found = []
    for threat in suite.threats(subject, selection) if further else ():
        likely = [survival.survivors(subject.model, subject.dataset, threat, *shard) for shard in further]
        batches = sum(survivors.images * survivors.chance for survivors in likely) / SHARD
        attacks = [*planned(subject, [threat], "surviving"), *planned(subject, [threat], "strong")]
        for adaptive, attack in attacks if batches else ():
            if adaptive.always or adaptive.name in DECIDE_OFTEN:
                images = {further[0]: tuple(range(min(SHARD, math.ceil(SHARD * batches))))}
                cells = suite.cells_of(adaptive, attack, subject, selection, images)
                found += [Expected(cell, max(1.0, batches)) for cell in cells]
    return found


def _strong(
    suite: AdaptiveSuite,
    subject: Subject,
    audit: Selection,
    alive: Mapping[ThreatModel, int],
    chance: Mapping[ThreatModel, float],
) -> list[Expected]:
    """alive, chance: how many images a threat model is likely to leave, and in how many shards any."""
    found = []
    shard = suite.shards(audit)[0]
    for norm in dict.fromkeys(threat.norm for threat in alive):
        of_norm = {threat: images for threat, images in alive.items() if threat.norm == norm}
        tried = telling(of_norm, PROBE)
        for adaptive, attack in planned(subject, list(of_norm), "strong"):
            threat = next(iter(of_norm)) if adaptive.is_nearest else attack.threat  # the smallest leaves most images
            if suite.thorough:
                images, times = max(1, round(alive[threat] / chance[threat])), chance[threat]
            elif adaptive.on_suspicion or not (adaptive.is_nearest or threat == tried):
                continue
            else:
                images, times = min(PROBE, max(1, alive[threat])), min(1.0, chance[threat])
            cells = suite.cells_of(adaptive, attack, subject, audit, {shard: tuple(range(images))})
            found += [Expected(cell, times) for cell in cells]
    return found

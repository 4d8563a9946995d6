"""A row of a leaderboard: one entry under one threat model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import pandas as pd

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.nearest import says_of
from benchmark.plan.roles import OTHER_SETTINGS
from benchmark.protocol import ATTACKS, attacks_in
from benchmark.records.agreement import weakest
from benchmark.results.audits import Audit
from benchmark.results.bounds import Bounded, bounded_in
from benchmark.results.checks import Verdict
from benchmark.results.configuration import Configuration
from benchmark.results.evidence import Evidence
from benchmark.results.planted import detection_of
from benchmark.results.readings import Readings
from benchmark.results.share import Share
from benchmark.results.strongest import Distances, autoattack, distances_of
from benchmark.statistics import expected_calibration_error
from zoo.kind import Kind

Images = tuple[str, frozenset[int]]  # fingerprint of the data, indices into the test split


@dataclass(frozen=True)
class Uncertainty:
    """Means over images, under the judge: NLL and predictive entropy in nats, expected calibration error."""

    nll: float
    entropy: float
    ece: float


@dataclass(frozen=True, repr=False)
class Row:
    """One entry under one threat model.

    An image that is misclassified as it is counts as broken by every attack: the original lies in the ball.
    audit: the evidence on the entry in the norm, and what the checks say of it.
    attacks: per attack of the protocol, the worst case over libraries, per image. whitebox: over those attacks, too.
    attacker: the same under the attacker's draws.
    worst: over every attack within the threat model. survivors: image -> whether it survives them all.
    audited: the same of the images that met every attack; on others it is over the white-box attacks and what decided
        among these (`benchmark.plan.decisive`). They are those of the next three:
    readings: what other attackers and judges make of it.
    adaptive: adaptive attack -> how many images it broke that survive the white-box attacks.
    autoattack: what white-box attacks and AutoAttack left; None where not all of its parts ran on all of them.
    distances: of the nearest adversarial images, whatever the eps; None where no attack looked for them all.
    bounded: what no attack can break in the norm, beside what attacks broke; None where no bounds were computed.
    clean_uncertainty, uncertainty: on clean images, and on each image's most harmful version.
    attack_count: number of attacks, each counted once for all libraries.
    passes: (forward, backward) per image times draws, over all attacks, each in the library that needs most.
    attacked: number of images that were attacked by every attack of the row. The row may be shown on fewer images:
        those that the rows of a board have in common.
    rank: None where the verdict keeps the row out of the ranking, or it has no column of the protocol.
    """

    audit: Audit
    threat: ThreatModel
    clean: Share
    attacks: Mapping[str, Share]
    whitebox: Share
    attacker: Share
    worst: Share
    survivors: dict[int, bool]
    audited: Share
    readings: Readings
    adaptive: Mapping[str, int]
    autoattack: Share | None
    distances: Distances | None
    bounded: Bounded | None
    clean_uncertainty: Uncertainty
    uncertainty: Uncertainty
    agreement: Mapping[str, str]
    attack_count: int
    passes: tuple[int, int]
    attacked: int
    rank: int | None = None

    def __repr__(self) -> str:
        low, high = (100 * end for end in self.worst.interval)
        rank = "-" if self.rank is None else self.rank
        return (
            f"Row({self.configuration.model}: worst case {100 * self.worst.value:.1f} % [{low:.1f}, {high:.1f}], clean "
            f"{100 * self.clean.value:.1f} %, rank {rank}, {self.status})"
        )

    @property
    def configuration(self) -> Configuration:
        return self.audit.configuration

    @property
    def dataset(self) -> str:
        return self.audit.dataset

    @property
    def family(self) -> str:
        return self.audit.family

    @property
    def reference(self) -> bool:
        """Whether it is the project's own, shown beside a user's rows."""
        return self.audit.reference

    @property
    def submitted(self) -> bool:
        """Whether somebody submitted its network, and a part of its records was run again."""
        return self.audit.submitted

    @property
    def verdicts(self) -> Sequence[Verdict]:
        return self.audit.verdicts

    @property
    def status(self) -> str:
        return self.audit.status

    @property
    def deterministic(self) -> Share | None:
        """The worst case where the judge's own draws are attacked, too: the worst case itself where none are drawn."""
        drawn = self.audit.evidence.kind is Kind.CONTINUOUS
        return self.readings.deterministic if drawn else self.worst

    @property
    def detection(self) -> Share | None:
        """Of the adversarial examples that were planted, those that the attack finds; None where there are none."""
        found = detection_of(self.audit.evidence.audited, self.threat)
        return None if found is None else found.found

    @property
    def certified(self) -> Share | None:
        """The images that no attack breaks, of those that bounds were computed of."""
        return None if self.bounded is None else self.bounded.below(self.threat.eps)

    @property
    def is_rankable(self) -> bool:
        """Whether it is compared with others: it has a column of the protocol, and its numbers can be believed."""
        return bool(self.attacks) and self.status not in ("FAIL", "ERROR")

    @property
    def further(self) -> list[str]:
        """Own attacks and other settings that its worst case is over, too."""
        in_place = [] if self.attacks else [record.role for record in self.audit.evidence.under(self.threat)]
        beside = (one.role for one in self.audit.evidence.extra if one.cell.attack.threat == self.threat)
        names = [role.called for role in (*in_place, *(role for role in beside if role.further))]
        return [name for name in dict.fromkeys(names) if name != OTHER_SETTINGS]

    @property
    def is_whole(self) -> bool:
        """Whether it is on all the images that were attacked."""
        return len(self.survivors) == self.attacked

    @property
    def on_leaderboards(self) -> bool:
        """Whether it has the columns that leaderboards demand: every attack of the norm, on the protocol's terms."""
        terms = all(record.role.board for record in self.audit.evidence.under(self.threat))
        return terms and set(self.attacks) == set(attacks_in(self.threat.norm))

    @property
    def images(self) -> Images:
        """The images that it is on, with the fingerprint of their data."""
        return self.configuration.data, frozenset(self.survivors)


def row_of(audit: Audit, threat: ThreatModel, images: Set[int] | None = None) -> Row | None:
    """The row of an entry under a threat model; None if no image was attacked by every attack.

    images: the row is restricted to these; its verdicts, attacks and passes remain those of all.
    """
    evidence = audit.evidence
    frame = evidence.outcomes[evidence.outcomes["eps"] == threat.eps]
    if not len(frame):
        return None
    by_attack = evidence.by_image[evidence.by_image["eps"] == threat.eps].set_index(["attack", "image"])
    # Only images that were attacked by every attack of the row count, so that all its columns speak of the same images.
    common = by_attack["survives"].unstack("attack").dropna().index
    attacked = len(common)
    common = common if images is None else common[common.isin(images)]
    if not len(common):
        return None
    if len(common) < frame["image"].nunique():
        frame = frame[frame["image"].isin(common)]
        by_attack = by_attack[by_attack.index.get_level_values("image").isin(common)]
    by_image = by_attack[["survives", "survives_attacker"]].groupby("image").all()
    clean = frame.drop_duplicates("image")
    harmful = frame.sort_values("log_p", kind="stable").drop_duplicates("image")
    attacks = [attack for attack in ATTACKS if attack in by_attack.index.get_level_values("attack")]
    agreement = {
        spec.name: weakest(pair.level for pair in comparisons)
        for (_, spec), comparisons in evidence.agreement.items()
        if comparisons and spec.threat == threat
    }
    attack_count, passes = _passes(evidence, threat)
    whitebox = set(by_image.index[by_image["survives"]].tolist())
    broken = evidence.broken_beyond(threat, whitebox)
    survives = by_image["survives"] & ~by_image.index.isin(set().union(*broken.values()))
    survivors = dict(zip(survives.index.tolist(), survives.tolist(), strict=True))
    audited = survivors.keys() - evidence.further[threat]
    of_audit = {image: survived for image, survived in survivors.items() if image in audited}
    return Row(
        audit=audit,
        threat=threat,
        clean=_share(clean["clean_correct"]),
        attacks={attack: _share(by_attack.loc[attack]["survives"]) for attack in attacks},
        whitebox=_share(by_image["survives"]),
        attacker=_share(by_image["survives_attacker"]),
        worst=_share(survives),
        survivors=survivors,
        audited=Share(sum(of_audit.values()), len(of_audit)),
        readings=Readings(evidence.audited, threat, of_audit),
        adaptive={name: len(fell & audited) for name, fell in broken.items()},
        autoattack=autoattack(evidence.audited, threat, whitebox & audited, len(audited)),
        distances=distances_of(evidence, survivors),
        bounded=bounded_in(evidence, survivors),
        clean_uncertainty=_uncertainty(clean, "clean_"),
        uncertainty=_uncertainty(harmful, ""),
        agreement={attack: agreement[attack] for attack in attacks if attack in agreement},
        attack_count=attack_count,
        passes=passes,
        attacked=attacked,
    )


def _passes(evidence: Evidence, threat: ThreatModel) -> tuple[int, tuple[int, int]]:
    """How many attacks there are, and their passes per example times draws, in the library and shard that need most."""
    most: dict[object, tuple[int, int]] = {}
    for record in evidence.under(threat) + [one for one in evidence.extra if says_of(one.cell, threat)]:
        attack = record.cell.attack, record.cell.attack_draws
        forward, backward = most.get(attack, (0, 0))
        for outcome in record.outcomes.values():
            forward, backward = max(forward, outcome.forwards), max(backward, outcome.backwards)
        most[attack] = forward, backward
    return len(most), (sum(forward for forward, _ in most.values()), sum(backward for _, backward in most.values()))


def _share(outcomes: pd.Series[bool]) -> Share:
    return Share(int(outcomes.sum()), len(outcomes))


def _uncertainty(frame: pd.DataFrame, prefix: str) -> Uncertainty:
    return Uncertainty(
        nll=float(-frame[f"{prefix}log_p"].mean()),
        entropy=float(frame[f"{prefix}entropy"].mean()),
        ece=expected_calibration_error(frame[f"{prefix}confidence"], frame[f"{prefix}correct"]),
    )

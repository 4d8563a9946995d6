"""Which records count: of one name one network, and in the project's leaderboards only its own entries."""

from __future__ import annotations

import dataclasses

from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Reading
from benchmark.protocol import PROTOCOL_VERSION
from benchmark.records.record import Record
from benchmark.results.selection import sifted, split
from tests.benchmark.handmade import row
from zoo.targets import Gradient


def test_of_a_zoo_entry_the_registered_network_counts_however_late_another_was_finished() -> None:
    known = row("mnist/lenet", [True] * 100)
    late = row("mnist/lenet", [False] * 100, "other", finished="9")
    assert sifted([*known, *late]).records == known
    plain = row("mnist/toy:net", [True] * 20)[2]
    attack = dataclasses.replace(
        ADAPTIVE_ATTACKS["transfer"].attack(plain.cell.attack.threat), gradient=Gradient(source="mnist/source:net")
    )
    transfers = [
        dataclasses.replace(
            plain,
            key=f"transfer {fingerprint}",
            cell=dataclasses.replace(plain.cell, attack=attack),
            fingerprints={**plain.fingerprints, "source": fingerprint},
            provenance={"finished": finished, "protocol": PROTOCOL_VERSION},
        )
        for fingerprint, finished in (("old", "1"), ("new", "2"))
    ]
    assert sifted([plain, *transfers]).records == [plain, transfers[1]]
    own = row("mnist/source:net", [True] * 20, "old")
    assert sifted([plain, *transfers, *own]).records == [plain, transfers[0], *own]


def test_what_was_attacked_through_a_users_network_is_his_own() -> None:
    (whole, *_) = row("mnist/lenet", [True] * 100)
    attack = dataclasses.replace(
        ADAPTIVE_ATTACKS["transfer"].attack(whole.cell.attack.threat), gradient=Gradient(source="mnist/toy:net")
    )
    transfer = dataclasses.replace(
        whole,
        key="transfer",
        cell=dataclasses.replace(whole.cell, attack=attack, only=(1, 2)),
        fingerprints={**whole.fingerprints, "source": "toy"},
    )
    within = dataclasses.replace(whole, key="only", cell=dataclasses.replace(whole.cell, only=(1, 2), seed=1))
    found = split([whole, transfer, within], ())
    assert (found.project, found.others) == ([whole, within], [transfer])
    assert found.reasons == {"mnist/lenet": "attacked through mnist/toy:net"}


def test_an_attack_on_fewer_images_by_design_is_whole_with_these() -> None:
    (whole, *_) = row("mnist/lenet", [True] * 100)
    planted = ADAPTIVE_ATTACKS["planted"]
    assert planted.images is not None

    def on(images: int) -> Record:
        attack = planted.attack(whole.cell.attack.threat)
        cell = dataclasses.replace(
            whole.cell, attack=attack, stop=images, libraries=("torchattacks",), reading=Reading.PLANTED
        )
        return dataclasses.replace(whole, key=f"planted {images}", cell=cell)

    all_of_it, some = on(planted.images), on(planted.images - 1)
    assert split([all_of_it], ()).project == [all_of_it]
    assert split([some], ()).project == []

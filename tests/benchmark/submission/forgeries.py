"""The forgeries that tests make in an honest submission, each with the check that must find it."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.benchmark.submission.forging import (
    Fields,
    about,
    broken,
    edit,
    make_agree,
    make_right,
    of,
    rekey,
    reseal,
)

Forge = Callable[[Path], None]
OTHER_ACTIVATION = """
class ReLU(nn.ReLU):
    def forward(self, x):
        return x.tanh()

before = layers

def layers():
    net = before()
    net[2] = ReLU()
    return net
"""  # which no weight and no name of a layer shows


def records(change: Callable[[list[Fields]], None]) -> Forge:
    return lambda folder: edit(folder, change)


def first(name: str, change: Callable[[Fields], object], eps: float = 0.1, fits: bool = True) -> Forge:
    """Change the first record of an attack. fits: whether its key is made to fit."""

    def forge(found: list[Fields]) -> None:
        for record in list(of(found, name, eps))[:1]:
            change(record)
            if fits:
                rekey(record)

    return records(forge)


def outcome(change: Callable[[Fields, int], object], library: str = "foolbox") -> Forge:
    """Change the outcome of BIM on the first image that it breaks."""
    return first("bim", lambda record: change(record["outcomes"][library], broken(record, library)[0]))


def flipped(one: Fields, place: int) -> None:
    one["correct"] = one["correct"][:place] + "1" + one["correct"][place + 1 :]


def set_value(name: str, value: object) -> Callable[[Fields, int], None]:
    def change(one: Fields, place: int) -> None:
        one[name][place] = value

    return change


def in_cell(**changes: Any) -> Callable[[Fields], None]:
    def change(record: Fields) -> None:
        record["cell"].update(changes)

    return change


def with_seed(record: Fields) -> None:
    from benchmark.plan.cells import Cell
    from benchmark.plan.purposes import draws_seed, purposes_of

    record["cell"]["seed"] = 1
    cell = Cell.from_json(record["cell"])
    record["provenance"]["seeds"] = {use: draws_seed(cell.model, for_, 1) for use, for_ in purposes_of(cell).items()}


def fewer_steps(record: Fields) -> None:
    record["cell"]["attack"]["steps"] = 2


def other_eps(found: list[Fields]) -> None:
    for record in list(of(found, "bim", 0.1))[:1]:
        further = json.loads(json.dumps(record))
        further["cell"]["attack"]["threat"]["eps"] = 0.11
        rekey(further)
        found.append(further)


def dropped(found: list[Fields]) -> None:
    found[:] = [one for one in found if one["cell"]["attack"]["name"] != "apgd-ce-linf"]


def other_surrogate(found: list[Fields]) -> None:
    for record in found:
        if "source" in record["fingerprints"]:
            record["fingerprints"]["source"] = "0" * 64
            rekey(record)


def twice(found: list[Fields]) -> None:
    found.append(found[0])


def right_as_it_is(record: Fields) -> None:
    place = record["clean"]["correct"].index("0")
    make_right(record["clean"], place, record["labels"][place])


def swapped_images(record: Fields) -> None:
    record["examples"][0], record["examples"][1] = record["examples"][1], record["examples"][0]


def other_label(record: Fields) -> None:
    record["labels"][0] = (record["labels"][0] + 1) % 3


def is_original(one: Fields, place: int) -> None:
    one["distance"][place] = 0.0


def agreement(record: Fields) -> None:
    record["agreement"][0]["only_first"] = [record["examples"][0]]


def card(folder: Path) -> None:
    path = folder / "network.json"
    about_it = json.loads(path.read_text())
    about_it["results"]["accuracy"] = 1.0
    path.write_text(json.dumps(about_it))
    reseal(folder)


def other_weights(folder: Path) -> None:
    path = folder / "network.safetensors"
    save_file({name: value + 0.01 for name, value in load_file(path).items()}, path)
    reseal(folder)


def damaged_weights(folder: Path) -> None:
    path = folder / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def pickled(folder: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, folder / "network.safetensors")
    reseal(folder)


def bare_pickle(folder: Path) -> None:
    (folder / "network.safetensors").write_bytes(pickle.dumps({"weight": [0.0]}))
    reseal(folder)


def source(text: str, name: str = "stranger/parts.py") -> Forge:
    def forge(folder: Path) -> None:
        path = folder / "source" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.is_file() else "") + text)
        names = json.loads((folder / "submission.json").read_text())["files"]
        about(folder, files={**names, f"source/{name}": "0" * 64})
        reseal(folder)

    return forge


def linked(folder: Path) -> None:
    (folder / "network.json").unlink()
    (folder / "network.json").symlink_to("/etc/hostname")


def linked_folder(folder: Path) -> None:
    shutil.rmtree(folder / "source" / "stranger")
    (folder / "source" / "stranger").symlink_to("/etc")


def outside_path(folder: Path) -> None:
    names = json.loads((folder / "submission.json").read_text())["files"]
    about(folder, files={**names, "../../README.md": "0" * 64})


def further_file(folder: Path) -> None:
    (folder / "weights.pt").write_bytes(b"")


def undeclared(folder: Path) -> None:
    (folder / "source" / "stranger" / "more.py").write_text("")


def name_twice(folder: Path) -> None:
    path = folder / "submission.json"
    path.write_text(path.read_text().replace('"licence":', '"licence": "none", "licence":', 1))


def fewer_attacks(folder: Path) -> None:
    subject = json.loads((folder / "submission.json").read_text())["subject"]
    about(folder, subject={**subject, "undefined": ["propagation"]})


def consistent(record: Fields) -> None:
    make_right(record["outcomes"]["foolbox"], (place := broken(record, "foolbox")[0]), record["labels"][place])
    make_agree(record)


# forgery -> what the forger does, and the check that finds it
BY_SCHEMA: dict[str, tuple[Forge, str]] = {
    "a changed verdict": (outcome(flipped), "outcome"),
    "a margin that contradicts the verdict": (outcome(set_value("log_p", -0.01)), "outcome"),
    "an entropy that no such distribution has": (outcome(set_value("entropy", 5.0)), "outcome"),
    "an image outside the ball": (outcome(set_value("distance", 0.1001)), "outcome"),
    "the original, judged otherwise": (outcome(is_original), "outcome"),
    "libraries that agree otherwise than their outcomes": (first("bim", agreement), "outcome"),
    "a clean image made right in a record": (first("bim", right_as_it_is), "outcome"),
    "a changed label": (first("bim", other_label), "examples"),
    "other images than the cell's": (first("bim", swapped_images), "examples"),
    "other test images": (first("bim", lambda r: r["fingerprints"].update(data="0" * 64)), "examples"),
    "cherry-picked images": (first("bim", in_cell(start=1)), "examples"),
    "fewer images than leaderboards show": (lambda folder: about(folder, examples=3), "suite"),
    "a foreign fingerprint": (first("bim", lambda r: r["fingerprints"].update(model="0" * 64)), "network"),
    "a record of another network": (first("bim", in_cell(model="tiny-bars/other")), "network"),
    "a surrogate of another network": (records(other_surrogate), "network"),
    "a record of another protocol": (first("bim", lambda r: r["provenance"].update(protocol="0")), "key"),
    "a key that is not the record's": (first("bim", lambda r: r.update(key="0" * 64), fits=False), "key"),
    "packages that do not give the key": (
        first("bim", lambda r: r["provenance"]["packages"].update(foolbox="0.0.1"), fits=False),
        "key",
    ),
    "draws from other seeds": (first("bim", lambda r: r["provenance"]["seeds"].update(attack=1)), "key"),
    "a record that is there twice": (records(twice), "key"),
    "another seed": (first("bim", with_seed), "suite"),
    "other numbers of draws": (first("bim", in_cell(attack_draws=8)), "suite"),
    "fewer steps": (first("bim", fewer_steps), "suite"),
    "a dropped attack": (records(dropped), "suite"),
    "a further record": (records(other_eps), "suite"),
    "a card that claims another accuracy": (card, "card"),
    "weights of another checksum": (damaged_weights, "weights"),
    "a pickle called safetensors": (bare_pickle, "weights"),
    "a zipped pickle called safetensors": (pickled, "weights"),
    "a module that imports the harness": (source("import benchmark\n"), "source"),
    "a module that imports the system": (source("def f():\n    from os import system\n"), "source"),
    "a module that takes a library's name": (source("", "torch/__init__.py"), "source"),
    "a link": (linked, "files"),
    "a linked folder": (linked_folder, "files"),
    "a path out of the folder": (outside_path, "files"),
    "a file that no submission has": (further_file, "files"),
    "a file that is not named": (undeclared, "files"),
    "a name that is there twice in JSON": (name_twice, "files"),
    "no licence to publish": (lambda folder: about(folder, licence="proprietary"), "licence"),
    "a field that there is not": (lambda folder: about(folder, trusted=True), "registration"),
}  # fmt: skip
BY_RUNNING: dict[str, tuple[Forge, str]] = {
    "a changed verdict with all that hangs on it": (first("bim", consistent), "re-run"),
    "weights of another network": (other_weights, "network"),
    "a changed module": (source(OTHER_ACTIVATION), "network"),
    "a network that asks for fewer attacks": (fewer_attacks, "network"),
}  # fmt: skip

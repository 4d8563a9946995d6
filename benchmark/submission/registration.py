"""What a submission says of itself, in `submission.json`: who it is of, how it is built, what its files are.

Its types are those below: pydantic reads them strictly, refuses what is not named here, and says where the mistake is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Subject
from benchmark.submission.finding import RefusedError
from zoo.catalogue.behaviour import fingerprint_of
from zoo.kind import Outputs, Randomness, Said
from zoo.lookup import lookup

# those under which anybody may copy, change and publish a network: the repository does
LICENCES = (
    *("MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "Unlicense", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0"),
    *("MPL-2.0", "LGPL-3.0-or-later", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0-or-later"),
)
FORMAT = 1

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*/[\w.:-]+(/[\w.:-]+)*$", max_length=100)]  # data set/network
_Reference = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*$", max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class AboutSubject(_Strict):
    """What the adaptive suite asks of the network, as it was found; it is found again when the network is loaded."""

    deterministic: bool
    members: Annotated[int, Field(ge=1)] | None
    is_sample: bool
    undefined: tuple[str, ...]
    sources: tuple[tuple[Literal["map", "twin"], _Name], ...]


class _About(_Strict):
    """licence: under which everything in the folder is given. data: fingerprint of the test images.

    fingerprint: of the network, as records have it. files: path -> sha256 of every other file in the folder.
    """

    format: Literal[1]
    dataset: str
    licence: str
    data: _Sha256
    fingerprint: _Sha256
    files: dict[str, _Sha256]


class AboutNetwork(_About):
    """A network and its records. reference: `package.module:factory` below `source/`, which builds it.

    made_of: its fingerprint without its behaviour. behaviour: what it answers on a few images; see
    `zoo.catalogue.behaviour`.
    examples, audited: of the adaptive suite.
    """

    kind: Literal["network"]
    name: _Name
    reference: _Reference
    family: str | None
    randomness: Randomness
    outputs: Outputs
    made_of: _Sha256
    behaviour: tuple[float, ...]
    examples: Annotated[int, Field(ge=1)]
    audited: Annotated[int, Field(ge=1)]
    subject: AboutSubject

    @property
    def said(self) -> Said:
        """What is said of a network that is not registered."""
        return Said(self.family, str(self.randomness), str(self.outputs))

    @property
    def expected_fingerprint(self) -> str:
        """What records of a network must have that is so made and so behaves."""
        return fingerprint_of(self.made_of, self.behaviour)

    def planned(self, size: int, classes: int, others: tuple[tuple[str, bool], ...]) -> Subject:
        """What the suite is told of it. size: of the test split. others: the zoo's networks for the same images."""
        return Subject(
            self.name,
            self.dataset,
            size,
            self.subject.deterministic,
            others=others,
            undefined=self.subject.undefined,
            members=self.subject.members,
            is_sample=self.subject.is_sample,
            sources=self.subject.sources,
            classes=classes,
        )


class AboutImages(_About):
    """Adversarial images against a network of the leaderboards. name: who made them, for tables."""

    kind: Literal["images"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=60)]
    model: _Name
    norm: Literal["linf", "l2"]
    eps: Annotated[float, Field(gt=0)]

    @property
    def threat(self) -> ThreatModel:
        return ThreatModel(self.norm, self.eps)


About = AboutNetwork | AboutImages
_ADAPTER: TypeAdapter[About] = TypeAdapter(Annotated[About, Field(discriminator="kind")])


def about_of(text: str) -> About:
    """Raises RefusedError for what is no registration, with the field and what is wrong with it."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = repr(first["input"])
        shown = f" ({found})" if len(found) < 80 else ""
        raise RefusedError("registration", f"submission.json, {where or 'all of it'}: {first['msg']}{shown}") from None


def require_licence(licence: str) -> None:
    """Raises ValueError, with suggestions, unless everybody may copy and change what is given under it."""
    try:
        lookup(dict.fromkeys(LICENCES), licence, "licence that allows to copy and change")
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None

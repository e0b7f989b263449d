"""Golden samples: requests as data, and what is answered to them.

They lie in the folder ``golden`` of each vendor, so that a vendor is one folder also here. The same
files are replayed by the tests against the emulator and by ``face-emulator drift`` against a real service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emulator.web.vendor import Vendor
from emulator.world.credentials import CredentialState

LISTED: Final[Mapping[str, CredentialState]] = {
    "golden-revoked": CredentialState.REVOKED,
    "golden-restricted": CredentialState.RESTRICTED,
    "golden-no-balance": CredentialState.NO_BALANCE,
    "golden-other-region": CredentialState.OTHER_REGION,
    "golden-expired": CredentialState.EXPIRED,
}
"""What an emulator has to list, for it to answer the samples as they say."""

_PLACE = re.compile(r"\{(\w+)\}")


class NotAnswered(LookupError):
    """An answer has not what a later request needs.

    Attributes
    ----------
    place : str
        Where it was looked for.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place

    def __str__(self) -> str:
        return f"there is no {self.place} to go on with"


class Request(BaseModel):
    """A request of a sample; ``{name}`` stands for a credential or for what an earlier answer said.

    ``files`` (a field and a picture each) and ``content`` name pictures; see `picture`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    path: str
    headers: Mapping[str, str] | str | None = None
    form: Mapping[str, str] | None = None
    body: Any = Field(default=None, alias="json")
    files: Sequence[tuple[str, str]] = ()
    content: str | None = None


class Step(BaseModel):
    """A request, and what is answered to it.

    Attributes
    ----------
    request : Request
        What is sent.
    waits : mapping of str to value, ``while`` in the file
        The request is sent again as long as the answer says this at these places.
    keep : mapping of str to str
        What later requests need: a name, and the place in the answer.
    varies : sequence of str
        Places whose values and lengths hang on the account or on what the service sees in a picture.
    settings : mapping of str to str
        Places about which a setting of the vendor decides, and its name.
    response : mapping
        The answer: ``status``, ``type``, ``headers``, ``body``, with patterns (see
        `emulator.drift.comparison`) in place of what is never the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: Request
    waits: Mapping[str, Any] = Field(default_factory=dict, alias="while")
    keep: Mapping[str, str] = Field(default_factory=dict)
    varies: Sequence[str] = ()
    settings: Mapping[str, str] = Field(default_factory=dict)
    response: Mapping[str, Any]


class Sample(BaseModel):
    """Requests that belong together.

    Attributes
    ----------
    title : str
        What it shows.
    credential : mapping of str to str
        By name, what the requests carry as ``{name}`` when they are sent to an emulator. The names in
        this order, joined by colons, are the form in which a real key is given.
    only_emulated : str, optional
        Why it cannot be sent to a real service.
    steps : sequence of Step
        The requests in their order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    credential: Mapping[str, str] = Field(default_factory=dict)
    only_emulated: str | None = None
    steps: Sequence[Step]

    @model_validator(mode="after")
    def _knows_its_places(self) -> Self:
        """Return the sample, unless a request needs what is neither a credential nor kept before it."""
        known = set(self.credential)
        for step in self.steps:
            unknown = set(_PLACE.findall(step.request.model_dump_json())) - known
            if unknown:
                raise ValueError(f"{step.request.path}: nothing is kept as {', '.join(sorted(unknown))}")
            known |= step.keep.keys()
        return self

    def text(self) -> str:
        """Return the sample as it stands in its file."""
        return json.dumps(self.model_dump(by_alias=True, exclude_unset=True), indent=2) + "\n"


def golden_folder(vendor: Vendor) -> Traversable:
    """Return the folder of a vendor's samples, wherever the package is installed."""
    return vendor.folder / "golden"


def read_samples(folder: Traversable) -> dict[str, Sample]:
    """Return the samples in a folder, by name and in this order.

    Raises
    ------
    ValueError
        If a file is no sample.
    OSError
        If the folder cannot be read.
    """
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name
    )
    # Pydantic's own parser refuses half a surrogate pair, which an answer may have.
    return {
        file.name.removesuffix(".json"): Sample.model_validate(json.loads(file.read_text())) for file in files
    }


def write_sample(folder: Path, name: str, sample: Sample) -> Path:
    """Write a sample, and return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(sample.text())
    return path


@cache
def picture(name: str) -> bytes:
    """Return a picture that samples send. All of them are drawn, of nobody.

    They are not the test faces of ``face-emulator faces``, though they look alike: ids and signatures in
    the samples depend on their lengths, which must not change whenever the drawing does.

    Raises
    ------
    FileNotFoundError
        If there is none of that name. A file from elsewhere is never read.
    """
    pictures = {file.name: file for file in (resources.files("emulator.drift") / "pictures").iterdir()}
    if name not in pictures:
        raise FileNotFoundError(f"there is no picture {name}, but {', '.join(sorted(pictures))}")
    return pictures[name].read_bytes()


def look_up(answer: Any, place: str) -> Any:
    """Return what stands at a place, such as ``body.data.files.0.file_id``.

    Raises
    ------
    NotAnswered
        If nothing does.
    """
    found = answer
    for name in place.split("."):
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise NotAnswered(place)
    return found


def filled(value: Any, names: Mapping[str, Any]) -> Any:
    """Return ``value`` with what the ``{names}`` in its strings stand for.

    A string that is nothing but a name becomes what it stands for, of whatever type.

    Raises
    ------
    KeyError
        If a name stands for nothing.
    """
    if isinstance(value, Mapping):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(item, names) for item in value]
    if not isinstance(value, str):
        return value
    whole = _PLACE.fullmatch(value)
    return names[whole[1]] if whole else _PLACE.sub(lambda found: str(names[found[1]]), value)


def filled_path(path: str, names: Mapping[str, Any]) -> str:
    """Return a path likewise; what becomes a part of it is escaped, what becomes all of it is not.

    Raises
    ------
    KeyError
        If a name stands for nothing.
    """
    if _PLACE.fullmatch(path):
        return str(filled(path, names))
    return _PLACE.sub(lambda found: quote(str(names[found[1]]), safe="="), path)

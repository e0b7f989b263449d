"""Golden samples: JSON files with requests and their expected responses.

They are in the folder ``golden`` of each vendor. The tests send them to the emulator, and
``face-emulator drift`` sends them to a real service.
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
"""States of credentials in the samples. With these states, the emulator returns the expected errors."""

_PLACE = re.compile(r"\{(\w+)\}")


class NotAnswered(LookupError):
    """A response does not have a value that a later request needs.

    Attributes
    ----------
    place : str
        Place of the missing value in the response.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place

    def __str__(self) -> str:
        return f"{self.place} is missing, but later requests need it"


class Request(BaseModel):
    """A request of a sample. ``{name}`` is a placeholder for a credential or a value of an earlier response.

    ``files`` has pairs of the name of a field and the name of a picture. ``content`` is the name of a picture
    that is sent as the whole body. See ``picture``.
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
    """A request and its expected response.

    Attributes
    ----------
    request : Request
        The request to send.
    waits : mapping of str to value, ``while`` in the file
        While the response has these values, by place in the response, the request is repeated.
    keep : mapping of str to str
        Places in the response that have values for later requests, by the name of the placeholder.
    varies : sequence of str
        Places in the response where values depend on the account, or on what is detected in a picture.
    settings : mapping of str to str
        Names of the settings that determine values in the response, by place in the response.
    response : mapping
        The expected ``status``, ``type``, ``headers`` and ``body``. Patterns replace values that vary; see
        ``emulator.drift.comparison``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: Request
    waits: Mapping[str, Any] = Field(default_factory=dict, alias="while")
    keep: Mapping[str, str] = Field(default_factory=dict)
    varies: Sequence[str] = ()
    settings: Mapping[str, str] = Field(default_factory=dict)
    response: Mapping[str, Any]


class Sample(BaseModel):
    """A golden sample: a sequence of requests with their expected responses.

    Attributes
    ----------
    title : str
        What the sample shows.
    credential : mapping of str to str
        Credential for requests to an emulator, by name of the placeholder. For a real service, the parts of
        the user's key replace these values, in this order.
    only_emulated : str, optional
        Why the sample cannot be sent to a real service; None if it can.
    steps : sequence of Step
        The requests with their expected responses, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    credential: Mapping[str, str] = Field(default_factory=dict)
    only_emulated: str | None = None
    steps: Sequence[Step]

    @model_validator(mode="after")
    def _knows_its_places(self) -> Self:
        """Raise ValueError if neither the credential nor an earlier step has the value of a placeholder."""
        known = set(self.credential)
        for step in self.steps:
            unknown = set(_PLACE.findall(step.request.model_dump_json())) - known
            if unknown:
                raise ValueError(f"{step.request.path}: no earlier step keeps {', '.join(sorted(unknown))}")
            known |= step.keep.keys()
        return self

    def text(self) -> str:
        """Return the sample as the text of its file."""
        return json.dumps(self.model_dump(by_alias=True, exclude_unset=True), indent=2) + "\n"


def golden_folder(vendor: Vendor) -> Traversable:
    """Return the folder of a vendor's samples."""
    return vendor.folder / "golden"


def read_samples(folder: Traversable) -> dict[str, Sample]:
    """Return the samples in a folder, sorted by name.

    Raises
    ------
    ValueError
        If a file is not a valid sample.
    OSError
        If the folder cannot be read.
    """
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name
    )
    # Use json.loads, because Pydantic's parser refuses lone surrogates, and a response may contain them.
    return {
        file.name.removesuffix(".json"): Sample.model_validate(json.loads(file.read_text())) for file in files
    }


def write_sample(folder: Path, name: str, sample: Sample) -> Path:
    """Write a sample, and return the path of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(sample.text())
    return path


@cache
def picture(name: str) -> bytes:
    """Return the bytes of a picture that samples send. The faces in it are synthetic.

    The pictures are similar to the test faces of ``face-emulator faces``. They are stored as files, and must
    never change, because ids and signatures in the samples depend on the length of a picture.

    Raises
    ------
    FileNotFoundError
        If there is no picture of that name. Paths to other folders are refused.
    """
    pictures = {file.name: file for file in (resources.files("emulator.drift") / "pictures").iterdir()}
    if name not in pictures:
        raise FileNotFoundError(f"there is no picture {name}; choose one of {', '.join(sorted(pictures))}")
    return pictures[name].read_bytes()


def look_up(answer: Any, place: str) -> Any:
    """Return the value at a place in a response, such as ``body.data.files.0.file_id``.

    Raises
    ------
    NotAnswered
        If the response has no value at that place.
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
    """Return ``value`` with the placeholders in its strings replaced by their values in ``names``.

    A string that is only a placeholder becomes the value itself, which may be of any type.

    Raises
    ------
    KeyError
        If a placeholder has no value.
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
    """Return a path with its placeholders replaced by their percent-encoded values.

    A path that is only a placeholder becomes the value itself, such as a URL.

    Raises
    ------
    KeyError
        If a placeholder has no value.
    """
    if _PLACE.fullmatch(path):
        return str(filled(path, names))
    return _PLACE.sub(lambda found: quote(str(names[found[1]]), safe="="), path)

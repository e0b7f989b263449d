"""Request and response models of the GLB constructor, and functions that parse its JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile

from emulator.vendors.metahuman.wire import Body, missing_field, wrong_field

Schema = Mapping[str, Sequence[str]]

NUMBERS = 80
"""Length of ``blendShapes``."""

LARGEST_NUMBER = 100.0
"""Maximum magnitude of a number in ``blendShapes``. Real faces stay below 10."""

COLOR = re.compile(r"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})")

MODELS_CONFIG = ("models_congig", "models_config")
"""Names of the field with the chosen models. The vendor documents the first name, probably a typo."""

TRUE, FALSE = (
    frozenset({"1", "true", "t", "yes", "y", "on"}),
    frozenset({"0", "false", "f", "no", "n", "off"}),
)
"""The strings that FastAPI accepts as booleans."""

_Token = Annotated[str, Field(min_length=1)]
_File = Annotated[str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]
_JsonFile = Annotated[str, Field(json_schema_extra={"contentMediaType": "application/json"})]
_GlbFile = Annotated[str, Field(json_schema_extra={"contentMediaType": "model/gltf-binary"})]

_TOKEN = "Token of the caller, from `POST /auth/token`."  # noqa: S105 - a description


class TokenFields(BaseModel):
    """The fields of a request with only a token."""

    token: _Token = Field(description=_TOKEN)


class SchemaFields(BaseModel):
    """The fields of a request that uploads a schema."""

    model_config = ConfigDict(populate_by_name=True)

    token: _Token = Field(description=_TOKEN)
    # A field cannot have the name of a method of BaseModel.
    schema_file: _JsonFile = Field(
        alias="schema",
        description='JSON file with a list of model ids for each type: `{"hair": ["hair_01", "hair_02"]}`. '
        "With `{}`, only the head is assembled.",
    )


class ModelFields(BaseModel):
    """The fields of a request that uploads a model."""

    token: _Token = Field(description=_TOKEN)
    data: _GlbFile = Field(description="GLB file of the model.")
    sha256: Annotated[str, Field(min_length=1)] = Field(
        description="SHA-256 checksum of the file, in hexadecimal."
    )
    data_type: Annotated[str, Field(min_length=1)] = Field(description="Type of the model, from the schema.")
    data_id: Annotated[str, Field(min_length=1)] = Field(description="Id of the model, from the schema.")


class AssembleFields(BaseModel):
    """The fields of a request that assembles a head."""

    token: _Token = Field(description=_TOKEN)
    head_uv: _File = Field(
        description="Texture of the head, from face reconstruction: a PNG, JPEG, HEIC, BMP or WebP file of "
        "less than 2 MiB. A PNG or a JPEG is embedded as it is."
    )
    head_config: _JsonFile = Field(
        description="JSON file with a response of face reconstruction, or its member `result`."
    )
    models_congig: _JsonFile = Field(
        default="",
        description='JSON file with one id for each type of model: `{"hair": ["hair_01"]}`. Required, unless '
        "`models_config` is sent. The vendor's documentation spells the field like this.",
    )
    models_config: _JsonFile = Field(
        default="", description="The same as `models_congig`. Ignored if `models_congig` is sent."
    )
    custom_models: list[_GlbFile] = Field(
        default=[], description="More GLB files, each smaller than 50 MiB. The schema need not list them."
    )
    add_facs: bool = Field(
        default=False, description="Whether the head has the 52 blend shapes of ARKit as morph targets."
    )


class Status(Body):
    """The outcome of a request."""

    status: str = Field(description="Human-readable outcome of the request.")


class StatusResult(Body):
    """A successful response that only has a status."""

    result: Status = Field(description="Outcome of the request.")


class SchemaResult(Body):
    """A response with the schema of a token."""

    result: dict[str, list[str]] = Field(description="Lists of model ids, by type.")


class Refused(Exception):
    """A JSON file does not have the expected form."""


class FieldsRefused(Exception):
    """A JSON file has the expected form, but a wrong value."""


def invalid_fields(
    form: FormData, *, texts: Sequence[str] = (), files: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a description of each missing or wrong field of a request, in FastAPI's format.

    ``texts`` and ``files`` are the names of the required fields besides the token.
    """
    found = []
    for name in ("token", *texts):
        value = form.get(name)
        if value is None or value == "":
            found.append(missing_field(name))
        elif not isinstance(value, str):
            found.append(wrong_field(name, "str type expected", "type_error.str"))
    for name in files:
        if name not in form:
            found.append(missing_field(name))
        elif not all(isinstance(value, UploadFile) for value in form.getlist(name)):
            message = "Expected UploadFile, received: <class 'str'>"
            found.append(wrong_field(name, message, "value_error"))
    return found


def invalid_flag(form: FormData, name: str) -> list[dict[str, Any]]:
    """Return a description of the field, in FastAPI's format, if it is not a boolean."""
    value = form.get(name)
    if value is None or (isinstance(value, str) and value.lower() in TRUE | FALSE):
        return []
    return [wrong_field(name, "value could not be parsed to a boolean", "type_error.bool")]


def read_schema(data: bytes) -> Schema:
    """Return the schema in a JSON file.

    Raises
    ------
    Refused
        If it is not a JSON object, a value is not a list, an id is not a string or occurs twice in a list, or
        a string has a character that UTF-8 cannot represent.
    """
    return check_schema(_json_object(data))


def check_schema(schema: Mapping[str, Any]) -> Schema:
    """Return ``schema`` if it is valid. See ``read_schema``.

    Raises
    ------
    Refused
        If it is not valid.
    """
    for name, ids in schema.items():
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise Refused
        if len(set(ids)) < len(ids) or not all(_is_text(each) for each in (name, *ids)):
            raise Refused
    return schema


def read_models(data: bytes) -> Mapping[str, str]:
    """Return the id of the chosen model of each type, from a JSON file.

    Raises
    ------
    Refused
        If it is not a JSON object, or a value is not a list of exactly one string.
    """
    chosen = {}
    for name, ids in _json_object(data).items():
        if not isinstance(ids, list) or len(ids) != 1 or not isinstance(ids[0], str):
            raise Refused
        chosen[name] = ids[0]
    return chosen


def read_head(data: bytes) -> tuple[tuple[float, ...], tuple[int, int, int]]:
    """Return the 80 numbers and the colour of the skin, from a JSON file.

    Raises
    ------
    Refused
        If it is not a JSON object with the objects `face` and `skin`.
    FieldsRefused
        If the numbers or the colour are missing, or have a wrong value.
    """
    document = _json_object(data)
    head = document.get("result", document)
    if not isinstance(head, dict) or not all(isinstance(head.get(name), dict) for name in ("face", "skin")):
        raise Refused
    numbers, color = head["face"].get("blendShapes"), head["skin"].get("color")
    if not isinstance(numbers, list) or len(numbers) != NUMBERS or not all(map(_is_number, numbers)):
        raise FieldsRefused
    channels = COLOR.fullmatch(color) if isinstance(color, str) else None
    if channels is None:
        raise FieldsRefused
    red, green, blue = (int(channel, 16) for channel in channels.groups())
    return tuple(map(float, numbers)), (red, green, blue)


def _is_number(value: object) -> bool:
    # The comparison also refuses NaN and infinity.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -LARGEST_NUMBER <= value <= LARGEST_NUMBER
    )


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused from error
    if not isinstance(found, dict):
        raise Refused
    return found


def _is_text(text: str) -> bool:
    """Return whether UTF-8 can represent a string. A JSON file can contain half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

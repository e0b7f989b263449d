"""Parsing of JSON bodies and of the parameters ``page_size`` and ``starting_token``.

If a value is invalid, the error has the vendor's message.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar

import anyio.to_thread
from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from emulator.vendors.perfectcorp.errors import SHARED
from emulator.web.call import call_of
from emulator.world.text import encodable
from emulator.world.warnings import MOST_OF_A_KIND

Text = Annotated[str, Field(strict=True), AfterValidator(encodable)]
Body = TypeVar("Body", bound="RequestBody")
AnyPage = TypeVar("AnyPage", bound="Page")
Entry = TypeVar("Entry")


# In unpadded base64, three digits become four characters, two digits become three characters, and one digit
# becomes two characters.
_TENS = "(?:[MN][DTjz]|O[DT])[AEIMQUYcgk]"
_TOKEN = f"(?:{_TENS}[w-z0-5]){{0,4}}(?:{_TENS}|[MN][AQgw]|O[AQ])?"
"""Regular expression for a page token, which is a number of up to 14 digits in base64."""

LARGE_BYTES = 64 * 1024
"""Longer bodies are parsed in a thread, because parsing a long body can take over 100 ms."""

MOST_DIGITS = 400
"""Maximum number of digits of an integer that is parsed exactly. The largest float has 309 digits."""

SHORT_DIGITS = 15
"""Number of digits that a float represents exactly."""

LONGEST: int = 10**MOST_DIGITS
"""Value that replaces every integer with more than ``MOST_DIGITS`` digits. The sign is kept."""


class RequestBody(BaseModel):
    """Base class of request bodies. The vendor ignores unknown members, and so does this class.

    A member that is a JSON object has a model of this class, and so has each item of a list.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Page(RequestBody):
    """A requested page. ``starting_token`` is the number of entries before the page, in base64."""

    page_size: Annotated[int, Field(ge=1)] = Field(
        default=20, description="Maximum number of entries on the page."
    )
    starting_token: Annotated[str | None, Field(json_schema_extra={"pattern": f"^(?:null|{_TOKEN})$"})] = (
        Field(
            default=None,
            description="The `next_token` of the previous page. Omit it, or send `null`, for the first page.",
        )
    )

    @property
    def offset(self) -> int:
        """The number of entries before the page.

        Raises
        ------
        VendorError
            If the token is malformed.
        """
        if not self.starting_token or self.starting_token == "null":  # noqa: S105 - the vendor's spelling
            return 0
        try:
            padded = self.starting_token + "=" * (-len(self.starting_token) % 4)
            text = base64.urlsafe_b64decode(padded).decode("ascii")
            if re.fullmatch("[0-9]{1,14}", text) is None:
                raise ValueError(text)  # noqa: TRY301 - every malformed token gets the same error
        except (ValueError, binascii.Error) as error:
            sentence = "starting_token doesn't match the required format."
            raise SHARED["InvalidParameters"].occur(sentence=sentence) from error
        return int(text)

    def cut(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], str | None]:
        """Return the entries of the page, and the token of the next page (None on the last page)."""
        end = self.offset + self.page_size
        token = base64.urlsafe_b64encode(str(end).encode()).decode().rstrip("=")
        return entries[self.offset : end], token if end < len(entries) else None


def read_page(request: Request, model: type[AnyPage]) -> AnyPage:
    """Return the page that the query of ``request`` asks for.

    Raises
    ------
    VendorError
        If a parameter is invalid.
    """
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise SHARED["InvalidParameters"].occur(sentence=_sentence(error)) from error


async def read_body(
    request: Request, model: type[Body], check_first: Callable[[Mapping[str, Any]], None] | None = None
) -> Body:
    """Return the validated JSON body of ``request``.

    ``check_first`` is called with the body before its members are validated.

    Raises
    ------
    VendorError
        If the body is not JSON, or one of its members is invalid.
    """
    document = await read_document(request)
    if check_first is not None and isinstance(document, dict):
        check_first(document)
    return validated(request, document, model)


async def read_document(request: Request) -> Any:
    """Return the JSON body of ``request`` without validating its members.

    Raises
    ------
    VendorError
        If the body is not JSON.
    """
    body = await request.body()
    try:
        if len(body) > LARGE_BYTES:
            return await anyio.to_thread.run_sync(lambda: read_json(body.decode()))
        return read_json(body.decode())
    except (ValueError, RecursionError) as error:
        raise SHARED["InvalidParameters"].occur(sentence="The request body is not valid JSON.") from error


def read_json(text: str) -> Any:
    """Parse a JSON text. Whole numbers, such as ``30.0``, become ints: for JSON Schema, they are integers.

    Raises
    ------
    ValueError, RecursionError
        If the text is not JSON.
    """
    return _DECODER.decode(text)


def _number(digits: str) -> int | float:
    """Parse a number of a JSON document. ``30.0`` and ``3e1`` are integers too.

    Short numbers take a faster path, because a body can have half a million numbers.

    An integer with more than ``MOST_DIGITS`` digits becomes ``LONGEST``. Otherwise a short text such as
    ``1e999999999`` would become an int that takes all memory.
    """
    if len(digits) <= SHORT_DIGITS:
        value = float(digits)  # exact for so few digits, unless the exponent is large
        if abs(value) < 10**SHORT_DIGITS and (value or "e" not in digits.lower()):
            return int(value) if value.is_integer() else value
    mantissa, _, exponent = digits.lower().partition("e")
    if not mantissa.strip("-0."):
        return 0
    try:
        number = Decimal(digits)
    except InvalidOperation:  # the exponent has more than 18 digits
        is_integer, is_long = not exponent.startswith("-"), True
    else:
        is_integer, is_long = number == number.to_integral_value(), number.adjusted() >= MOST_DIGITS
    if not is_integer:
        return float(digits)
    if is_long:
        return -LONGEST if digits.startswith("-") else LONGEST
    return int(number)


def _integer(digits: str) -> int | float:
    """Parse a number of a JSON document that is written without a fraction and without an exponent."""
    return int(digits) if len(digits) <= MOST_DIGITS else _number(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer, parse_float=_number)
"""The decoder of all bodies. ``json.loads`` with the same arguments would build a new one for each body."""


def validated(request: Request, document: Any, model: type[Body]) -> Body:
    """Return a JSON body as a ``model``, and add warnings about unknown members to the call.

    Raises
    ------
    VendorError
        If a member is invalid. The message is about the first invalid member.
    """
    try:
        body = model.model_validate(document)
    except ValidationError as error:
        raise SHARED["InvalidParameters"].occur(sentence=_sentence(error)) from error
    dropped = _dropped(document, body)
    for name in dropped[:MOST_OF_A_KIND]:
        call_of(request).warn("field-dropped", f"unknown member {name}")
    more = len(dropped) - MOST_OF_A_KIND
    if more > 0:
        call_of(request).warn("field-dropped", "", more)
    return body


def _dropped(document: Mapping[str, Any], body: RequestBody, path: str = "") -> list[str]:
    """Return the paths, such as ``global.x``, of members of ``document`` that the model of ``body`` lacks."""
    fields = _fields(type(body))
    found: list[str] = []
    for member, given in document.items():
        if member not in fields:
            found.append(f"{path}{member}")
        elif isinstance(given, list):
            for position, (inner, part) in enumerate(zip(given, getattr(body, fields[member]), strict=True)):
                found += _dropped(inner, part, f"{path}{member}[{position}].")
        elif isinstance(given, dict):
            found += _dropped(given, getattr(body, fields[member]), f"{path}{member}.")
    return found


@cache
def _fields(model: type[RequestBody]) -> Mapping[str, str]:
    """Return the names of a model's fields, by the names that they have in the JSON document."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def is_null(name: str) -> str:
    """Return the vendor's message about a member that is null."""
    return f"'{name}' is required and can't be null."


def is_missing(name: str) -> str:
    """Return the vendor's message about a missing member."""
    return f"{name} is required but wasn't included in your request."


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    # The vendor's message names the innermost member, without its path.
    names = [str(step) for step in first["loc"] if isinstance(step, str)]
    name = names[-1] if names else "body"
    if first["type"] != "missing" and first["input"] is None:
        return is_null(name)
    match first["type"]:
        case "missing":
            return is_missing(name)
        case "less_than_equal" | "less_than":
            return f"{name} is above the allowed maximum."
        case "greater_than_equal" | "greater_than":
            return f"{name} is below the allowed minimum."
        case "literal_error" if isinstance(first["input"], str):
            return f"{name} is not one of the accepted values."
        case _:
            return f"{name} doesn't match the required format."

"""The environment variables of the settings, and messages about unknown and invalid variables."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError
from pydantic_settings import SettingsError

from emulator.settings import Settings
from emulator.web.vendor import Vendor

PREFIX = "FACE_EMULATOR_"

FOR_CLIENTS = frozenset({f"{PREFIX}URL", f"{PREFIX}CREDENTIAL", f"{PREFIX}WEBHOOK_SECRET"})
"""Variables that only clients read. The server does not warn about them."""

NESTED = frozenset({"CREDENTIALS", "PROGRESSION", "VENDORS"})
"""Settings with members. Each member has its own variable, such as ``FACE_EMULATOR_PROGRESSION__MODE``."""

OPTIONS: Mapping[str, str] = {f"{PREFIX}HOST": "--host", f"{PREFIX}PORT": "--port"}
"""Variables that look like settings. Each has the option of ``face-emulator serve`` to use instead."""


def variables(vendors: Sequence[Vendor]) -> tuple[str, ...]:
    """Return the names of the variables of all settings, including the vendors' settings."""
    own = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    theirs = [
        f"{_prefix_of(vendor)}{name.upper()}"
        for vendor in vendors
        for name in vendor.settings_model.model_fields
    ]
    return (*own, *theirs)


def unknown_variables(environment: Iterable[str], vendors: Sequence[Vendor]) -> list[str]:
    """Return a warning for each variable that looks like a setting but is not one.

    Such a variable is not an error, because it is not always a typo. For example, if a service is named
    face-emulator, Kubernetes sets ``FACE_EMULATOR_PORT`` and similar variables in every container.
    """
    known = variables(vendors)
    sentences = []
    for name in sorted(set(environment)):
        said = name.upper()
        is_member = said.removeprefix(PREFIX).partition("__")[0] in NESTED
        if not said.startswith(PREFIX) or said in FOR_CLIENTS or said in known or is_member:
            continue
        sentences.append(f"{name} is not a setting and has no effect{_suggestion(said, known)}")
    return sentences


def refusals(error: ValidationError | SettingsError, vendors: Sequence[Vendor]) -> list[str]:
    """Return an error message for each variable that is invalid."""
    if isinstance(error, SettingsError):
        # Only the text of the error contains the setting's name.
        named = re.search(r'field "(\w+)"', str(error))
        return [f"{PREFIX}{named[1].upper() if named else '...'} is not valid JSON: {error.__cause__}"]
    prefixes = {vendor.settings_model.__name__: _prefix_of(vendor) for vendor in vendors}
    prefix = prefixes.get(error.title, PREFIX)
    known = variables(vendors)
    sentences: dict[str, list[str]] = {}
    for each in error.errors(include_url=False):
        name, *place = (str(part) for part in each["loc"])
        variable = f"{prefix}{name.upper()}"
        if each["type"] == "extra_forbidden" and not place:
            said = f"is not a setting{_suggestion(variable, known)}"
        else:
            said = each["msg"][0].lower() + each["msg"][1:]
            # Invalid JSON is not printed, because it may contain a secret.
            if each["type"] not in {"missing", "json_invalid"} and isinstance(
                each["input"], str | int | float
            ):
                said += f", not {str(each['input'])!r}"
            # If several types are allowed, the location also has a part that describes the type. Omit it.
            said = ": ".join([*(part for part in place if re.fullmatch(r"\w+", part)), said])
        sentences.setdefault(variable, []).append(said)
    return [
        f"{variable}{' ' if said[0].startswith('is not a') else ': '}{', or '.join(said)}"
        for variable, said in sentences.items()
    ]


def _prefix_of(vendor: Vendor) -> str:
    return f"{PREFIX}VENDORS__{vendor.name.upper()}__"


def _suggestion(name: str, known: Sequence[str]) -> str:
    if name in OPTIONS:
        return f"; use the option {OPTIONS[name]} of `face-emulator serve`"
    # Users often write a vendor's setting without VENDORS__ or without the vendor.
    own = name.removeprefix(PREFIX)
    close = [each for each in known if own and each.endswith(f"__{own}")]
    if not close:
        names = {each.removeprefix(PREFIX): each for each in known}
        close = [names[each] for each in difflib.get_close_matches(own, names, n=1, cutoff=0.65)]
    return f"; did you mean {' or '.join(close)}?" if close else "; the documentation lists all settings"

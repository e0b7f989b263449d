"""The environment variables that are settings: which there are, and what is wrong with those that are set."""

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
"""What clients are told where an emulator is; a server may find them in its environment too."""

NESTED = frozenset({"CREDENTIALS", "PROGRESSION", "VENDORS"})
"""The settings whose members may have variables of their own: ``FACE_EMULATOR_PROGRESSION__MODE``."""

OPTIONS: Mapping[str, str] = {f"{PREFIX}HOST": "--host", f"{PREFIX}PORT": "--port"}
"""What one may take for a setting, and is an option of ``face-emulator serve``."""


def variables(vendors: Sequence[Vendor]) -> tuple[str, ...]:
    """Return the names of all variables that are settings, those of the vendors among them."""
    own = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    theirs = [
        f"{_prefix_of(vendor)}{name.upper()}"
        for vendor in vendors
        for name in vendor.settings_model.model_fields
    ]
    return (*own, *theirs)


def strange_variables(environment: Iterable[str], vendors: Sequence[Vendor]) -> list[str]:
    """Return a sentence for each variable that looks like a setting, and is none.

    It may be a slip, which would go unnoticed. It need not be: an orchestrator that runs a service
    named face-emulator sets ``FACE_EMULATOR_PORT`` and more for every container.
    """
    known = variables(vendors)
    sentences = []
    for name in sorted(set(environment)):
        said = name.upper()
        is_member = said.removeprefix(PREFIX).partition("__")[0] in NESTED
        if not said.startswith(PREFIX) or said in FOR_CLIENTS or said in known or is_member:
            continue
        sentences.append(f"{name} is no setting, and changes nothing{_suggestion(said, known)}")
    return sentences


def refusals(error: ValidationError | SettingsError, vendors: Sequence[Vendor]) -> list[str]:
    """Return a sentence for each variable whose value cannot be."""
    if isinstance(error, SettingsError):
        # It names the setting in its text alone.
        named = re.search(r'field "(\w+)"', str(error))
        return [f"{PREFIX}{named[1].upper() if named else '...'} is no JSON: {error.__cause__}"]
    prefixes = {vendor.settings_model.__name__: _prefix_of(vendor) for vendor in vendors}
    prefix = prefixes.get(error.title, PREFIX)
    known = variables(vendors)
    sentences: dict[str, list[str]] = {}
    for each in error.errors(include_url=False):
        name, *place = (str(part) for part in each["loc"])
        variable = f"{prefix}{name.upper()}"
        if each["type"] == "extra_forbidden" and not place:
            said = f"is no setting{_suggestion(variable, known)}"
        else:
            said = each["msg"][0].lower() + each["msg"][1:]
            # A text that is no JSON is not repeated: it may hold a secret.
            if each["type"] not in {"missing", "json_invalid"} and isinstance(
                each["input"], str | int | float
            ):
                said += f", not {str(each['input'])!r}"
            # Where a value may have several forms, pydantic names the form as well.
            said = ": ".join([*(part for part in place if re.fullmatch(r"\w+", part)), said])
        sentences.setdefault(variable, []).append(said)
    return [
        f"{variable}{' ' if said[0].startswith('is no') else ': '}{', or '.join(said)}"
        for variable, said in sentences.items()
    ]


def _prefix_of(vendor: Vendor) -> str:
    return f"{PREFIX}VENDORS__{vendor.name.upper()}__"


def _suggestion(name: str, known: Sequence[str]) -> str:
    if name in OPTIONS:
        return f"; the option {OPTIONS[name]} of `face-emulator serve` is"
    # A vendor's setting is often named as the README's table shortens it, without FACE_EMULATOR_VENDORS__.
    own = name.removeprefix(PREFIX)
    close = [each for each in known if own and each.endswith(f"__{own}")]
    if not close:
        names = {each.removeprefix(PREFIX): each for each in known}
        close = [names[each] for each in difflib.get_close_matches(own, names, n=1, cutoff=0.65)]
    return f"; do you mean {' or '.join(close)}?" if close else "; the README lists those that there are"

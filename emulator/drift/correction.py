"""Advice on how to change the emulator so that it answers like the real service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, Final

from emulator.drift.comparison import FIRST_FAILURE, Difference, is_pattern
from emulator.drift.samples import Step
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.error_catalogue import CatalogueEntry, ErrorOverride

TEMPORARY: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of temporary errors, which say nothing about the vendor's API."""


@dataclass(frozen=True)
class Correction:
    """How to change the emulator so that a difference disappears.

    Attributes
    ----------
    advice : str
        What to do, as a sentence.
    error : str, optional
        Name of the emulator's error to change, if such a change corrects the difference.
    override : ErrorOverride
        The new status or text of ``error``.
    """

    advice: str
    error: str | None = None
    override: ErrorOverride = field(default_factory=ErrorOverride)


class Corrector:
    """Finds corrections for differences, with the vendor's error catalogue and current settings."""

    def __init__(self, vendor: Vendor, settings: VendorSettings) -> None:
        self._vendor = vendor
        self._settings = settings

    def correct(
        self, difference: Difference, step: Step, real: Mapping[str, Any], emulated: Mapping[str, Any]
    ) -> Correction:
        """Return how to correct ``difference``, which is between the responses ``real`` and ``emulated``.

        ``step`` is the request. The values in ``real`` are masked.
        """
        if real["status"] in TEMPORARY and real["status"] != emulated["status"]:
            return Correction(f"a {real['status']} is temporary; compare again before you correct anything")
        setting = next(
            (name for place, name in step.settings.items() if f"{difference.place}.".startswith(f"{place}.")),
            None,
        )
        if setting is not None:
            return Correction(
                f"set {self._variable(setting)} (now {getattr(self._settings, setting)}): "
                f"{self._vendor.settings_model.model_fields[setting].description}"
            )
        is_text = difference.what == "value" and isinstance(difference.found, str)
        if difference.what == "status" or is_text or difference.place == "body.status":
            entries = list(self._matching_errors(emulated))
            names = ", ".join(entry.name for entry, _ in entries)
            others = ", ".join(entry.name for entry, _ in self._matching_errors(real))
            refuses, refused = (answer["status"] >= FIRST_FAILURE for answer in (real, emulated))
            if refuses != refused or (others and others != names):
                # Do not advise a new override, which would change the emulated error in all operations.
                actual_error = (others or "an unknown error") if refuses else others or "no error"
                where = f"change the condition in {self._folder}"
                return Correction(
                    f"the service returns {actual_error} instead of {names or 'no error'}; {where}"
                )
            if len(entries) == 1:
                return self._reword(difference, *entries[0])
            if entries:
                return Correction(
                    f"set {self._variable('errors')} for one of {names}, which all match this response"
                )
        return self._nothing_to_set()

    def together(self, corrections: Sequence[Correction]) -> str | None:
        """Return the setting ``errors`` with all overrides, as ``VARIABLE='JSON'``; None if none is new."""
        due: dict[str, dict[str, Any]] = {}
        for correction in corrections:
            said = correction.override.model_dump(exclude_none=True)
            if correction.error is not None and said:
                due.setdefault(correction.error, {}).update(said)
        if not due:
            return None
        errors = {
            name: override.model_dump(exclude_none=True) for name, override in self._settings.errors.items()
        }
        for name, said in due.items():
            errors[name] = {**errors.get(name, {}), **said}
        quoted = json.dumps(errors).replace("'", "'\\''")
        return f"{self._variable('errors')}='{quoted}'"

    def _variable(self, setting: str) -> str:
        return f"FACE_EMULATOR_VENDORS__{self._vendor.name.upper()}__{setting.upper()}"

    def _nothing_to_set(self) -> Correction:
        return Correction(
            f"no setting changes this; change the code in {self._folder}, and see its contract.md"
        )

    @property
    def _folder(self) -> str:
        return self._vendor.package.replace(".", "/")

    def _reword(self, difference: Difference, entry: CatalogueEntry, found: re.Match[str]) -> Correction:
        """Return how to correct the error ``entry``. ``found`` is the text of ``entry`` in the response."""
        known = f"{entry.name} is {entry.mark}: {entry.source}"
        if difference.what == "status":
            override = ErrorOverride(status=difference.expected)
            return Correction(f"set {self._variable('errors')}; {known}", entry.name, override)
        if not isinstance(difference.found, str):
            # The body repeats the status. A correction of the status corrects the body, too.
            return Correction(f"set {self._variable('errors')}; {known}")
        if found[0] not in difference.found:
            return self._nothing_to_set()
        if difference.found != found[0]:
            # The text is part of a longer text with markup, so the exact new text is unknown.
            return Correction(f"set {self._variable('errors')}; {known}")
        if is_pattern(difference.expected) or not _literal(entry.text):
            # The exact text is unknown, or the code builds it, so that one fixed text would be wrong in other
            # responses.
            return Correction(f"change the text of {entry.name} in {self._folder}; {known}")
        text = difference.expected.replace("{", "{{").replace("}", "}}")
        for place, value in found.groupdict().items():
            text = text.replace(value, f"{{{place}}}") if value else text
        return Correction(f"set {self._variable('errors')}; {known}", entry.name, ErrorOverride(text=text))

    def _matching_errors(self, answer: Mapping[str, Any]) -> Iterator[tuple[CatalogueEntry, re.Match[str]]]:
        """Yield the errors whose status, code and text match a response.

        If several errors match, only the most specific are yielded: those with the longest literal text.
        """
        strings = list(_strings(answer["body"]))
        found_errors = []
        for entry in self._vendor.errors.values():
            override = self._settings.errors.get(entry.name, ErrorOverride())
            if (override.status or entry.status) != answer["status"]:
                continue
            template = entry.text if override.text is None else override.text
            if entry.codes and not set(entry.codes) & set(strings):
                continue
            pattern = _expression(template)
            for text in strings:
                found = pattern.fullmatch(text)
                if found is not None:
                    found_errors.append((entry, found, len(_literal(template))))
                    break
        most = max((length for _, _, length in found_errors), default=0)
        yield from ((entry, found) for entry, found, length in found_errors if length == most)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        # Also yield the texts between the tags of markup.
        yield from re.findall(r">([^<>]+)<", value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _literal(template: str) -> str:
    return "".join(text for text, _, _, _ in Formatter().parse(template))


def _expression(template: str) -> re.Pattern[str]:
    pieces = []
    for text, place, _, _ in Formatter().parse(template):
        pieces.append(re.escape(text))
        if place is not None:
            pieces.append(f"(?P<{place}>.*)")
    return re.compile("".join(pieces), re.DOTALL)

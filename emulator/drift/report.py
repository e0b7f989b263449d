"""Reports of a comparison, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.drift.comparison import IGNORED_HEADERS, Difference
from emulator.drift.run import Compared, Finding
from emulator.drift.samples import Sample

LONGEST_SHOWN = 120
ABSENT = "-"


def print_samples(console: Console, samples: Mapping[str, Sample]) -> None:
    """Print the samples with their titles. For a sample that is never sent, print the reason."""
    table = Table("sample", "calls", "shows", box=None)
    for name, sample in samples.items():
        shows = (
            sample.title
            if sample.only_emulated is None
            else f"{sample.title} (not sent: {sample.only_emulated})"
        )
        table.add_row(Text(name), str(len(sample.steps)), Text(shows))
    console.print(table)


def print_findings(console: Console, compared: Sequence[Compared], together: str | None) -> None:
    """Print the differences, how to correct them, and the number of samples, calls and differences.

    ``together`` is an environment variable with all corrections that it can make, or None.
    """
    findings = [finding for one in compared for finding in one.findings]
    if findings:
        for title, group in groupby(findings, key=_step_of):
            console.print(Text(title, style="bold"), soft_wrap=True)
            table = Table(box=SIMPLE)
            for column in ("differs", "where", "real", "emulated"):
                table.add_column(column, overflow="fold")
            for finding in group:
                # Use Text, because rich would parse brackets in a response as markup.
                table.add_row(*map(Text, _cells(finding.difference)))
            console.print(table)
        console.print("What to correct:")
        for advice, places in _by_advice(findings).items():
            console.print(Text(f"- {advice} [{', '.join(places)}]"), soft_wrap=True)
        if together is not None:
            console.print("Setting that corrects all texts and statuses:")
            console.print(Text(together), soft_wrap=True)
    calls = sum(one.calls for one in compared)
    counts = {"sample": len(compared), "call": calls, "difference": len(findings)}
    console.print(", ".join(f"{count} {thing}{'' if count == 1 else 's'}" for thing, count in counts.items()))


def as_json(
    vendor: str,
    base_url: str,
    compared: Sequence[Compared],
    skipped: Mapping[str, str],
    together: str | None,
    failed: str | None,
) -> str:
    """Return the result of a comparison as a JSON document. Its values are masked.

    ``skipped`` has the samples that were not sent, with the reasons. ``together`` is an environment variable
    with all corrections that it can make. ``failed`` says why the comparison was not completed.
    """
    document = {
        "vendor": vendor,
        "base_url": base_url,
        "calls": sum(one.calls for one in compared),
        "failed": failed,
        "setting": together,
        "ignored_headers": sorted(IGNORED_HEADERS),
        "skipped": skipped,
        "samples": [
            {
                "name": one.name,
                "calls": one.calls,
                "differences": [
                    {
                        "step": finding.step + 1,
                        "request": finding.request,
                        "what": finding.difference.what,
                        "place": finding.difference.place,
                        "real": finding.difference.expected,
                        "emulated": finding.difference.found,
                        "correct": finding.correction.advice,
                    }
                    for finding in one.findings
                ],
            }
            for one in compared
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def short_text(value: Any) -> str:
    """Return a value or a pattern as short text."""
    match value:
        case {"$type": names}:
            text = str(names)
        case {"$matches": expression}:
            text = f"/{expression}/"
        case {"$url": suffix, "query": query}:
            text = f"URL {suffix} ?{'&'.join(query)}"
        case {"$file": kind, **rest}:
            text = " ".join([kind, *(f"{name}={item}" for name, item in rest.items() if name != "sha256")])
        case {"$numbers": count}:
            text = f"{count} numbers"
        case {"$each": each}:
            text = f"each {short_text(each)}"
        case str():
            text = value
        case _:
            text = json.dumps(value, ensure_ascii=False)
    # Escape control characters, because a response must not control the terminal.
    text = text if text.isprintable() else json.dumps(text)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _step_of(finding: Finding) -> str:
    return f"{finding.sample}, step {finding.step + 1}: {finding.request}"


def _cells(difference: Difference) -> tuple[str, str, str, str]:
    real, emulated = short_text(difference.expected), short_text(difference.found)
    # Distinguish a missing member from one that is null.
    if difference.what == "extra member" or (difference.what == "header" and difference.expected is None):
        real = ABSENT
    if difference.what == "missing member" or (difference.what == "header" and difference.found is None):
        emulated = ABSENT
    return difference.what, difference.place, real, emulated


def _by_advice(findings: Iterable[Finding]) -> dict[str, list[str]]:
    by_advice: dict[str, list[str]] = {}
    for finding in findings:
        places = by_advice.setdefault(finding.correction.advice, [])
        place = f"{finding.sample}: {finding.difference.place}".rstrip(": ")
        if place not in places:
            places.append(place)
    return by_advice

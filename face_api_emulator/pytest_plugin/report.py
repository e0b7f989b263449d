"""The calls of a test, printed under its failure or kept as files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from face_api_emulator.client import Client
    from face_api_emulator.client.models import ListedRule, RecordedCall, Verdict

TITLE = "face-api-emulator: calls of this test"

MOST_CALLS = 50
"""Largest number of calls to print."""


def journal_lines(
    client: Client,
    calls: Sequence[RecordedCall],
    rules: Sequence[ListedRule],
    unmet: Sequence[Verdict],
    credential: str | None,
) -> Iterator[str]:
    """Yield lines about the calls, rules and failed verifications, and a command that repeats the last call.

    Parameters
    ----------
    client : Client
        Client of the emulator, with the credential of the test.
    calls : sequence of RecordedCall
        Calls of the test, oldest first.
    rules : sequence of ListedRule
        Fault rules of the test that are still active.
    unmet : sequence of Verdict
        Verifications in the test that failed.
    credential : str or None
        Credential of the test, if it may be printed.
    """
    from face_api_emulator.client.curl import curl  # noqa: PLC0415 - only for failures

    if not calls:
        yield f"no call was made with the credential {credential or 'of the test'}"
    if len(calls) > MOST_CALLS:
        yield f"({len(calls) - MOST_CALLS} earlier calls are not shown)"
    for call in calls[-MOST_CALLS:]:
        yield _line(call)
        for warning in call.warnings:
            yield f"      warning {warning['code']}: {warning['detail']}"
    for rule in rules:
        match = {name: value for name, value in rule.rule.get("match", {}).items() if name != "credential"}
        text = json.dumps({**rule.rule, "match": match})
        yield f"fault rule {rule.id} {text}: matched {rule.matched}, fired {rule.fired}"
    for verdict in unmet:
        yield f"verification failed: {verdict.message}"
        for miss in verdict.near_misses:
            for failure in miss.failures:
                yield (
                    f"      call {miss.number}: {failure.condition} is {json.dumps(failure.actual)}, "
                    f"expected {json.dumps(failure.expected)}"
                )
    if calls:
        yield f"repeat call {calls[-1].number}: {curl(calls[-1], client.base_url, credential)}"


def keep_evidence(client: Client, folder: Path, test: str) -> list[Path]:
    """Write the calls of a test as HAR, and a snapshot of the emulator. Return the paths of both files."""
    folder.mkdir(parents=True, exist_ok=True)
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", test).strip("_")[-150:]
    # Different tests can have the same readable name.
    name = f"{readable}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"
    har, snapshot = folder / f"{name}.har", folder / f"{name}.snapshot.zip"
    har.write_text(json.dumps(client.har(), indent=1) + "\n")
    client.save_snapshot(snapshot)
    return [har, snapshot]


def _line(call: RecordedCall) -> str:
    status = "no response" if call.status is None else str(call.status)
    parts = [f"{call.number:>4}  {call.method} {call.path} -> {status}, {call.duration_ms:.0f} ms"]
    if call.operation is not None:
        parts.append(f"{call.vendor} {call.operation}")
    if call.fault is not None:
        parts.append(f"fault from {call.fault.get('source')}")
    reason = _reason(call)
    if reason:
        parts.append(reason)
    return "  ".join(parts)


def _reason(call: RecordedCall) -> str:
    """Return the shortened body of an error response on one line, or an empty text for other responses."""
    if call.status is None or call.status < 400 or not call.answer:
        return ""
    found = call.answer.get("json", call.answer.get("text", ""))
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return " ".join(text.split())[:200]

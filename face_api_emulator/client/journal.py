"""Methods of the client for the journal and the costs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from face_api_emulator.client.connection import Connection, segment
from face_api_emulator.client.models import (
    Costs,
    KeptBodies,
    RecordedCall,
    RecordedCalls,
    Verdict,
    WarningKind,
)


class Journal(Connection):
    """Methods of ``Client`` for recorded calls and costs, of a credential or of all credentials."""

    def calls(self, **match: Any) -> list[RecordedCall]:
        """Return the matching calls, oldest first. Keywords are the filters of ``GET /_emulator/calls``."""
        params: dict[str, Any] = {"limit": 1000, **self._mine(), **match}
        page = self._read(RecordedCalls, "GET", "/calls", params=params)
        found = page.calls
        # A page can have fewer calls than its limit, if they are large.
        while page.next_after is not None and len(found) < match.get("limit", math.inf):
            following = {
                "after": page.next_after,
                "limit": match.get("limit", 1000 + len(found)) - len(found),
            }
            page = self._read(RecordedCalls, "GET", "/calls", params={**params, **following})
            found += page.calls
        return found

    def call(self, number: int) -> RecordedCall:
        """Return the call with this number."""
        return self._read(RecordedCall, "GET", f"/calls/{number}")

    def follow(self, **match: Any) -> Iterator[RecordedCall]:
        """Yield each matching call when it ends, until the emulator stops.

        The keywords are the filters of ``GET /_emulator/calls/stream``. With ``after``, the recorded calls
        with a higher number than ``after`` are yielded first. Calls that the journal deletes before the
        client reads them are missing.
        """
        params = {**self._mine(), **match}
        with self._sent("GET", "/calls/stream", params, timeout=None) as answer:
            event = b""
            for line in answer:
                name, _, value = line.rstrip().partition(b": ")
                if name == b"event":
                    event = value
                elif name == b"data" and event == b"call":
                    yield self._parsed(RecordedCall, json.loads(value))

    def warnings(self) -> list[WarningKind]:
        """Return the kinds of warnings that calls can have, with advice."""
        return self._read(list[WarningKind], "GET", "/warnings")

    def forget_calls(self) -> None:
        """Delete the credential's recorded calls, or all recorded calls."""
        self._call("DELETE", "/calls", scoped=True)

    def verify(
        self,
        *,
        count: int | None = None,
        at_least: int | None = None,
        at_most: int | None = None,
        **match: Any,
    ) -> Verdict:
        """Check how many calls match, and return the verdict. Without a number, at least 1 call must match.

        ``count`` is the exact number. The keywords ``match`` are the fields of ``VerifyMatch``. If too few
        calls match, the verdict has the calls that come closest to matching.

        Raises
        ------
        ValueError
            If ``count`` is given together with ``at_least`` or ``at_most``.
        """
        if count is not None and not at_least is at_most is None:
            raise ValueError("`count` is an exact number: omit `at_least` and `at_most`, or omit `count`")
        wanted: Any = {"at_least": at_least or 0, "at_most": at_most}
        if count is not None:
            wanted = count
        elif at_least is None and at_most is None:
            wanted = {"at_least": 1}
        body = {"match": {**self._mine(), **match}, "count": wanted}
        return self._read(Verdict, "POST", "/calls/verify", body=body)

    def kept_bodies(self) -> KeptBodies:
        """Return the limit for kept bodies, and the calls whose bodies are kept."""
        return self._read(KeptBodies, "GET", "/calls/bodies")

    def keep_bodies(self, limit: int) -> KeptBodies:
        """Keep the bodies of new calls in memory, at most ``limit`` bytes. With 0, keep no bodies."""
        return self._read(KeptBodies, "PUT", "/calls/bodies", body={"limit": limit})

    def call_bytes(self, number: int, sha256: str) -> bytes:
        """Return a picture or file of a call, by its SHA-256 digest. The bodies must have been kept."""
        with self._sent("GET", f"/calls/{number}/bytes/{segment(sha256)}") as answer:
            return answer.read()

    def replay_call(self, number: int) -> RecordedCall:
        """Send a call again, and return the new call. The call's bodies must have been kept."""
        return self._read(RecordedCall, "POST", f"/calls/{number}/replay")

    def har(self, **match: Any) -> dict[str, Any]:
        """Return the matching calls as an HTTP archive. The keywords are those of ``calls``."""
        params = {**self._mine(), **match}
        return self._read(dict[str, Any], "GET", "/calls.har", params=params)

    def costs(self, *, since_start: bool = False) -> Costs:
        """Return the cost of the credential's calls, or of all calls.

        With ``since_start``, return the cost of all calls since the start of the server, including calls
        before a reset.
        """
        return self._read(Costs, "GET", "/costs", params={**self._mine(), "since_start": since_start})

    def forget_costs(self) -> None:
        """Reset the credential's costs, or all costs, to zero."""
        self._call("DELETE", "/costs", scoped=True)

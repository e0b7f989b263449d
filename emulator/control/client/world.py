"""Methods of the client for the whole emulator: health, reset, snapshots, OpenAPI and credentials."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from emulator.control.client.caller import Caller, refuse_errors
from emulator.control.credentials import ListedCredential
from emulator.control.snapshot import Restored
from emulator.control.world import Health, Readiness
from emulator.world.credentials import CredentialState

POLL_SECONDS = 0.02


class World(Caller):
    """Methods of ``Client`` for the emulator as a whole."""

    def health(self) -> Health:
        """Return the version, the vendors and the storage of the emulator."""
        return self._read(Health, "GET", "/health")

    def ready(self) -> bool:
        """Return whether the emulator is ready: its init scripts have run, and the face core is loaded."""
        return self._http.get("/ready").status_code == httpx.codes.OK

    def wait_until_ready(
        self, timeout_s: float = 60.0, *, on_wait: Callable[[float], None] | None = None
    ) -> Readiness:
        """Wait until the init scripts have run and the face core is loaded.

        The face core is the code and the models for faces. After each failed check, ``on_wait`` is called
        with the number of seconds since the start of the wait.

        Raises
        ------
        TimeoutError
            If the emulator is not ready after ``timeout_s`` seconds.
        """
        begin = time.monotonic()
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self._http.get("/ready")
                if answer.status_code == httpx.codes.OK:
                    return Readiness.model_validate(answer.json())
            waited = time.monotonic() - begin
            if on_wait is not None:
                on_wait(waited)
            if waited > timeout_s:
                raise TimeoutError(
                    f"{self._http.base_url} is not ready after {timeout_s} s; check that the emulator runs"
                )
            time.sleep(POLL_SECONDS)

    def reset(self) -> None:
        """Delete all state of the credential. Without a credential, delete all state of the emulator."""
        self._call("POST", "/reset", body={"credential": self.credential})

    def save_snapshot(self, file: Path) -> None:
        """Write a snapshot of all state to ``file``."""
        with self._http.stream("GET", "/snapshot") as answer, file.open("wb") as written:
            refuse_errors(answer)
            for chunk in answer.iter_bytes():
                written.write(chunk)

    def restore_snapshot(self, file: Path) -> Restored:
        """Replace all state with a snapshot. Return the emulator's version and the counts in the snapshot."""
        with file.open("rb") as opened:
            answer = self._http.put("/snapshot", content=opened)
        refuse_errors(answer)
        return Restored.model_validate(answer.json())

    def openapi(self, vendor: str) -> dict[str, Any]:
        """Return the OpenAPI document of a vendor's API, as the emulator serves it."""
        return self._read(dict[str, Any], "GET", f"/openapi/{vendor}.json")

    def credentials(self) -> list[ListedCredential]:
        """Return all credentials that have a state, such as ``expired``, with their states."""
        return self._read(list[ListedCredential], "GET", "/credentials")

    def list_credential(self, credential: str, state: CredentialState = CredentialState.VALID) -> None:
        """Set the state of a credential."""
        self._call("PUT", "/credentials", body={"credential": credential, "state": state})

    def unlist_credential(self, credential: str) -> None:
        """Remove the state of a credential. If the settings have a state for it, that state applies again."""
        self._call("DELETE", f"/credentials/{quote(credential)}")

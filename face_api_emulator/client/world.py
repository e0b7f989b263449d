"""Methods of the client for the whole emulator: health, reset, snapshots, OpenAPI and credentials."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from face_api_emulator.client.connection import Connection, ControlError, EmulatorUnreachable, segment
from face_api_emulator.client.models import (
    CredentialState,
    Fact,
    Health,
    ListedCredential,
    ListedFace,
    Mark,
    Readiness,
    Restored,
)

POLL_SECONDS = 0.02

SERVICE_UNAVAILABLE = 503

ZIP = "application/zip"


class World(Connection):
    """Methods of ``Client`` for the emulator as a whole."""

    def health(self) -> Health:
        """Return the version and the vendors of the emulator, and where it keeps its state."""
        return self._read(Health, "GET", "/health")

    def ready(self) -> bool:
        """Return whether the emulator is ready.

        It is ready when the init hooks have run, the face core is loaded, and the state can be written.
        """
        try:
            self._call("GET", "/ready")
        except ControlError as error:
            if error.status != SERVICE_UNAVAILABLE:
                raise
            return False
        return True

    def metrics(self) -> str:
        """Return the metrics, in the text format of Prometheus."""
        with self._sent("GET", "/metrics") as answer:
            return answer.read().decode()

    def wait_until_ready(
        self, timeout_s: float = 60.0, *, on_wait: Callable[[float], None] | None = None
    ) -> Readiness:
        """Wait until the emulator is ready.

        It is ready when the init hooks have run, the face core (the code and the models for faces) is
        loaded, and the state can be written. After each failed check, ``on_wait`` is called with the number
        of seconds since the start of the wait.

        Raises
        ------
        TimeoutError
            If the emulator is not ready after ``timeout_s`` seconds.
        """
        begin = time.monotonic()
        while True:
            with contextlib.suppress(EmulatorUnreachable, ControlError):
                return self._read(Readiness, "GET", "/ready")
            waited = time.monotonic() - begin
            if on_wait is not None:
                on_wait(waited)
            if waited > timeout_s:
                raise TimeoutError(
                    f"{self.base_url} is not ready after {timeout_s} s; check that the emulator runs"
                )
            time.sleep(POLL_SECONDS)

    def reset(self) -> None:
        """Delete all state of the credential. Without a credential, delete all state of the emulator."""
        self._call("POST", "/reset", body={"credential": self.credential})

    def save_snapshot(self, file: Path, *, without_secrets: bool = False) -> None:
        """Write a snapshot of all state to ``file``. Only its owner can read the file.

        With ``without_secrets``, credentials and secrets of webhooks are replaced.
        """
        params = {"without_secrets": without_secrets}
        with self._sent("GET", "/snapshot", params) as answer:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(handle, "wb") as written:
                file.chmod(0o600)
                for chunk in answer.stream():
                    written.write(chunk)

    def restore_snapshot(self, file: Path) -> Restored:
        """Replace all state with a snapshot. Return its contents, and the emulator version that wrote it."""
        with (
            file.open("rb") as opened,
            self._sent("PUT", "/snapshot", body=opened, content_type=ZIP) as answer,
        ):
            return self._parsed(Restored, self._document(answer))

    def certificates(self, name: str = "ca.pem") -> bytes:
        """Return the content of the file ``ca.pem``, ``bundle.pem`` or ``truststore.p12``."""
        with self._sent("GET", f"/certificates/{segment(name)}") as answer:
            return answer.read()

    def faces(self) -> dict[str, str]:
        """Return what each test face shows, by name."""
        return {face.name: face.shows for face in self._read(list[ListedFace], "GET", "/faces")}

    def face(self, name: str, picture_format: str = "jpeg") -> bytes:
        """Return the picture of a test face as JPEG or PNG."""
        with self._sent("GET", f"/faces/{segment(name)}", {"format": picture_format}) as answer:
            return answer.read()

    def openapi(self, vendor: str) -> dict[str, Any]:
        """Return the OpenAPI document of a vendor's API, as the emulator serves it."""
        return self._read(dict[str, Any], "GET", f"/openapi/{vendor}.json")

    def ledger(self, vendor: str | None = None, mark: Mark | None = None) -> list[Fact]:
        """Return the facts of the vendors' contracts, with their marks and sources."""
        return self._read(list[Fact], "GET", "/ledger", params={"vendor": vendor, "mark": mark})

    def credentials(self) -> list[ListedCredential]:
        """Return all credentials that have a state, such as ``expired``, with their states."""
        return self._read(list[ListedCredential], "GET", "/credentials")

    def list_credential(self, credential: str, state: CredentialState = CredentialState.VALID) -> None:
        """Set the state of a credential."""
        self._call("PUT", "/credentials", body={"credential": credential, "state": state})

    def unlist_credential(self, credential: str) -> None:
        """Remove the state of a credential. A state from the settings, if there is one, applies again."""
        self._call("DELETE", f"/credentials/{segment(credential)}")

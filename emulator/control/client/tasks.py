"""Asynchronous tasks: when they are over, and how long they and their files live."""

from __future__ import annotations

from urllib.parse import quote

from emulator.control.client.caller import Caller
from emulator.control.tasks import ListedTask
from emulator.tasks.progression import Progression
from emulator.world.lifetimes import Lifetime


class Tasks(Caller):
    """The tasks of a credential, or of all."""

    def progression(self) -> Progression:
        """Return when new tasks are over."""
        return self._read(Progression, "GET", "/progression", scoped=True)

    def set_progression(self, mode: str, **details: float) -> Progression:
        """Set when new tasks are over: ``after_polls`` with ``polls``, ``after_seconds`` with ``seconds``."""
        return self._read(Progression, "PUT", "/progression", body={"mode": mode, **details}, scoped=True)

    def reset_progression(self) -> Progression:
        """Go back to the default progression, or the settings'."""
        return self._read(Progression, "DELETE", "/progression", scoped=True)

    def lifetimes(self) -> dict[str, dict[str, Lifetime]]:
        """Return how long things live, by vendor and by the name of the vendor's setting."""
        return self._read(dict[str, dict[str, Lifetime]], "GET", "/lifetimes", scoped=True)

    def set_lifetimes(self, vendor: str, **lifetimes: Lifetime) -> dict[str, dict[str, Lifetime]]:
        """Set how long a vendor's things live, and return all lifetimes; what is not named stays."""
        body = {vendor: lifetimes}
        return self._read(dict[str, dict[str, Lifetime]], "PUT", "/lifetimes", body=body, scoped=True)

    def reset_lifetimes(self) -> dict[str, dict[str, Lifetime]]:
        """Go back to the default lifetimes, or the settings'."""
        return self._read(dict[str, dict[str, Lifetime]], "DELETE", "/lifetimes", scoped=True)

    def tasks(self) -> list[ListedTask]:
        """Return the tasks, the oldest first."""
        return self._read(list[ListedTask], "GET", "/tasks", scoped=True)

    def task(self, task_id: str) -> ListedTask:
        """Return how a task really stands, without polling it."""
        return self._read(ListedTask, "GET", f"/tasks/{quote(task_id)}")

    def finish_task(self, task_id: str, error: str | None = None) -> ListedTask:
        """End a task, as its work comes to or with an error."""
        return self._read(ListedTask, "POST", f"/tasks/{quote(task_id)}/finish", body={"error": error})

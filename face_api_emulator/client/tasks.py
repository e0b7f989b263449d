"""Methods of the client for asynchronous tasks, their progression, and lifetimes."""

from __future__ import annotations

from face_api_emulator.client.connection import Connection, segment
from face_api_emulator.client.models import ListedTask, Progression

Lifetime = int | float | None
"""A number of seconds or days, depending on the setting's name. None means no expiry."""


class Tasks(Connection):
    """Methods of ``Client`` for tasks, their progression, and lifetimes.

    A progression decides when the client sees a task as finished.
    """

    def progression(self) -> Progression:
        """Return the progression of new tasks, which decides when they appear finished."""
        return self._read(Progression, "GET", "/progression", scoped=True)

    def set_progression(self, mode: str, **details: float) -> Progression:
        """Set the progression of new tasks, which decides when they appear finished.

        ``mode`` is a value of ``Mode``. The mode ``after_polls`` also needs ``polls``, and ``after_seconds``
        needs ``seconds``.
        """
        return self._read(Progression, "PUT", "/progression", body={"mode": mode, **details}, scoped=True)

    def reset_progression(self) -> Progression:
        """Reset the progression of new tasks. The credential then follows the default again.

        Without a credential, the default follows the settings again.
        """
        return self._read(Progression, "DELETE", "/progression", scoped=True)

    def lifetimes(self) -> dict[str, dict[str, Lifetime]]:
        """Return all lifetimes: for each vendor, a mapping from the name of a lifetime to its value."""
        return self._read(dict[str, dict[str, Lifetime]], "GET", "/lifetimes", scoped=True)

    def set_lifetimes(self, vendor: str, **lifetimes: Lifetime) -> dict[str, dict[str, Lifetime]]:
        """Set lifetimes of a vendor, and return all lifetimes. Omitted lifetimes stay as they are."""
        body = {vendor: lifetimes}
        return self._read(dict[str, dict[str, Lifetime]], "PUT", "/lifetimes", body=body, scoped=True)

    def reset_lifetimes(self) -> dict[str, dict[str, Lifetime]]:
        """Reset the lifetimes. The credential then follows the default lifetimes again.

        Without a credential, the default lifetimes follow the settings again.
        """
        return self._read(dict[str, dict[str, Lifetime]], "DELETE", "/lifetimes", scoped=True)

    def tasks(self) -> list[ListedTask]:
        """Return the tasks, oldest first."""
        return self._read(list[ListedTask], "GET", "/tasks", scoped=True)

    def task(self, task_id: str) -> ListedTask:
        """Return a task with its real state. This does not count as a poll."""
        return self._read(ListedTask, "GET", f"/tasks/{segment(task_id)}")

    def finish_task(self, task_id: str, error: str | None = None) -> ListedTask:
        """Finish a task when its work is done, with its own result or with ``error``. Return the task.

        If the work is already done, the task ends immediately. Otherwise, this method returns before the task
        ends.
        """
        return self._read(ListedTask, "POST", f"/tasks/{segment(task_id)}/finish", body={"error": error})

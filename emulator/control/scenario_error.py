"""The error for a scenario that cannot be read. A start without scenarios needs no other code for them."""

from __future__ import annotations


class ScenarioUnreadable(Exception):
    """The scenario does not exist, or its file is not valid."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"the scenario {self.name} cannot be read: {self.reason}"

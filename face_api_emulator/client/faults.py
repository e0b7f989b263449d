"""Methods of the client for fault rules, the names that rules can use, and scenarios."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from face_api_emulator.client.connection import Connection, ControlError, segment
from face_api_emulator.client.models import (
    ErrorDescription,
    ListedRule,
    ListedScenario,
    LoadedScenario,
    Operations,
)


class Faults(Connection):
    """Methods of ``Client`` for fault rules and scenarios, of a credential or of all credentials."""

    def errors(self) -> list[ErrorDescription]:
        """Return all errors of all vendors, and how to cause them."""
        return self._read(list[ErrorDescription], "GET", "/errors")

    def effects(self) -> Mapping[str, Any]:
        """Return the named effects, such as ``slow``. A rule can use these names."""
        return self._read(dict[str, Any], "GET", "/effects")

    def operations(self) -> dict[str, Operations]:
        """Return the operations of each vendor, with the names that rules and filters use."""
        return self._read(dict[str, Operations], "GET", "/operations")

    def add_fault(
        self,
        effect: str | Mapping[str, Any],
        *,
        count: int | None = None,
        ttl_s: float | None = None,
        **match: Any,
    ) -> ListedRule:
        """Add a fault rule, and return it with its id.

        ``effect`` is the name of an error or of an effect, or a mapping with the members of an effect. The
        keywords ``match`` are the members of ``match`` in ``POST /_emulator/faults``. The default of
        ``match["credential"]`` is the client's credential.
        """
        if self.credential is not None:
            match.setdefault("credential", self.credential)
        rule = {"match": match, "effect": effect, "count": count, "ttl_s": ttl_s}
        return self._read(ListedRule, "POST", "/faults", body=rule)

    @contextlib.contextmanager
    def fault(self, effect: str | Mapping[str, Any], **options: Any) -> Iterator[ListedRule]:
        """Add a fault rule, and remove it when the ``with`` block ends.

        The options are those of ``add_fault``.
        """
        rule = self.add_fault(effect, **options)
        try:
            yield rule
        finally:
            with contextlib.suppress(ControlError):  # the rule may already be removed
                self.remove_fault(rule.id)

    def faults(self) -> list[ListedRule]:
        """Return the rules that can still fire."""
        return self._read(list[ListedRule], "GET", "/faults", scoped=True)

    def remove_fault(self, rule_id: str) -> None:
        """Remove a rule."""
        self._call("DELETE", f"/faults/{segment(rule_id)}")

    def forget_faults(self) -> None:
        """Remove the credential's rules, or all rules."""
        self._call("DELETE", "/faults", scoped=True)

    def scenarios(self) -> list[ListedScenario]:
        """Return the built-in scenarios."""
        return self._read(list[ListedScenario], "GET", "/scenarios")

    def scenario(self, name: str) -> dict[str, Any]:
        """Return a built-in scenario."""
        return self._read(dict[str, Any], "GET", f"/scenarios/{segment(name)}")

    def load_scenario(self, scenario: str | Path | Mapping[str, Any]) -> LoadedScenario:
        """Load a scenario, and return the rules that it added.

        ``scenario`` is the name of a built-in scenario, the path of a TOML or YAML file, or the members of a
        scenario.
        """
        if isinstance(scenario, str):
            return self._read(LoadedScenario, "POST", f"/scenarios/{segment(scenario)}", scoped=True)
        if isinstance(scenario, Mapping):
            return self._read(LoadedScenario, "POST", "/scenarios", body=scenario, scoped=True)
        path = f"/scenario-files/{segment(scenario.name)}"
        with self._sent(
            "POST", path, self._mine(), scenario.read_bytes(), content_type="text/plain"
        ) as answer:
            return self._parsed(LoadedScenario, self._document(answer))

    def unload_scenario(self, name: str) -> None:
        """Remove the rules of a scenario."""
        self._call("DELETE", f"/scenarios/{segment(name)}", scoped=True)

"""Methods of the client for fault rules, the names that rules can use, and scenarios."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from emulator.control.client.caller import Caller, ControlError
from emulator.control.faults import ListedRule
from emulator.control.operations import ErrorDescription, Operations
from emulator.control.scenario import ListedScenario, LoadedScenario, Scenario
from emulator.world.faults.effects import Effect
from emulator.world.faults.rules import FaultRule, Match


class Faults(Caller):
    """Methods of ``Client`` for fault rules and scenarios, of a credential or of all credentials."""

    def errors(self) -> list[ErrorDescription]:
        """Return all errors of all vendors, and how to cause them."""
        return self._read(list[ErrorDescription], "GET", "/errors")

    def effects(self) -> Mapping[str, Any]:
        """Return the effects that have a name, such as ``slow``, by name. A rule can use these names."""
        return self._read(dict[str, Any], "GET", "/effects")

    def operations(self) -> dict[str, Operations]:
        """Return the operations of each vendor, with the names that rules and filters use."""
        return self._read(dict[str, Operations], "GET", "/operations")

    def add_fault(
        self,
        effect: str | Mapping[str, Any] | Effect,
        *,
        count: int | None = None,
        ttl_s: float | None = None,
        **match: Any,
    ) -> ListedRule:
        """Add a fault rule, and return it with its id.

        ``effect`` is the name of an error, the name of an effect, or an ``Effect``. The keywords ``match``
        are the fields of ``Match``. The default of ``match["credential"]`` is the client's credential.
        """
        if self.credential is not None:
            match.setdefault("credential", self.credential)
        rule = FaultRule(match=Match(**match), effect=effect, count=count, ttl_s=ttl_s)  # type: ignore[arg-type]  # names become effects
        return self._read(
            ListedRule, "POST", "/faults", body=rule.model_dump(mode="json", exclude_defaults=True)
        )

    @contextlib.contextmanager
    def fault(self, effect: str | Mapping[str, Any] | Effect, **options: Any) -> Iterator[ListedRule]:
        """Add a fault rule, and remove it when the ``with`` block ends.

        The options are those of ``add_fault``.
        """
        rule = self.add_fault(effect, **options)
        try:
            yield rule
        finally:
            with contextlib.suppress(ControlError):  # the rule is already removed
                self.remove_fault(rule.id)

    def faults(self) -> list[ListedRule]:
        """Return the rules that can still fire."""
        return self._read(list[ListedRule], "GET", "/faults", scoped=True)

    def remove_fault(self, rule_id: str) -> None:
        """Remove a rule."""
        self._call("DELETE", f"/faults/{quote(rule_id)}")

    def forget_faults(self) -> None:
        """Remove the credential's rules, or all rules."""
        self._call("DELETE", "/faults", scoped=True)

    def scenarios(self) -> list[ListedScenario]:
        """Return the built-in scenarios."""
        return self._read(list[ListedScenario], "GET", "/scenarios")

    def scenario(self, name: str) -> Scenario:
        """Return a built-in scenario."""
        return self._read(Scenario, "GET", f"/scenarios/{quote(name)}")

    def load_scenario(self, scenario: str | Scenario) -> LoadedScenario:
        """Load a scenario, and return the rules that it added.

        ``scenario`` is a ``Scenario`` or the name of a built-in scenario.
        """
        if isinstance(scenario, str):
            return self._read(LoadedScenario, "POST", f"/scenarios/{quote(scenario)}", scoped=True)
        body = scenario.model_dump(mode="json", exclude_defaults=True)
        return self._read(LoadedScenario, "POST", "/scenarios", body=body, scoped=True)

    def unload_scenario(self, name: str) -> None:
        """Remove the rules of a scenario."""
        self._call("DELETE", f"/scenarios/{quote(name)}", scoped=True)

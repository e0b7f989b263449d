"""Fault rules, the names that they use, and scenarios."""

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
    """What goes wrong on purpose."""

    def errors(self) -> list[ErrorDescription]:
        """Return every error of every vendor, and how to get it."""
        return self._read(list[ErrorDescription], "GET", "/errors")

    def effects(self) -> Mapping[str, Any]:
        """Return the effects that have a name."""
        return self._read(dict[str, Any], "GET", "/effects")

    def operations(self) -> dict[str, Operations]:
        """Return what clients can call, by vendor: the names that rules and filters use."""
        return self._read(dict[str, Operations], "GET", "/operations")

    def add_fault(
        self,
        effect: str | Mapping[str, Any] | Effect,
        *,
        count: int | None = None,
        ttl_s: float | None = None,
        **match: Any,
    ) -> ListedRule:
        """Return a rule that was added, for the client's credential unless ``match`` names one.

        ``effect`` is the name of an error or of an effect, or an object; ``match`` as in ``Match``.
        """
        if self.credential is not None:
            match.setdefault("credential", self.credential)
        rule = FaultRule(match=Match(**match), effect=effect, count=count, ttl_s=ttl_s)  # type: ignore[arg-type]  # names become effects
        return self._read(
            ListedRule, "POST", "/faults", body=rule.model_dump(mode="json", exclude_defaults=True)
        )

    @contextlib.contextmanager
    def fault(self, effect: str | Mapping[str, Any] | Effect, **options: Any) -> Iterator[ListedRule]:
        """Have something go wrong as long as the block lasts; options as of ``add_fault``."""
        rule = self.add_fault(effect, **options)
        try:
            yield rule
        finally:
            with contextlib.suppress(ControlError):  # it was removed meanwhile
                self.remove_fault(rule.id)

    def faults(self) -> list[ListedRule]:
        """Return the rules that may still fire."""
        return self._read(list[ListedRule], "GET", "/faults", scoped=True)

    def remove_fault(self, rule_id: str) -> None:
        """Remove a rule."""
        self._call("DELETE", f"/faults/{quote(rule_id)}")

    def forget_faults(self) -> None:
        """Forget the credential's rules, or all."""
        self._call("DELETE", "/faults", scoped=True)

    def scenarios(self) -> list[ListedScenario]:
        """Return the scenarios that come along."""
        return self._read(list[ListedScenario], "GET", "/scenarios")

    def scenario(self, name: str) -> Scenario:
        """Return a scenario that comes along."""
        return self._read(Scenario, "GET", f"/scenarios/{quote(name)}")

    def load_scenario(self, scenario: str | Scenario) -> LoadedScenario:
        """Return what was added: a scenario that comes along, by its name, or one's own."""
        if isinstance(scenario, str):
            return self._read(LoadedScenario, "POST", f"/scenarios/{quote(scenario)}", scoped=True)
        body = scenario.model_dump(mode="json", exclude_defaults=True)
        return self._read(LoadedScenario, "POST", "/scenarios", body=body, scoped=True)

    def unload_scenario(self, name: str) -> None:
        """Remove the rules that a scenario added."""
        self._call("DELETE", f"/scenarios/{quote(name)}", scoped=True)

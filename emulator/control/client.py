"""The control API from Python, for tests and scripts."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from emulator.control.clock import ClockReading
from emulator.control.costs import Costs
from emulator.control.faults import ListedRule, Operations
from emulator.control.journal import RecordedCall, RecordedCalls, VerdictDescription, WarningDescription
from emulator.control.routes import ErrorDescription, Health, ListedCredential, Readiness
from emulator.control.scenario import ListedScenario, LoadedScenario, Scenario
from emulator.control.snapshot import Restored
from emulator.control.tasks import ListedTask
from emulator.control.webhooks import DeliveryDescription, EndpointDescription, PlanDescription
from emulator.tasks.progression import Progression
from emulator.web.credentials import CredentialState
from emulator.web.faults import Effect, FaultRule, Match
from emulator.web.lifetimes import Lifetime
from emulator.webhooks.delivery import Timestamps

POLL_SECONDS = 0.02

_LIFETIMES = TypeAdapter(dict[str, dict[str, Lifetime]])


class ControlError(Exception):
    """The control API refused a call."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} (HTTP {self.status})"


class Client:
    """A tester's hold on a running emulator.

    Parameters
    ----------
    base_url : str
        Of the emulator, or of its control port.
    credential : str or None
        Whose world is seen and bent; everybody's if None.
    transport : httpx.BaseTransport or None
        For an emulator that is not behind a socket.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:3468",
        credential: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.credential = credential
        self._http = httpx.Client(
            base_url=f"{base_url.rstrip('/')}/_emulator", timeout=60, transport=transport, trust_env=False
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- The world ---

    def health(self) -> Health:
        """Return what is served."""
        return Health.model_validate(self._call("GET", "/health"))

    def wait_until_ready(self, timeout_s: float = 60.0) -> Readiness:
        """Return when init hooks have run and the face core is warm.

        Raises
        ------
        TimeoutError
            If it takes longer.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self._http.get("/ready")
                if answer.status_code == httpx.codes.OK:
                    return Readiness.model_validate(answer.json())
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._http.base_url} was not ready after {timeout_s} s")
            time.sleep(POLL_SECONDS)

    def reset(self) -> None:
        """Forget what the credential owns, or everything."""
        self._call("POST", "/reset", body={"credential": self.credential})

    def errors(self) -> list[ErrorDescription]:
        """Return every error of every vendor, and how to get it."""
        return TypeAdapter(list[ErrorDescription]).validate_python(self._call("GET", "/errors"))

    def effects(self) -> Mapping[str, Any]:
        """Return the effects that have a name."""
        return TypeAdapter(dict[str, Any]).validate_python(self._call("GET", "/effects"))

    def operations(self) -> dict[str, Operations]:
        """Return what clients can call, by vendor: the names that rules and filters use."""
        return TypeAdapter(dict[str, Operations]).validate_python(self._call("GET", "/operations"))

    def openapi(self, vendor: str) -> dict[str, Any]:
        """Return the OpenAPI document of an emulated API."""
        return TypeAdapter(dict[str, Any]).validate_python(self._call("GET", f"/openapi/{vendor}.json"))

    def credentials(self) -> list[ListedCredential]:
        """Return the credentials that are listed, and what they are."""
        return TypeAdapter(list[ListedCredential]).validate_python(self._call("GET", "/credentials"))

    def list_credential(self, credential: str, state: CredentialState = CredentialState.VALID) -> None:
        """List a credential, or change what it is."""
        self._call("PUT", "/credentials", body={"credential": credential, "state": state})

    def unlist_credential(self, credential: str) -> None:
        """Take back what was listed while the emulator ran."""
        self._call("DELETE", f"/credentials/{quote(credential)}")

    # --- The clock ---

    def clock(self) -> ClockReading:
        """Return what the clock says."""
        return self._clock("GET", "")

    def freeze(self, at: datetime | float | None = None) -> ClockReading:
        """Stop the clock, now or at a moment."""
        return self._clock("POST", "/freeze", {"at": _moment(at)})

    def run(self) -> ClockReading:
        """Let the clock run on from where it is."""
        return self._clock("POST", "/run")

    def advance(self, seconds: float) -> ClockReading:
        """Move the clock on."""
        return self._clock("POST", "/advance", {"seconds": seconds})

    def travel(self, to: datetime | float) -> ClockReading:
        """Set the clock."""
        return self._clock("POST", "/travel", {"to": _moment(to)})

    def reset_clock(self) -> ClockReading:
        """Give up the clock of one's own."""
        return self._clock("DELETE", "")

    # --- Faults and scenarios ---

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
        body = rule.model_dump(mode="json", exclude_defaults=True)
        return ListedRule.model_validate(self._call("POST", "/faults", body=body))

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
        return TypeAdapter(list[ListedRule]).validate_python(self._call("GET", "/faults", scoped=True))

    def remove_fault(self, rule_id: str) -> None:
        """Remove a rule."""
        self._call("DELETE", f"/faults/{quote(rule_id)}")

    def clear_faults(self) -> None:
        """Remove the credential's rules, or all."""
        self._call("DELETE", "/faults", scoped=True)

    def scenarios(self) -> list[ListedScenario]:
        """Return the scenarios that come along."""
        return TypeAdapter(list[ListedScenario]).validate_python(self._call("GET", "/scenarios"))

    def scenario(self, name: str) -> Scenario:
        """Return a scenario that comes along."""
        return Scenario.model_validate(self._call("GET", f"/scenarios/{quote(name)}"))

    def load_scenario(self, scenario: str | Scenario) -> LoadedScenario:
        """Return what was added: a scenario that comes along, by its name, or one's own."""
        if isinstance(scenario, str):
            answer = self._call("POST", f"/scenarios/{quote(scenario)}", scoped=True)
        else:
            body = scenario.model_dump(mode="json", exclude_defaults=True)
            answer = self._call("POST", "/scenarios", body=body, scoped=True)
        return LoadedScenario.model_validate(answer)

    def unload_scenario(self, name: str) -> None:
        """Remove the rules that a scenario added."""
        self._call("DELETE", f"/scenarios/{quote(name)}", scoped=True)

    # --- Tasks ---

    def progression(self) -> Progression:
        """Return when new tasks are over."""
        return Progression.model_validate(self._call("GET", "/progression", scoped=True))

    def set_progression(self, mode: str, **details: float) -> Progression:
        """Set when new tasks are over: ``after_polls`` with ``polls``, ``after_seconds`` with ``seconds``."""
        body = {"mode": mode, **details}
        return Progression.model_validate(self._call("PUT", "/progression", body=body, scoped=True))

    def reset_progression(self) -> Progression:
        """Go back to everybody's progression, or the settings'."""
        return Progression.model_validate(self._call("DELETE", "/progression", scoped=True))

    def lifetimes(self) -> dict[str, dict[str, Lifetime]]:
        """Return how long things live, by vendor and by the name of the vendor's setting."""
        return _LIFETIMES.validate_python(self._call("GET", "/lifetimes", scoped=True))

    def set_lifetimes(self, vendor: str, **lifetimes: Lifetime) -> dict[str, dict[str, Lifetime]]:
        """Set how long a vendor's things live, and return all lifetimes; what is not named stays."""
        found = self._call("PUT", "/lifetimes", body={vendor: lifetimes}, scoped=True)
        return _LIFETIMES.validate_python(found)

    def reset_lifetimes(self) -> dict[str, dict[str, Lifetime]]:
        """Go back to everybody's lifetimes, or the settings'."""
        return _LIFETIMES.validate_python(self._call("DELETE", "/lifetimes", scoped=True))

    def tasks(self) -> list[ListedTask]:
        """Return the tasks, the oldest first."""
        return TypeAdapter(list[ListedTask]).validate_python(self._call("GET", "/tasks", scoped=True))

    def task(self, task_id: str) -> ListedTask:
        """Return how a task really stands, without polling it."""
        return ListedTask.model_validate(self._call("GET", f"/tasks/{quote(task_id)}"))

    def finish_task(self, task_id: str, error: str | None = None) -> ListedTask:
        """End a task, as its work comes to or with an error."""
        return ListedTask.model_validate(
            self._call("POST", f"/tasks/{quote(task_id)}/finish", body={"error": error})
        )

    # --- The journal ---

    def calls(self, **match: Any) -> list[RecordedCall]:
        """Return the last calls that match, the oldest first; ``match`` as in ``CallFilter``."""
        found = self._call("GET", "/calls", params={"limit": 1000, **self._mine(), **match})
        return RecordedCalls.model_validate(found).calls

    def call(self, number: int) -> RecordedCall:
        """Return one call."""
        return RecordedCall.model_validate(self._call("GET", f"/calls/{number}"))

    def follow(self, **match: Any) -> Iterator[RecordedCall]:
        """Yield calls as they are over, until the emulator stops: those to come, or those ``after`` a number.

        ``match`` as in ``StreamFilter``. Calls that were forgotten before they could be read are left out.
        """
        params = {**self._mine(), **match}
        with self._http.stream("GET", "/calls/stream", params=params, timeout=None) as answer:
            _refuse_errors(answer)
            event = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "call":
                    yield RecordedCall.model_validate(json.loads(value))

    def warnings(self) -> list[WarningDescription]:
        """Return every warning that a call can get."""
        return TypeAdapter(list[WarningDescription]).validate_python(self._call("GET", "/warnings"))

    def clear_calls(self) -> None:
        """Forget the credential's calls, or all."""
        self._call("DELETE", "/calls", scoped=True)

    def verify(
        self, *, count: int | None = None, at_least: int = 0, at_most: int | None = None, **match: Any
    ) -> VerdictDescription:
        """Return whether so many calls match, and if not what comes closest.

        One or more, if no number is given; ``match`` as in ``VerifyMatch``.
        """
        wanted: Any = {"at_least": at_least, "at_most": at_most}
        if count is not None:
            wanted = count
        elif not at_least and at_most is None:
            wanted = {"at_least": 1}
        body = {"match": {**self._mine(), **match}, "count": wanted}
        return VerdictDescription.model_validate(self._call("POST", "/calls/verify", body=body))

    def har(self, **match: Any) -> dict[str, Any]:
        """Return the last calls that match as an HTTP archive; ``match`` as in ``CallFilter``."""
        found = self._call("GET", "/calls.har", params={"limit": 1000, **self._mine(), **match})
        return TypeAdapter(dict[str, Any]).validate_python(found)

    def costs(self, *, since_start: bool = False) -> Costs:
        """Return what the credential's calls, or all, would have cost.

        ``since_start`` counts since the server started, whatever was reset or cleared meanwhile.
        """
        params = {**self._mine(), "since_start": since_start}
        return Costs.model_validate(self._call("GET", "/costs", params=params))

    def clear_costs(self) -> None:
        """Begin to count from nothing, for the credential or for everybody."""
        self._call("DELETE", "/costs", scoped=True)

    # --- Webhooks ---

    def add_endpoint(
        self, url: str, secret: str | None = None, timestamps: Timestamps = "machine"
    ) -> EndpointDescription:
        """Return an endpoint that was added, with its secret.

        Its webhooks have ``timestamps`` of the machine's time; ``"clock"`` is for a receiver whose time is
        moved with the emulator's clock.
        """
        body = {"url": url, "secret": secret, "timestamps": timestamps}
        return EndpointDescription.model_validate(
            self._call("POST", "/webhooks/endpoints", body=body, scoped=True)
        )

    def endpoints(self) -> list[EndpointDescription]:
        """Return the endpoints, their secrets masked."""
        found = self._call("GET", "/webhooks/endpoints", scoped=True)
        return TypeAdapter(list[EndpointDescription]).validate_python(found)

    def remove_endpoint(self, endpoint_id: str) -> None:
        """Remove an endpoint."""
        self._call("DELETE", f"/webhooks/endpoints/{quote(endpoint_id)}")

    def deliveries(self, **match: str) -> list[DeliveryDescription]:
        """Return what was delivered; ``match`` names a ``task``, ``endpoint`` or ``state``."""
        found = self._call("GET", "/webhooks/deliveries", params={**self._mine(), **match})
        return TypeAdapter(list[DeliveryDescription]).validate_python(found)

    def replay(self, delivery_id: str) -> DeliveryDescription:
        """Return a delivery that was sent once more."""
        return DeliveryDescription.model_validate(
            self._call("POST", f"/webhooks/deliveries/{quote(delivery_id)}/replay")
        )

    def plan(self, polls: int, webhooks: Sequence[str]) -> None:
        """Prescribe how many polls are told that a task runs, and when its webhooks come."""
        body = {"polls": polls, "webhooks": list(webhooks)}
        self._call("PUT", "/webhooks/plan", body=body, scoped=True)

    def planned(self) -> PlanDescription:
        """Return what is prescribed, and what has happened since."""
        return PlanDescription.model_validate(self._call("GET", "/webhooks/plan", scoped=True))

    def clear_plan(self) -> None:
        """Forget what is prescribed."""
        self._call("DELETE", "/webhooks/plan", scoped=True)

    # --- Snapshots ---

    def save_snapshot(self, file: Path) -> None:
        """Write all state to ``file``."""
        with self._http.stream("GET", "/snapshot") as answer, file.open("wb") as written:
            _refuse_errors(answer)
            for chunk in answer.iter_bytes():
                written.write(chunk)

    def restore_snapshot(self, file: Path) -> Restored:
        """Return what a snapshot held, by which all state was replaced."""
        with file.open("rb") as opened:
            answer = self._http.put("/snapshot", content=opened)
        _refuse_errors(answer)
        return Restored.model_validate(answer.json())

    def _mine(self) -> dict[str, str]:
        return {} if self.credential is None else {"credential": self.credential}

    def _clock(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> ClockReading:
        return ClockReading.model_validate(self._call(method, f"/clock{path}", body=body, scoped=True))

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        scoped: bool = False,
    ) -> Any:
        params = self._mine() if scoped else params
        answer = self._http.request(method, path, json=body, params=params)
        _refuse_errors(answer)
        return answer.json() if answer.content else None


def _refuse_errors(answer: httpx.Response) -> None:
    if answer.is_error:
        answer.read()
        raise ControlError(answer.status_code, _detail(answer))


def _detail(answer: httpx.Response) -> str:
    try:
        document = answer.json()
    except ValueError:
        return answer.text
    if not isinstance(document, dict):
        return answer.text
    reason = document.get("error")
    return f"{answer.url} answers as no emulator does" if reason is None else str(reason)


def _moment(moment: datetime | float | None) -> str | float | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment

"""``Call``, the call that a route answers, with its credential, fault and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import QueryParams
from starlette.types import Scope

from emulator.pipelines.common import PictureFault
from emulator.tasks.job import TaskFault
from emulator.web.endings import pause, stopping
from emulator.web.headers import header_of
from emulator.world.faults.effects import Effect
from emulator.world.faults.engine import FAULT_HEADER, Faults, Injection, UnknownFault
from emulator.world.faults.rules import FaultTarget
from emulator.world.operation import Contract, Operation
from emulator.world.warnings import WARNINGS, CallWarnings
from emulator.world.world import World

NO_ANSWER = frozenset({"closed", "reset"})
"""Faults that end the connection before the call is processed."""


class Intercepted(Exception):
    """The route must stop, because its response is replaced or the connection is dropped."""


@dataclass(eq=False)
class Call:
    """A call in progress.

    Attributes
    ----------
    contract : Contract
        Description of the API of the called vendor.
    operation : str or None
        Name of the operation. None before ``identify``, and for a path or method that is not served.
    credential : str or None
        The caller's credential. None until it is known.
    injection : Injection or None
        The fault of the call. None before ``identify``, and for a call without a fault.
    is_decided : bool
        Whether ``identify`` has decided which fault the call gets.
    body : bytes
        Request body. It is empty unless a fault rule has a condition on the body.
    unknown_fault : UnknownFault or None
        Set if the client requested an unknown fault by header or credential.
    warnings : CallWarnings
        Mistakes of the client that the vendor tolerates.
    """

    contract: Contract
    faults: Faults
    scope: Scope
    operation: str | None = None
    credential: str | None = None
    injection: Injection | None = None
    is_decided: bool = False
    body: bytes = b""
    unknown_fault: UnknownFault | None = None
    warnings: CallWarnings = field(default_factory=CallWarnings)

    def warn(self, code: str, detail: str, count: int = 1) -> None:
        """Add ``count`` warnings about a mistake that the vendor tolerates.

        Raises
        ------
        KeyError
            If the code is unknown.
        """
        self.warnings.add(WARNINGS[code].code, detail, count)

    def warn_of_parameters(self) -> None:
        """Warn about query parameters that the operation does not have.

        Call this after ``identify``, which sets the operation. Routes that check the query themselves do not
        need to call this.
        """
        if not self.scope["query_string"]:
            return
        operation = self._called()
        known = () if operation is None or operation.query is None else operation.query.model_fields
        for name in QueryParams(self.scope["query_string"]):
            if name not in known:
                self.warn("field-dropped", f"there is no query parameter {name}")

    async def identify(self, credential: str | None) -> None:
        """Set the credential, decide which fault the call gets, and apply the fault's latency and error.

        A route calls this when it knows the credential, and before it checks whether the credential is valid.

        Raises
        ------
        VendorError
            If the fault is an error of the vendor's catalogue, but not an error of a task.
        Intercepted
            If the route must stop, because the fault is unknown, replaces the response, or ends the
            connection before the call is processed.
        """
        if self.is_decided:
            return
        self.is_decided = True
        self.credential = credential
        called = self._called()
        self.operation = None if called is None else called.name
        is_named = header_of(self.scope, FAULT_HEADER.encode()) is not None
        if not self.faults.concern(credential, is_named=is_named):
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"]}
        target = FaultTarget(self.contract.name, self.operation, credential, headers, self.body)
        try:
            self.injection = await self.faults.decide(target)
        except UnknownFault as error:
            self.unknown_fault = error
            raise Intercepted from error
        if self.injection is None:
            return
        effect = self.injection.effect
        if effect.latency is not None:
            await pause(effect.latency.drawn(self.injection.chance), stopping(self.scope))
        if effect.proxy_page is not None or effect.connection in NO_ANSWER:
            raise Intercepted
        if effect.error is not None:
            entry = self.contract.errors[effect.error]
            if not entry.of_task:
                raise entry.occur(**{**entry.example, **effect.places})

    def _called(self) -> Operation | None:
        """Return the called operation, or None if the path or the method is not served."""
        # It is set even if only its path matches, and not its method.
        operation: Operation | None = self.scope.get("operation")
        return operation if operation is not None and self.scope["method"] in operation.methods else None

    @property
    def effect(self) -> Effect | None:
        """Effect of the fault that the call gets; None if it gets no fault."""
        return None if self.injection is None else self.injection.effect

    @property
    def task_fault(self) -> TaskFault:
        """Fault to pass to the task that the call creates."""
        effect = self.effect
        if effect is None:
            return TaskFault()
        error = effect.error
        return TaskFault(
            is_stuck=effect.task == "stuck",
            error=error if error is not None and self.contract.errors[error].of_task else None,
            announcement=None if effect.webhook is None else effect.webhook.model_dump(),
        )

    @property
    def picture_fault(self) -> PictureFault | None:
        """Fault to apply to the pictures in the request; None for none."""
        return None if self.effect is None else self.effect.picture


def call_of(request: Request) -> Call:
    """Return the call of a request."""
    call: Call = request.scope["state"]["call"]
    return call


# Dependencies are coroutine functions, because FastAPI runs all other functions in a thread.
async def _call_of(request: Request) -> Call:
    return call_of(request)


async def _world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


async def settings_of(request: Request) -> Any:
    """Return the settings of the called vendor, an instance of the vendor's ``settings_model``."""
    return request.app.state.settings


CallDep = Annotated[Call, Depends(_call_of)]
"""The call that the route answers."""

WorldDep = Annotated[World, Depends(_world_of)]
"""The state and the services that all vendors share."""

"""One call of a client, as routes see it: its credential, and what goes wrong with it on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import QueryParams
from starlette.types import Scope

from emulator.pipelines.options import PictureFault
from emulator.tasks.job import TaskFault
from emulator.web.endings import pause, stopping
from emulator.world.faults.effects import Effect
from emulator.world.faults.engine import Faults, Injection, UnknownFault
from emulator.world.faults.rules import Occasion
from emulator.world.operation import Contract
from emulator.world.warnings import WARNINGS, CallWarning
from emulator.world.world import World

NO_ANSWER = frozenset({"closed", "reset"})
"""The faults of a connection that end it before anything was done."""


class Intercepted(Exception):
    """The call is answered by something in front of the vendor, or by nobody: no route goes on with it."""


@dataclass(eq=False)
class Call:
    """A call on its way.

    Attributes
    ----------
    contract : Contract
        The vendor that is called.
    operation : str or None
        Which of its operations, once the route is found; None for a path or method that is not served.
    credential : str or None
        The caller's credential, once that is known.
    injection : Injection or None
        What goes wrong with it, once that is decided.
    is_decided : bool
        Whether it is.
    body : bytes
        Empty unless a rule looks into bodies.
    unknown_fault : UnknownFault or None
        Why what the client asked for in band cannot be.
    warnings : list of CallWarning
        What the client did wrong though it got through.
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
    warnings: list[CallWarning] = field(default_factory=list)

    def warn(self, code: str, detail: str) -> None:
        """Note that the client does something wrong, though it gets through.

        Raises
        ------
        KeyError
            If there is no such code.
        """
        self.warnings.append(CallWarning(WARNINGS[code].code, detail))

    def warn_of_parameters(self) -> None:
        """Warn of query parameters that the operation does not know.

        A route calls it once ``identify`` has found the operation, unless it reads its query on its own.
        """
        operation = None if self.operation is None else self.contract.operations.get(self.operation)
        known = () if operation is None or operation.query is None else operation.query.model_fields
        for name in QueryParams(self.scope["query_string"]):
            if name not in known:
                self.warn("field-dropped", f"there is no query parameter {name}")

    async def identify(self, credential: str | None) -> None:
        """Note the caller's credential, and let happen what is to happen to the call.

        A route calls it as soon as it knows the credential, before it checks that.

        Raises
        ------
        VendorError
            If an error of the catalogue is to be answered.
        Intercepted
            If the route must not go on.
        """
        if self.is_decided:
            return
        self.is_decided = True
        self.credential = credential
        self.operation = self._called()
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]
        }
        occasion = Occasion(self.contract.name, self.operation, credential, headers, self.body)
        try:
            self.injection = await self.faults.decide(occasion)
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

    def _called(self) -> str | None:
        """Return the operation that the route serves, if the method is one of its own."""
        # Starlette also names a route whose path fits and whose method does not.
        name = getattr(self.scope.get("route"), "name", None)
        operation = self.contract.operations.get(name or "")
        return name if operation is not None and self.scope["method"] in operation.methods else None

    @property
    def effect(self) -> Effect | None:
        """What goes wrong with it, if anything does."""
        return None if self.injection is None else self.injection.effect

    @property
    def task_fault(self) -> TaskFault:
        """What goes wrong with the task that it creates."""
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
        """What is done to the pictures that it brings."""
        return None if self.effect is None else self.effect.picture


def call_of(request: Request) -> Call:
    """Return the call that a request is."""
    call: Call = request.state.call
    return call


def _world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


def settings_of(request: Request) -> Any:
    """Return the settings of a vendor's application; the vendor's folder names their type."""
    return request.app.state.settings


CallDep = Annotated[Call, Depends(call_of)]
"""The call, for a route that identifies its caller."""

WorldDep = Annotated[World, Depends(_world_of)]
"""The world that the vendor stands on."""

"""Endpoints of webhooks, and what was delivered to them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.dependencies import CredentialDep, CredentialText, FilterDep
from emulator.webhooks.delivery import Delivery, DeliveryState, Endpoint, Timestamps
from emulator.webhooks.endpoints import EndpointRefused
from emulator.webhooks.outbox import NothingToReplay, Outbox
from emulator.world.plans import Plan, Plans, Step
from emulator.world.text import Text
from emulator.world.world import World

PREFIX = re.compile("[a-z]{1,8}_")
"""How secrets begin that say what they are. What follows is base64, of which one kind has that sign too."""

OneCredential = Annotated[CredentialText, Query(description="Credential whose plan it is.")]


class NewEndpoint(BaseModel):
    """An endpoint to be added."""

    model_config = ConfigDict(extra="forbid")

    url: Text
    secret: Text | None = Field(default=None, description="As the vendor spells it; made up if left out.")
    vendor: Text | None = Field(
        default=None, description="The vendor whose webhooks it receives; omit it for every vendor's."
    )
    timestamps: Timestamps = Field(
        default="machine",
        description="`clock` for a receiver whose time is moved with the emulator's clock.",
    )


class EndpointDescription(BaseModel):
    """An endpoint; its secret is shown once, when it is added."""

    id: str
    vendor: str | None = Field(description="Whose webhooks it receives; null for every vendor's.")
    credential: str | None = Field(description="Whose tasks it hears of; null for everybody's.")
    url: str
    secret: str = Field(description="Masked, except in the answer to its addition.")
    timestamps: Timestamps
    configured: bool = Field(description="Whether it comes from the settings.")
    disabled: str | None = Field(description="Why nothing is sent to it any more.")


class AttemptDescription(BaseModel):
    """A request that was sent, or could not be."""

    number: int = Field(description="Copies of an attempt have the same.")
    at: float = Field(description="By the credential's clock, seconds since the Unix epoch.")
    ms: int = Field(description="In real time.")
    status: int | None
    error: str | None
    retry_after: str | None
    injected: dict[str, Any] | None = Field(description="What was wrong with it on purpose.")
    replay: bool


class DeliveryDescription(BaseModel):
    """A message on its way to an endpoint."""

    id: str
    webhook_id: str | None = Field(description="The same in all attempts; null before the task's end.")
    credential: str
    vendor: str
    task: str
    endpoint: str
    url: str
    body: str | None
    state: DeliveryState
    next_at: float | None = Field(description="When the next attempt is due, by the credential's clock.")
    reason: str | None = Field(description="Why it failed.")
    fault: dict[str, Any] | None = Field(description="What is to go wrong with it, and on whose account.")
    attempts: list[AttemptDescription]


class TaskSteps(BaseModel):
    """What happened to a task, in this order."""

    task: str
    steps: list[Step]


class PlanDescription(BaseModel):
    """A plan, and what has happened since it was made."""

    plan: Plan
    tasks: list[TaskSteps]


def webhooks_router(world: World) -> APIRouter:
    """Return the routes below ``/webhooks``."""
    router = APIRouter(prefix="/webhooks", tags=["webhooks"])
    router.include_router(_endpoints_router(world))
    router.include_router(_deliveries_router(world.webhooks))
    router.include_router(_plan_router(world.plans))
    return router


def _endpoints_router(world: World) -> APIRouter:
    router = APIRouter()
    webhooks = world.webhooks

    @router.get("/endpoints")
    async def list_endpoints(credential: FilterDep) -> list[EndpointDescription]:
        """List endpoints, their secrets masked."""
        return [
            _endpoint(endpoint, mask(endpoint.secret)) for endpoint in webhooks.endpoints.list(credential)
        ]

    @router.post("/endpoints", status_code=201)
    async def add_endpoint(new: NewEndpoint, credential: CredentialDep) -> EndpointDescription:
        """Add an endpoint, and tell its secret."""
        try:
            async with world.creations.of(credential):
                endpoint = await webhooks.endpoints.add(
                    new.vendor, new.url, credential, new.secret, new.timestamps
                )
        except EndpointRefused as error:
            raise HTTPException(422, str(error)) from error
        return _endpoint(endpoint, endpoint.secret)

    @router.delete("/endpoints/{endpoint_id}", status_code=204)
    async def remove_endpoint(endpoint_id: str) -> None:
        """Remove an endpoint; what was on its way to it has failed."""
        if not await webhooks.remove_endpoint(endpoint_id):
            raise HTTPException(404, f"there is no endpoint {endpoint_id}")

    return router


def _deliveries_router(webhooks: Outbox) -> APIRouter:
    router = APIRouter()

    @router.get("/deliveries")
    async def list_deliveries(
        credential: FilterDep,
        task: str | None = None,
        endpoint: str | None = None,
        state: DeliveryState | None = None,
    ) -> list[DeliveryDescription]:
        """List deliveries with all their attempts, the oldest first."""
        return [
            _delivery(delivery)
            for delivery in await webhooks.deliveries(credential)
            if task in {None, delivery.task_id}
            and endpoint in {None, delivery.endpoint_id}
            and state in {None, delivery.state}
        ]

    @router.post("/deliveries/{delivery_id}/replay")
    async def replay(delivery_id: str) -> DeliveryDescription:
        """Send a delivery once more, now and with nothing wrong, and tell what came of it."""
        try:
            delivery = await webhooks.replay(delivery_id)
        except NothingToReplay as error:
            raise HTTPException(409, str(error)) from error
        if delivery is None:
            raise HTTPException(404, f"there is no delivery {delivery_id}")
        return _delivery(delivery)

    return router


def _plan_router(plans: Plans) -> APIRouter:
    router = APIRouter()

    @router.put("/plan")
    async def put_plan(plan: Plan, credential: OneCredential) -> Plan:
        """Prescribe when a credential's tasks end and when their webhooks come, seen from its polls."""
        await plans.put(credential, plan)
        return plan

    @router.get("/plan")
    async def get_plan(credential: OneCredential) -> PlanDescription:
        """Tell a credential's plan, and what has happened since it was made."""
        plan = plans.get(credential)
        if plan is None:
            raise HTTPException(404, f"{credential} has no plan")
        tasks = [TaskSteps(task=task, steps=steps) for task, steps in plans.steps(credential).items()]
        return PlanDescription(plan=plan, tasks=tasks)

    @router.delete("/plan", status_code=204)
    async def forget_plan(credential: OneCredential) -> None:
        """Forget a credential's plan: what it held back happens now."""
        if plans.get(credential) is None:
            raise HTTPException(404, f"{credential} has no plan")
        await plans.leave(credential)

    return router


def mask(secret: str) -> str:
    """Return a secret with all but its prefix and its last four characters hidden."""
    begin = PREFIX.match(secret)
    prefix = "" if begin is None else begin[0]
    rest = secret.removeprefix(prefix)
    return f"{prefix}...{rest[-4:] if len(rest) > 12 else ''}"


def _endpoint(endpoint: Endpoint, secret: str) -> EndpointDescription:
    return EndpointDescription(
        id=endpoint.id,
        vendor=endpoint.vendor or None,
        credential=endpoint.credential or None,
        url=endpoint.url,
        secret=secret,
        timestamps=endpoint.timestamps,
        configured=endpoint.is_configured,
        disabled=endpoint.disabled,
    )


def _delivery(delivery: Delivery) -> DeliveryDescription:
    message = delivery.message
    fault = delivery.fault.model_dump(exclude_defaults=True)
    return DeliveryDescription(
        id=delivery.id,
        webhook_id=None if message is None else message.id,
        credential=delivery.credential,
        vendor=delivery.vendor,
        task=delivery.task_id,
        endpoint=delivery.endpoint_id,
        url=delivery.url,
        body=None if message is None else message.body.decode(),
        state=delivery.state,
        next_at=delivery.next_at if delivery.state is DeliveryState.WAITING else None,
        reason=delivery.reason,
        fault={**fault, "source": delivery.source} if fault else None,
        attempts=[
            AttemptDescription(
                number=attempt.number,
                at=attempt.at,
                ms=attempt.ms,
                status=attempt.status,
                error=attempt.error,
                retry_after=attempt.retry_after,
                injected=None if attempt.injected is None else dict(attempt.injected),
                replay=attempt.is_replay,
            )
            for attempt in delivery.attempts
        ],
    )

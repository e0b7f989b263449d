"""Routes for webhooks: endpoints, deliveries and plans."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from emulator.clock import ALL_CREDENTIALS
from emulator.control.dependencies import CredentialText, FilterDep
from emulator.webhooks.delivery import Delivery, DeliveryState, Endpoint, Timestamps
from emulator.webhooks.endpoints import EndpointRefused
from emulator.webhooks.outbox import Outbox, ReplayRefused
from emulator.world.plans.plan import Plan, Step
from emulator.world.plans.plans import Plans
from emulator.world.text import Text
from emulator.world.world import World

PREFIX = re.compile("[a-z]{1,8}_")
"""Prefix of a secret, such as ``whsec_``. Match only at the start: base64 can have underscores, too."""

OneCredential = Annotated[
    CredentialText, Query(description="Credential whose tasks and webhooks follow the plan.")
]
ReceivedFor = Annotated[
    CredentialText | None,
    Query(description="Credential whose tasks send webhooks to the endpoint. Omit it for all credentials."),
]


class NewEndpoint(BaseModel):
    """An endpoint to add."""

    model_config = ConfigDict(extra="forbid")

    url: Text = Field(description="URL that the webhooks are posted to.")
    secret: Text | None = Field(
        default=None, description="Signing secret in the vendor's format. Omit it to generate one."
    )
    vendor: Text | None = Field(
        default=None, description="Vendor that sends webhooks to the endpoint. Omit it for all vendors."
    )
    timestamps: Timestamps = Field(
        default="machine",
        description="Clock for the timestamps in signatures: `machine` is the machine's clock, `clock` is "
        "the credential's clock. With `clock`, a receiver that checks timestamps must use that clock, too.",
    )


class EndpointDescription(BaseModel):
    """An endpoint that receives webhooks."""

    id: str = Field(description="Id of the endpoint.")
    vendor: str | None = Field(
        description="Vendor that sends webhooks to the endpoint; null for all vendors."
    )
    credential: str | None = Field(
        description="Credential whose tasks send webhooks to the endpoint; null for all credentials."
    )
    url: str = Field(description="URL that the webhooks are posted to.")
    secret: str = Field(
        description="Signing secret. It is masked, except in the response that adds the endpoint."
    )
    timestamps: Timestamps = Field(
        description="Clock for the timestamps in signatures: `machine` is the machine's clock, `clock` is "
        "the credential's clock."
    )
    configured: bool = Field(description="Whether the endpoint comes from the settings.")
    disabled: str | None = Field(
        description="Why no more webhooks are sent to the endpoint; null if the endpoint is not disabled."
    )


class AttemptDescription(BaseModel):
    """One request to the endpoint, and its result."""

    number: int = Field(
        description="Number of the attempt, counted from 1. If a fault (`copies`) sends an attempt several "
        "times, all copies have the same number."
    )
    at: float = Field(
        description="When the attempt started, by the credential's clock, in seconds since the Unix epoch."
    )
    ms: int = Field(description="Duration in real milliseconds.")
    status: int | None = Field(description="HTTP status of the response; null if there was none.")
    error: str | None = Field(description="Why there was no response; null if there was one.")
    retry_after: str | None = Field(
        description="Header `Retry-After` of the response; null if there was none."
    )
    injected: dict[str, Any] | None = Field(
        description="Fault that was injected into the attempt; its `source` is what requested it. Null if "
        "there was none."
    )
    replay: bool = Field(
        description="Whether `POST /_emulator/webhooks/deliveries/{delivery_id}/replay` caused the attempt."
    )


class DeliveryDescription(BaseModel):
    """A webhook message to one endpoint, with all attempts to send it."""

    id: str = Field(description="Id of the delivery.")
    webhook_id: str | None = Field(
        description="Id of the message. It is the same in all attempts, and null until the task has ended."
    )
    credential: str = Field(description="Credential that created the task.")
    vendor: str = Field(description="Vendor that sends the webhook.")
    task: str = Field(description="Id of the task that the webhook announces.")
    endpoint: str = Field(description="Id of the endpoint.")
    url: str = Field(description="URL that the webhook is posted to.")
    body: str | None = Field(
        description="Body of the message. It is the same in all attempts, and null until the task has ended."
    )
    state: DeliveryState = Field(
        description="`prepared`: the task has not ended yet. `held`: a plan decides when the webhook is "
        "sent. `waiting`: the next attempt is due now or later. `delivered`: the endpoint has accepted the "
        "webhook. `failed`: no attempt is left, or the endpoint was removed or disabled. `lost`: the "
        "webhook is not sent, because of a fault or a plan."
    )
    next_at: float | None = Field(
        description="When the next attempt is due, by the credential's clock, in seconds since the Unix "
        "epoch. Null unless the delivery is `waiting`."
    )
    reason: str | None = Field(description="Why the delivery failed; null if it did not fail.")
    fault: dict[str, Any] | None = Field(
        description="Fault of the delivery. The member `source` says what requested the fault, such as "
        "`rule <id>`. Null if there is no fault."
    )
    attempts: list[AttemptDescription] = Field(description="All attempts, oldest first.")


class TaskSteps(BaseModel):
    """The recorded events of a task."""

    task: str = Field(description="Id of the task.")
    steps: list[Step] = Field(
        description="Recorded events, oldest first. `created`: the task was created. `poll_running`, "
        "`poll_end`: a poll returned the running or the finished task. `webhook_taken`, `webhook_refused`, "
        "`webhook_sent`: the endpoint accepted a webhook, refused it, or has not responded yet."
    )


class PlanDescription(BaseModel):
    """A plan, and the recorded events of the credential's tasks."""

    plan: Plan = Field(description="The plan.")
    tasks: list[TaskSteps] = Field(
        description="Events of each task that was created since the plan was set, in the order of creation."
    )


def webhooks_router(world: World) -> APIRouter:
    """Return the routes for webhooks."""
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
        """List the endpoints of webhooks.

        Their secrets are masked.
        """
        return [
            _endpoint(endpoint, mask(endpoint.secret)) for endpoint in webhooks.endpoints.list(credential)
        ]

    @router.post("/endpoints", status_code=201)
    async def add_endpoint(new: NewEndpoint, credential: ReceivedFor = None) -> EndpointDescription:
        """Add an endpoint that receives webhooks.

        This is the only response that contains the secret of the endpoint unmasked.
        """
        receives_for = credential or ALL_CREDENTIALS
        try:
            async with world.creations.of(receives_for):
                endpoint = await webhooks.endpoints.add(
                    new.vendor, new.url, receives_for, new.secret, new.timestamps
                )
        except EndpointRefused as error:
            raise HTTPException(422, str(error)) from error
        return _endpoint(endpoint, endpoint.secret)

    @router.delete("/endpoints/{endpoint_id}", status_code=204)
    async def remove_endpoint(
        endpoint_id: Annotated[str, Path(description="Id of the endpoint.")],
    ) -> None:
        """Remove an endpoint.

        Unfinished deliveries to the endpoint fail.
        """
        if not await webhooks.remove_endpoint(endpoint_id):
            raise HTTPException(
                404, f"there is no endpoint {endpoint_id}; GET /_emulator/webhooks/endpoints lists them"
            )

    return router


def _deliveries_router(webhooks: Outbox) -> APIRouter:
    router = APIRouter()

    @router.get("/deliveries")
    async def list_deliveries(
        credential: FilterDep,
        task: Annotated[str | None, Query(description="Id of a task; omit it for all tasks.")] = None,
        endpoint: Annotated[
            str | None, Query(description="Id of an endpoint; omit it for all endpoints.")
        ] = None,
        state: Annotated[
            DeliveryState | None, Query(description="State of the deliveries; omit it for all states.")
        ] = None,
    ) -> list[DeliveryDescription]:
        """List the deliveries of webhooks, oldest first.

        Each delivery contains a list of its attempts.
        """
        return [
            _delivery(delivery)
            for delivery in await webhooks.deliveries(credential)
            if task in {None, delivery.task_id}
            and endpoint in {None, delivery.endpoint_id}
            and state in {None, delivery.state}
        ]

    @router.post("/deliveries/{delivery_id}/replay")
    async def replay(
        delivery_id: Annotated[str, Path(description="Id of the delivery.")],
    ) -> DeliveryDescription:
        """Send a webhook again.

        The message of the delivery is sent once more, immediately and without a fault. The response contains
        the new attempt.
        """
        try:
            delivery = await webhooks.replay(delivery_id)
        except ReplayRefused as error:
            raise HTTPException(409, str(error)) from error
        if delivery is None:
            raise HTTPException(
                404, f"there is no delivery {delivery_id}; GET /_emulator/webhooks/deliveries lists them"
            )
        return _delivery(delivery)

    return router


def _plan_router(plans: Plans) -> APIRouter:
    router = APIRouter()

    @router.put("/plan")
    async def put_plan(plan: Plan, credential: OneCredential) -> Plan:
        """Set the plan of a credential.

        A plan decides when the credential's tasks end and when their webhooks are sent, relative to the
        client's polls.
        """
        await plans.put(credential, plan)
        return plan

    @router.get("/plan")
    async def get_plan(credential: OneCredential) -> PlanDescription:
        """Return the plan and the recorded events."""
        plan = plans.get(credential)
        if plan is None:
            raise HTTPException(404, f"{credential} has no plan; PUT /_emulator/webhooks/plan sets one")
        tasks = [TaskSteps(task=task, steps=steps) for task, steps in (await plans.steps(credential)).items()]
        return PlanDescription(plan=plan, tasks=tasks)

    @router.delete("/plan", status_code=204)
    async def forget_plan(credential: OneCredential) -> None:
        """Remove the plan of a credential.

        The credential's tasks then end according to their progression again (see
        `GET /_emulator/progression`). The webhooks that the plan held back are sent.
        """
        if plans.get(credential) is None:
            raise HTTPException(404, f"{credential} has no plan; PUT /_emulator/webhooks/plan sets one")
        await plans.leave(credential)

    return router


def mask(secret: str) -> str:
    """Return the prefix of a secret, three dots and, if the secret is long, its last four characters."""
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

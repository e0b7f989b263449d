"""What Perfect Corp posts when a task is over: headers, body and signature (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from emulator.tasks.task import Task, TaskState
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings
from emulator.web.faults import WEBHOOK, Occasion
from emulator.web.services import Services
from emulator.webhooks.delivery import Message, Policy
from emulator.webhooks.fault import NO_FAULT, Signature, WebhookFault
from emulator.webhooks.outbox import ConfiguredEndpoint, Source, WrongSecret

PREFIX = "whsec_"
MOST_ENDPOINTS = 10
"""What the vendor's console lets an account have."""


@dataclass(frozen=True)
class Announcer:
    """Tells the endpoints of a key how its tasks ended."""

    services: Services
    settings: PerfectCorpSettings

    def source(self) -> Source:
        """Return what the outbox has to know."""
        settings = self.settings
        return Source(
            policy=Policy(settings.webhook_gaps_s, settings.webhook_timeout_s, MOST_ENDPOINTS),
            headers=sign_message,
            announce_again=self._announce_again,
            new_secret=spell_secret,
            check_secret=check_secret,
            configured=tuple(
                ConfiguredEndpoint(endpoint.url, endpoint.secret, endpoint.credential, endpoint.timestamps)
                for endpoint in settings.webhook_endpoints
            ),
        )

    async def prepare(self, task: Task) -> None:
        """Record that the end of a task has to be announced."""
        if self._is_announced(task):
            await self.services.webhooks.prepare(VENDOR, task.owner, task.id)

    async def announce(self, task: Task) -> None:
        """Announce a task whose end is recorded."""
        if self._is_announced(task):
            await self.services.webhooks.announce(
                VENDOR,
                task.owner,
                task.id,
                compose(task),
                self._decision(task),
                hold=self.services.plans.holds(task.id),
            )
        self.services.plans.note_end(task.id)

    async def _announce_again(self, task_id: str) -> None:
        task = await self.services.tasks.find(task_id)
        if task is not None and task.is_finished:
            await self.announce(task)

    def _is_announced(self, task: Task) -> bool:
        return task.kind.removeprefix(f"{VENDOR}/") in self.settings.webhook_tasks

    def _decision(self, task: Task) -> Callable[[], Awaitable[tuple[WebhookFault, str | None]]]:
        async def decide() -> tuple[WebhookFault, str | None]:
            if task.announcement_fault is not None:
                return WebhookFault.model_validate(task.announcement_fault), "the call that made the task"
            injection = await self.services.faults.decide(Occasion(VENDOR, WEBHOOK, task.owner))
            if injection is None or injection.effect.webhook is None:
                return NO_FAULT, None
            return injection.effect.webhook, injection.source

        return decide


def compose(task: Task) -> Message:
    """Return what is said of a task that is over, minified as it is signed."""
    created_at = int(task.finished_at or 0)
    status = "success" if task.state is TaskState.SUCCEEDED else "error"
    body = {"created_at": created_at, "data": {"task_id": task.id, "task_status": status}}
    return Message(f"msg_{task.id}:{created_at}", json.dumps(body, separators=(",", ":")).encode())


def sign_message(secret: str, message: Message, sent_at: int, signature: Signature) -> dict[str, str]:
    """Return the headers of an attempt at ``sent_at``, seconds since the Unix epoch."""
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(sent_at),
    }
    key = decode_secret(secret)
    if signature == "wrong":
        key = bytes(byte ^ 0xFF for byte in key)
    if signature != "missing":
        signed = f"{message.id}.{sent_at}.".encode() + message.body
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def decode_secret(secret: str) -> bytes:
    """Return the key that a secret stands for: base64, with or without padding and prefix.

    As lenient as the receivers' library, so that both read the same key from any text.

    Raises
    ------
    WrongSecret
        If it stands for none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX) + "==")
    except (binascii.Error, ValueError) as error:
        raise WrongSecret(f"the secret is no base64: {error}") from error
    if not key:
        raise WrongSecret("the secret is empty")
    return key


def check_secret(secret: str) -> None:
    """Raise unless ``secret`` can be signed with.

    Raises
    ------
    WrongSecret
        If it cannot.
    """
    decode_secret(secret)


def spell_secret(drawn: bytes) -> str:
    """Return a secret as the vendor's look: two numbers of 17 and 11 digits, in unpadded base64."""
    first = 10**16 + int.from_bytes(drawn[:16], "big") % (9 * 10**16)
    second = 10**10 + int.from_bytes(drawn[16:32], "big") % (9 * 10**10)
    return PREFIX + base64.b64encode(f"{first}:{second}".encode()).decode().rstrip("=")

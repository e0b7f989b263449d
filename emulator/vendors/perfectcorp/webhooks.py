"""Perfect Corp's webhooks: their body, headers and signature. They follow Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from emulator.tasks.task import Task, TaskState
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings
from emulator.webhooks.delivery import Message, Policy
from emulator.webhooks.endpoints import ConfiguredEndpoint, Source, WrongSecret
from emulator.webhooks.fault import Signature
from emulator.world.announcer import Announcer
from emulator.world.world import World

PREFIX = "whsec_"
MOST_ENDPOINTS = 10
"""Largest number of endpoints for one API key, as in the vendor's console."""


def announcer_of(world: World, settings: PerfectCorpSettings) -> Announcer:
    """Return the object that sends webhooks for the kinds of task in the setting ``webhook_tasks``."""
    return Announcer(
        world, VENDOR, compose, lambda task: task.kind.removeprefix(f"{VENDOR}/") in settings.webhook_tasks
    )


def source_of(announcer: Announcer, settings: PerfectCorpSettings) -> Source:
    """Return the vendor's retry policy, signing functions and configured endpoints."""
    return Source(
        policy=Policy(settings.webhook_gaps_s, settings.webhook_timeout_s, MOST_ENDPOINTS),
        headers=sign_message,
        announce_again=announcer.announce_again,
        new_secret=new_secret,
        check_secret=check_secret,
        configured=tuple(
            ConfiguredEndpoint(endpoint.url, endpoint.secret, endpoint.credential, endpoint.timestamps)
            for endpoint in settings.webhook_endpoints
        ),
    )


def compose(task: Task) -> Message:
    """Return the webhook message about a finished task. The body of the message is JSON without spaces."""
    created_at = int(task.finished_at or 0)
    status = "success" if task.state is TaskState.SUCCEEDED else "error"
    body = {"created_at": created_at, "data": {"task_id": task.id, "task_status": status}}
    return Message(f"msg_{task.id}:{created_at}", json.dumps(body, separators=(",", ":")).encode())


def sign_message(secret: str, message: Message, sent_at: int, signature: Signature) -> dict[str, str]:
    """Return the headers of one attempt to send a message, with the signature.

    ``sent_at`` is the time of the attempt, in seconds since the Unix epoch. ``signature`` is the kind of
    signature: a fault can request a wrong signature, or none.
    """
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
    """Return the signing key in a secret. The secret is base64. The prefix and the padding can be missing.

    This function accepts every secret that the Standard Webhooks library accepts, and returns the same key.

    Raises
    ------
    WrongSecret
        If the secret is not base64, or is empty.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX) + "==")
    except (binascii.Error, ValueError) as error:
        raise WrongSecret(f"the secret is not base64: {error}") from error
    if not key:
        raise WrongSecret("the secret is empty")
    return key


def check_secret(secret: str) -> None:
    """Raise ``WrongSecret`` if ``secret`` cannot sign messages."""
    decode_secret(secret)


def new_secret(drawn: bytes) -> str:
    """Return a secret like the vendor's sample, made from 32 random bytes.

    After the prefix, the secret has a text in unpadded base64: two numbers of 17 and 11 digits, separated by
    a colon.
    """
    first = 10**16 + int.from_bytes(drawn[:16], "big") % (9 * 10**16)
    second = 10**10 + int.from_bytes(drawn[16:32], "big") % (9 * 10**10)
    return PREFIX + base64.b64encode(f"{first}:{second}".encode()).decode().rstrip("=")

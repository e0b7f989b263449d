"""The webhooks of Example Faces."""

from __future__ import annotations

import hashlib
import hmac
import json

from emulator.tasks.task import Task, TaskState
from emulator.webhooks.delivery import Message, Policy
from emulator.webhooks.endpoints import Source, WrongSecret
from emulator.webhooks.fault import Signature
from emulator.world.announcer import Announcer
from emulator.world.world import World


def announcer_of(world: World) -> Announcer:
    """Return the object that sends webhooks about crops."""
    return Announcer(world, "example_vendor", compose)


def source_of(announcer: Announcer) -> Source:
    """Return the vendor's retry policy and its signing functions."""
    return Source(
        policy=Policy((0.0, 10.0, 60.0), 5.0, 3),
        headers=sign,
        announce_again=announcer.announce_again,
        new_secret=lambda drawn: f"example-{drawn.hex()}",
        check_secret=check_secret,
    )


def compose(task: Task) -> Message:
    """Return the message about a finished crop."""
    state = "done" if task.state is TaskState.SUCCEEDED else "failed"
    return Message(f"crop-{task.id}", json.dumps({"id": task.id, "state": state}).encode())


def sign(secret: str, message: Message, sent_at: int, signature: Signature) -> dict[str, str]:
    """Return the headers of one attempt to send a message, with the signature."""
    headers = {"Content-Type": "application/json", "X-Example-Id": message.id, "X-Example-Time": str(sent_at)}
    if signature != "missing":
        key = secret if signature != "wrong" else secret[::-1]
        signed = f"{sent_at}.".encode() + message.body
        headers["X-Example-Signature"] = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
    return headers


def check_secret(secret: str) -> None:
    """Raise ``WrongSecret`` if a secret is too short."""
    if len(secret) < 8:
        raise WrongSecret("the secret has fewer than 8 characters")

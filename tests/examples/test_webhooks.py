"""The webhook receivers of ``examples/``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from example_programs import EXAMPLES, URLS, missing
from standardwebhooks import Webhook

from emulator.server import Listening
from face_api_emulator.client import Client

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"
TASKS = "/s2s/v2.0/task/face-reshape"

COMMANDS = {
    "python": [sys.executable, str(EXAMPLES / "python" / "perfectcorp_webhooks.py"), "0"],
    "node": ["node", str(EXAMPLES / "node" / "perfectcorp-webhooks.mjs"), "0"],
    "java": ["java", str(EXAMPLES / "java" / "PerfectCorpWebhooks.java"), "0"],
    "php": ["php", "-S", "127.0.0.1:0", str(EXAMPLES / "php" / "perfectcorp-webhooks.php")],
}
"""The receivers, at a free port."""

SECRET = "whsec_NDQzMzYxNzkzMzE0NjYyNDM6OTIxOTcwNDIxODQ"  # noqa: S105 - the vendor's own example, without padding


class Receiver:
    """A receiver that runs in the folder of its results."""

    def __init__(self, command: list[str], folder: Path, key: str, url: str) -> None:
        environment = {
            **os.environ,
            **dict.fromkeys(URLS, url),
            "PERFECTCORP_KEY": key,
            "PERFECTCORP_WEBHOOK_SECRET": SECRET,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        self._log = folder.with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.folder = folder
        self.key = key

    def said(self) -> str:
        """Return what the receiver has printed."""
        return self._log.read_text()

    def url(self) -> str | None:
        """Return the URL at which it listens, once it does."""
        assert self._process.poll() is None, self.said()
        found = re.search(r"(http://127.0.0.1:\d+)\b", self.said())
        return found[1] if found else None

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def start(server: Listening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Receiver]]:
    """Return a function that starts the receiver of a language."""
    with ExitStack() as stack:

        def started(language: str) -> Receiver:
            folder = tmp_path_factory.mktemp(language)
            command = COMMANDS[language]
            receiver = Receiver(command, folder, f"example-webhooks-{language}", server.base_url)
            stack.callback(receiver.close)
            return receiver

        yield started


def new_task(server: Listening, key: str, **headers: str) -> str:
    """Create a task, and return its id."""
    photo = (FACES / "ok-frontal.jpg").read_bytes()
    with httpx.Client(
        base_url=server.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60
    ) as client:
        new = {"content_type": "image/jpg", "file_name": "a.jpg", "file_size": len(photo)}
        file = client.post("/s2s/v2.0/file", json={"files": [new]}).json()["data"]["files"][0]
        upload = file["requests"][0]
        httpx.put(upload["url"], headers=upload["headers"], content=photo).raise_for_status()
        body = {"version": "1.0", "src_file_id": file["file_id"], "features": {"jaw": 50}, "global": {}}
        return str(client.post(TASKS, json=body, headers=headers).json()["data"]["task_id"])


@pytest.mark.parametrize("language", COMMANDS)
def test_a_receiver_saves_results_once_and_refuses_what_is_not_signed(
    start: Callable[[str], Receiver],
    server: Listening,
    eventually: Callable[[Callable[[], object]], Any],
    language: str,
) -> None:
    reason = missing(language)
    if reason is not None:
        pytest.skip(reason)
    receiver = start(language)
    url = eventually(receiver.url)
    with Client(server.base_url, receiver.key) as me:
        me.add_endpoint(url, SECRET)

        def statuses(task_id: str, count: int = 1) -> list[int | None]:
            """Return the statuses of the attempts to announce a task, when there are ``count``."""

            def found() -> list[int | None] | None:
                sent = [each.status for delivery in me.deliveries(task=task_id) for each in delivery.attempts]
                return sent if len(sent) >= count else None

            got: list[int | None] = eventually(found)
            return got

        done = new_task(server, receiver.key)
        assert statuses(done) == [204]
        state = httpx.get(
            f"{server.base_url}{TASKS}/{done}", headers={"Authorization": f"Bearer {receiver.key}"}
        )
        result = httpx.get(state.json()["data"]["results"]["url"]).content
        assert [path.name for path in receiver.folder.iterdir()] == [f"{done}.jpg"]
        assert (receiver.folder / f"{done}.jpg").read_bytes() == result
        assert f"{done}: saved as " in receiver.said()

        (delivery,) = me.deliveries(task=done)
        polls = len(me.calls(operation="check_reshape"))
        me.replay(delivery.id)
        assert statuses(done, 2) == [204, 204]
        assert f"{done}: already saved" in receiver.said()
        assert len(me.calls(operation="check_reshape")) == polls

        failed = new_task(server, receiver.key, **{"X-Emulator-Fault": "error_no_face"})
        assert statuses(failed) == [204]
        assert f"{failed}: failed: error_no_face" in receiver.said()

        # It is signed well, but Perfect Corp does not know the task: the message must come again.
        body = f'{{"created_at":1,"data":{{"task_id":"{"x" * 64}","task_status":"success"}}}}'
        assert post(url, body, "msg_1") == 500
        # What is wrong: the key, the body, the message's id, the age, and everything.
        assert post(url, body, "msg_2", secret="whsec_" + "QUJD" * 8) == 401
        assert post(url, body, "msg_3", sent=body.replace("x", "y")) == 401
        assert post(url, body, "msg_4", sent_id="msg_5") == 401
        assert post(url, body, "msg_6", age=400) == 401
        assert post(url, body, "msg_7", age=-400) == 401
        assert httpx.post(url, content=body).status_code == 401
        # During a change of the secret, there are two signatures.
        assert post(url, body, "msg_8", before="v1,AAAA ") == 500
        assert len(list(receiver.folder.iterdir())) == 1


def post(
    url: str,
    body: str,
    message_id: str,
    *,
    secret: str = SECRET,
    age: float = 0,
    sent: str | None = None,
    sent_id: str | None = None,
    before: str = "",
) -> int:
    """Post a message as the vendor signs it, or one that differs from what was signed. Return the status."""
    at = time.time() - age
    key = Webhook(secret + "=" * (-len(secret.removeprefix("whsec_")) % 4))
    headers = {
        "webhook-id": sent_id or message_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": before + key.sign(message_id, datetime.fromtimestamp(at, UTC), body),
        "Content-Type": "application/json",
    }
    return httpx.post(url, content=sent or body, headers=headers, timeout=20).status_code

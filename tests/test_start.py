"""Modules that a server process imports before it has any work."""

from __future__ import annotations

import json
import os
import subprocess
import sys

FOR_PICTURES = {"cv2", "mediapipe", "numpy", "pi_heif", "PIL", "scipy"}
FOR_DOWNLOADS = {"httpx", "rich"}
FOR_SCENARIOS = {"re2", "tomllib", "yaml"}
FOR_TLS = {"cryptography"}
FOR_METRICS = {"prometheus_client"}

NEEDED_LATER = FOR_PICTURES | FOR_DOWNLOADS | FOR_SCENARIOS | FOR_TLS | FOR_METRICS
"""Packages that neither the start nor a response without pictures needs."""

OTHERS_NEEDED_LATER = {
    "anyio._backends._asyncio",
    "emulator.control.faults",
    "emulator.control.router",
    "emulator.control.scenario_files",
    "emulator.pipelines.options",
    "pydantic.v1",
}

FIRST_RESPONSES = """
import asyncio, json, sys
import emulator.commands.serve
from emulator.deferral import defer_models
defer_models()
import emulator.server.serving, emulator.app, emulator.control.init
from emulator.backends.queue.pool import WorkerPool
from emulator.pipelines.common import WARM_UP

class Idle(WorkerPool):
    def warm_up(self):
        pass

async def status(app, path):
    sent = []
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost"), (b"authorization", b"Bearer key")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2), "extensions": {}}
    bodies = [{"type": "http.request", "body": b"", "more_body": False}]
    async def receive():
        return bodies.pop() if bodies else await asyncio.Event().wait()
    async def send(message):
        sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"]

async def main():
    app = emulator.app.create_app(workers=Idle(1, WARM_UP))
    found = {}
    async with app.router.lifespan_context(app):
        for path in ("/_emulator/health", "/s2s/v1.0/client/credit"):
            assert await status(app, path) == 200
            found[path] = [*sys.modules]
    print(json.dumps(found))

asyncio.run(main())
"""

WORKER = """
import json, sys
import emulator.emulation, emulator.server.working, emulator.settings
emulator.emulation.create_emulation(emulator.settings.Settings(), role="worker")
print(json.dumps([*sys.modules]))
"""


def printed_by(program: str) -> str:
    """Return the output of a fresh interpreter that runs a program, without the settings of the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACE_EMULATOR_")}
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout


def needed_later(loaded: list[str]) -> set[str]:
    """Return the modules in ``loaded`` that neither the start nor a response without pictures needs."""
    return {name for name in loaded if name.partition(".")[0] in NEEDED_LATER or name in OTHERS_NEEDED_LATER}


def apis_in(loaded: list[str]) -> set[str]:
    """Return the packages of the vendors' APIs whose operations are in ``loaded``."""
    return {
        name.removesuffix(".operations")
        for name in loaded
        if name.startswith("emulator.vendors.") and name.endswith(".operations")
    }


def test_a_server_does_not_import_what_its_first_responses_do_not_need() -> None:
    after_health, after_call = json.loads(printed_by(FIRST_RESPONSES)).values()
    assert "fastapi" in after_health
    assert needed_later(after_call) == set()
    assert apis_in(after_health) == set()
    assert apis_in(after_call) == {"emulator.vendors.perfectcorp.units"}
    code = {".wire", ".jobs", ".store", ".ledger"}
    apis = [name for name in after_health if name.count(".") > 3 and name.startswith("emulator.vendors.")]
    assert [name for name in apis if name.removeprefix(name.rpartition(".")[0]) in code] == []


def test_a_worker_does_not_import_what_its_first_task_may_not_need() -> None:
    loaded = json.loads(printed_by(WORKER))
    assert "fastapi" in loaded
    assert needed_later(loaded) == set()
    assert apis_in(loaded) == set()

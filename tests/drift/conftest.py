"""Emulators that stand in for real services, with responses that a test can change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.backends.queue.pool import WorkerPool
from emulator.control.refusals import ControlApplication
from emulator.drift.correction import Corrector
from emulator.drift.exchange import Pace, Side
from emulator.drift.run import Compared, compare
from emulator.drift.samples import LISTED, Sample, golden_folder, read_samples
from emulator.server import running_server
from emulator.settings import Settings
from emulator.web.vendor import discover_vendors

VENDORS = {vendor.name: vendor for vendor in discover_vendors(Settings().vendor_packages)}
KEYS = {
    "faceplusplus": {"api_key": "real-key-of-mine", "api_secret": "real-secret-of-mine"},
    "metahuman": {"token": "real-token-of-mine"},
    "perfectcorp": {"key": "real-bearer-of-mine"},
}
WARM_UP_SECONDS = 120


@dataclass
class Answer:
    """A response before it is sent to the client."""

    path: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def change_json(self, change: Callable[[Any], None]) -> None:
        """Change the JSON document in the body."""
        document = json.loads(self.body)
        change(document)
        self.body = json.dumps(document).encode()


@dataclass
class Bent:
    """ASGI middleware that calls ``bend``, which a test sets, to change each response before it is sent."""

    app: ASGIApp
    bend: Callable[[Answer], None] = lambda _answer: None
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.calls.append({"path": scope["path"], "headers": dict(scope["headers"])})
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, keep)
        start = next(message for message in sent if message["type"] == "http.response.start")
        body = b"".join(message.get("body", b"") for message in sent)
        answer = Answer(scope["path"], start["status"], list(start["headers"]), body)
        self.bend(answer)
        headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


@dataclass(frozen=True)
class Service:
    """A running emulator, and the middleware that changes its responses."""

    base_url: str
    bent: Bent


def _running(workers: WorkerPool, vendors: Mapping[str, Mapping[str, Any]]) -> Iterator[Service]:
    with running_server(Settings(credentials=LISTED, vendors=vendors), workers=workers) as listening:
        app = cast("ControlApplication", listening.app)
        bent = app.dispatch = Bent(app.dispatch)
        yield Service(listening.base_url, bent)


@pytest.fixture(scope="session")
def emulated(workers: WorkerPool) -> Iterator[Service]:
    """The emulator that is compared with a service."""
    yield from _running(workers, {})


@pytest.fixture(scope="session")
def equal_service(workers: WorkerPool) -> Iterator[Service]:
    yield from _running(workers, {})


@pytest.fixture
def real(equal_service: Service) -> Iterator[Service]:
    """A stand-in for the real service: equal to the emulator until a test changes its responses."""
    yield equal_service
    equal_service.bent.bend = lambda _answer: None
    equal_service.bent.calls.clear()


@pytest.fixture(scope="session")
def different_service(workers: WorkerPool) -> Iterator[Service]:
    """A service whose settings make it differ from the emulator."""
    yield from _running(
        workers,
        {
            "faceplusplus": {
                "absent_members": "null",
                "texture_size": 512,
                "errors": {"NO_FACE_FOUND": {"status": 412, "text": "NO FACE in {param}"}},
            },
            # The text is a template, so its braces are doubled.
            "metahuman": {"errors": {"FACE_NOT_FOUND": {"text": "no {{face}}"}}},
            "perfectcorp": {
                "engine_codes": "page",
                "missing_upload_status": 404,
                "errors": {
                    "InvalidTaskId": {"status": 404, "text": "Task not found"},
                    "NotSigned": {"status": 400},
                },
            },
        },
    )


@pytest.fixture(scope="session")
def compared(emulated: Service) -> Callable[..., dict[str, Compared]]:
    """Return a function that compares a service with the emulator, by default with all samples."""

    def run(real: Service, vendor: str, *names: str) -> dict[str, Compared]:
        chosen: dict[str, Sample] = {
            name: sample
            for name, sample in read_samples(golden_folder(VENDORS[vendor])).items()
            if (name in names or not names) and sample.only_emulated is None
        }
        corrector = Corrector(VENDORS[vendor], VENDORS[vendor].settings_model())
        with (
            httpx.Client(base_url=real.base_url, timeout=WARM_UP_SECONDS) as theirs,
            httpx.Client(base_url=emulated.base_url, timeout=WARM_UP_SECONDS) as ours,
        ):
            found = compare(
                chosen,
                Side("the real service", theirs, Pace(0), KEYS[vendor]),
                Side("the emulator", ours, Pace(0)),
                corrector,
            )
            return {one.name: one for one in found}

    return run


@pytest.fixture
def emulated_side(emulated: Service) -> Iterator[Side]:
    """The emulator, called with the samples' own credentials."""
    with httpx.Client(base_url=emulated.base_url, timeout=WARM_UP_SECONDS) as client:
        yield Side("the emulator", client, Pace(0))


@pytest.fixture(scope="session")
def corrector() -> Callable[..., Corrector]:
    """Return a function that creates a corrector for a vendor with the given settings."""

    def make(vendor: str, **settings: Any) -> Corrector:
        return Corrector(VENDORS[vendor], VENDORS[vendor].settings_model.model_validate(settings))

    return make

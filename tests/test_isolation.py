"""64 concurrent tests on one server, isolated by their credentials."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.control.scenario_files import Scenario
from emulator.server import Listening, running_server

CONTEXT = ssl.create_default_context()
"""Shared, because otherwise every client loads the certificates, which no test needs."""

TESTS = 64
UNITS = 1000
FILE = "/s2s/v2.0/file"
TASK = "/s2s/v2.0/task/face-reshape"
CREDIT = "/s2s/v1.0/client/credit"
PHOTO = b"no picture, and nobody will look"
FAULTS = (
    ("TooManyRequests", 429), ("InternalError", 500), ("bad-gateway", 502), ("unavailable", 503),
    ("gateway-timeout", 504), ("InvalidApiKey", 401), ("ExpiredApiKey", 401), ("connection-closed", 0),
)  # fmt: skip
TASK_ERRORS = ("error_no_face", "error_pose", "error_decode_image", "error_inference")
PROGRESSIONS: tuple[dict[str, Any], ...] = (
    {"mode": "manual"},
    {"mode": "immediate"},
    {"mode": "after_polls", "polls": 2},
    {"mode": "after_seconds", "seconds": 60.0},
)


@pytest.fixture(scope="module")
def emulator(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator for this module alone, because its tests check what is left on it at the end."""
    with running_server(workers=workers) as listening:
        yield listening


def new_client(emulator: Listening) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=emulator.base_url, timeout=60, verify=CONTEXT)


@dataclass(frozen=True)
class World:
    """The credential, settings and calls of one simulated test."""

    number: int
    http: httpx.AsyncClient

    @property
    def key(self) -> str:
        return f"sk-isolated-{self.number}"

    @property
    def fault(self) -> tuple[str, int]:
        return FAULTS[self.number % len(FAULTS)]

    @property
    def progression(self) -> dict[str, Any]:
        return PROGRESSIONS[self.number // 8 % len(PROGRESSIONS)]

    @property
    def task_error(self) -> str:
        return TASK_ERRORS[self.number // 16 % len(TASK_ERRORS)]

    @property
    def now(self) -> float:
        return datetime(2030, 1, 1, tzinfo=UTC).timestamp() + self.number * 86400

    @property
    def scenario(self) -> Scenario:
        rules = ({"match": {"operation": "credit_history"}, "effect": {"proxy_page": 500 + self.number}},)
        return Scenario.model_validate({"name": f"scenario-{self.number}", "rules": rules})

    async def control(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        params = {"credential": self.key, **params}
        answer = await self.http.request(method, f"/_emulator{path}", json=body, params=params)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def status(self, path: str) -> int:
        """Return the status of a GET request, or 0 if the connection closes without a response."""
        try:
            return (await self.call("GET", path)).status_code
        except httpx.RemoteProtocolError:
            return 0

    async def poll(self, task_id: str) -> str:
        answer = await self.call("GET", f"{TASK}/{task_id}")
        return str(answer.json()["data"]["task_status"])

    async def bend(self) -> None:
        """Set the faults, the scenario, the clock and the progression of this test."""
        name, _ = self.fault
        match = {"credential": self.key, "operation": "feature_cost"}
        await self.control("POST", "/faults", {"match": match, "effect": name, "count": 100})
        match = {"credential": self.key, "operation": "create_reshape"}
        await self.control("POST", "/faults", {"match": match, "effect": self.task_error})
        await self.control("POST", "/scenarios", self.scenario.model_dump(mode="json", exclude_defaults=True))
        await self.control("POST", "/clock/freeze", {"at": self.now})
        await self.control("PUT", "/progression", self.progression)

    async def upload(self) -> str:
        new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(PHOTO)}
        file = (await self.call("POST", FILE, {"files": [new]})).json()["data"]["files"][0]
        request = file["requests"][0]
        sent = await self.http.put(request["url"], headers=request["headers"], content=PHOTO)
        assert sent.status_code == 200, sent.text
        return str(file["file_id"])

    async def create(self, file_id: str) -> str:
        body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 9}, "global": {}}
        return str((await self.call("POST", TASK, body)).json()["data"]["task_id"])

    async def run(self) -> Made:
        """Upload a file, create two tasks, poll the second until it fails, and return the ids."""
        file_id = await self.upload()
        first, second = await self.create(file_id), await self.create(file_id)
        mode = self.progression["mode"]
        if mode == "after_polls":
            assert [await self.poll(second) for _ in range(3)] == ["running", "running", "error"]
        if mode == "after_seconds":
            await self.control("POST", "/clock/advance", {"seconds": 59.9})
            assert await self.poll(second) == "running"
            await self.control("POST", "/clock/advance", {"seconds": 0.1})
        if mode == "manual":
            assert await self.poll(second) == "running"
            await self.control("POST", f"/tasks/{second}/finish", {"error": None})
            while await self.poll(second) == "running":  # noqa: ASYNC110 - as a client polls
                await asyncio.sleep(0.05)
        assert await self.poll(second) == "error"
        return Made(file_id, first, second)

    async def check(self, made: Made) -> None:
        """Check that the credential has exactly the state that this test has made."""
        assert await self.status("/s2s/v2.0/credit/feature-cost") == self.fault[1]
        assert await self.status(f"{CREDIT}/history") == 500 + self.number
        reading = await self.control("GET", "/clock")
        moved = 60.0 if self.progression["mode"] == "after_seconds" else 0.0
        assert (reading["own"], reading["frozen"], reading["now"]) == (True, True, self.now + moved)
        found = await self.control("GET", "/progression")
        assert {name: value for name, value in found.items() if value is not None} == self.progression
        tasks = await self.control("GET", "/tasks")
        assert [task["id"] for task in tasks] == [made.first, made.second]
        assert {task["credential"] for task in tasks} == {self.key}
        assert {task["error"] for task in tasks} <= {self.task_error, None}
        assert tasks[1]["error"] == self.task_error
        rules = await self.control("GET", "/faults")
        assert len(rules) == 3
        assert {rule["rule"]["match"]["credential"] for rule in rules} == {self.key}
        assert {rule["rule"].get("scenario") for rule in rules} == {None, self.scenario.name}
        (grant,) = (await self.call("GET", CREDIT)).json()["results"]
        # A failed task refunds its unit. The second task has failed; the first may still be running.
        assert grant["amount"] in {UNITS - 1, UNITS}
        assert grant["expiry"] == round((self.now + 365 * 86400) * 1000)

    async def check_untouched(self) -> None:
        """Check that nothing of this test is left."""
        reading = await self.control("GET", "/clock")
        assert (reading["own"], reading["frozen"]) == (False, False)
        found = await self.control("GET", "/progression")
        assert found["mode"] == "real"
        assert await self.control("GET", "/tasks") == []
        assert await self.control("GET", "/faults") == []
        assert await self.status("/s2s/v2.0/credit/feature-cost") == 200
        history = (await self.call("GET", f"{CREDIT}/history")).json()
        assert history["result"]["history"] == []
        (grant,) = (await self.call("GET", CREDIT)).json()["results"]
        assert grant["amount"] == UNITS


@dataclass(frozen=True)
class Made:
    """The ids of a file and of the tasks that use it."""

    file_id: str
    first: str
    second: str


def test_no_two_worlds_have_the_same_settings() -> None:
    nobody = httpx.AsyncClient(verify=CONTEXT)
    worlds = [World(number, nobody) for number in range(TESTS)]
    kinds = {(world.fault, world.progression["mode"], world.task_error) for world in worlds}
    assert len(kinds) == TESTS


def test_64_concurrent_tests_are_isolated_and_a_reset_affects_only_one(emulator: Listening) -> None:
    async def all_at_once() -> None:
        async with contextlib.AsyncExitStack() as stack:
            # One client per world, because one pool of 64 connections is slower than the emulator.
            worlds = [
                World(number, await stack.enter_async_context(new_client(emulator)))
                for number in range(TESTS)
            ]
            http = worlds[0].http

            async def live(world: World) -> Made:
                await world.bend()
                made = await world.run()
                await world.check(made)
                return made

            made = await asyncio.gather(*map(live, worlds))
            assert len({one.first for one in made} | {one.second for one in made}) == 2 * TESTS
            one, *others = worlds
            await asyncio.gather(
                http.post("/_emulator/reset", json={"credential": one.key}),
                *(world.check(kept) for world, kept in zip(others, made[1:], strict=True)),
            )
            await one.check_untouched()
            gone = await one.call("GET", f"{TASK}/{made[0].first}")
            assert gone.json()["error_code"] == "InvalidTaskId"

            # After a reset, the same calls return the same ids as the first time.
            await http.post("/_emulator/reset", json={"credential": one.key})
            await one.bend()
            assert await one.run() == made[0]
            await one.check(made[0])
            for world, kept in zip(others[::16], made[1::16], strict=True):
                await world.check(kept)

            # A reset without a credential leaves nothing.
            await http.post("/_emulator/reset")
            for path in ("tasks", "faults", "credentials"):
                assert (await http.get(f"/_emulator/{path}")).json() == []
            for world in worlds[::16]:
                await world.check_untouched()

    asyncio.run(all_at_once())


def test_default_settings_apply_to_credentials_without_their_own(emulator: Listening) -> None:
    async def together() -> None:
        async with new_client(emulator) as http:
            mine, yours = World(1000, http), World(1001, http)
            await mine.control("POST", "/clock/freeze", {"at": mine.now})
            await mine.control("PUT", "/progression", {"mode": "manual"})
            everybody = {"at": 2_000_000_000.0}
            await http.post("/_emulator/clock/freeze", json=everybody)
            await http.put("/_emulator/progression", json={"mode": "immediate"})
            for world, now, mode in ((mine, mine.now, "manual"), (yours, everybody["at"], "immediate")):
                assert (await world.control("GET", "/clock"))["now"] == now
                assert (await world.control("GET", "/progression"))["mode"] == mode
            await mine.control("DELETE", "/clock")
            await mine.control("DELETE", "/progression")
            assert (await mine.control("GET", "/clock"))["now"] == everybody["at"]
            assert (await mine.control("GET", "/progression"))["mode"] == "immediate"
            await http.post("/_emulator/reset")
            assert not (await mine.control("GET", "/clock"))["frozen"]

    asyncio.run(together())


@pytest.mark.parametrize("kinds", list(itertools.combinations(range(3), 2)), ids=str)
def test_settings_changed_during_the_reset_of_another_credential_are_kept(
    emulator: Listening, kinds: tuple[int, int]
) -> None:
    """A reset reloads the stored settings and must keep the changes that arrive meanwhile."""

    async def together() -> None:
        async with new_client(emulator) as http:
            worlds = [World(2000 + number, http) for number in range(16)]

            async def bend(world: World) -> None:
                for kind in kinds:
                    match kind:
                        case 0:
                            await world.control("POST", "/clock/freeze", {"at": world.now})
                        case 1:
                            await world.control("PUT", "/progression", {"mode": "manual"})
                        case _:
                            match_ = {"credential": world.key, "operation": "feature_cost"}
                            await world.control("POST", "/faults", {"match": match_, "effect": "slow"})

            resets = (
                http.post("/_emulator/reset", json={"credential": f"r{number}"}) for number in range(16)
            )
            await asyncio.gather(*resets, *map(bend, worlds))
            for world in worlds:
                if 0 in kinds:
                    assert (await world.control("GET", "/clock"))["now"] == world.now
                if 1 in kinds:
                    assert (await world.control("GET", "/progression"))["mode"] == "manual"
                if 2 in kinds:
                    assert len(await world.control("GET", "/faults")) == 1
            await http.post("/_emulator/reset")

    asyncio.run(together())

"""``OnDemand`` and ``RoutesOnDemand``."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from emulator.web.on_demand import OnDemand, RoutesOnDemand


def application(threads: list[threading.Thread]) -> FastAPI:
    """Return an application with one route from the start, and one that is added later."""
    app = FastAPI()
    app.add_api_route("/early", lambda: "early")

    def add_routes() -> None:
        threads.append(threading.current_thread())
        app.add_api_route("/late", lambda: "late")

    app.add_middleware(RoutesOnDemand, routes=OnDemand(add_routes), without={"/early"})
    return app


def test_routes_are_added_once_at_the_first_request_that_may_need_them() -> None:
    added: list[threading.Thread] = []
    with TestClient(application(added)) as client:
        assert client.get("/early").json() == "early"
        assert added == []
        assert client.get("/late").json() == "late"
        assert client.get("/late").json() == "late"
        assert client.get("/never").status_code == 404
    assert len(added) == 1


def test_a_part_of_the_routes_is_enough_for_its_paths() -> None:
    app = FastAPI()
    added: list[str] = []

    def part(name: str) -> OnDemand:
        def add() -> None:
            added.append(name)
            app.add_api_route(f"/{name}/it", lambda: name)

        return OnDemand(add)

    parts = {name: part(name) for name in ("first", "second")}

    def add_all() -> None:
        for each in parts.values():
            each.run()

    app.add_middleware(
        RoutesOnDemand, routes=OnDemand(add_all), part_at=lambda path: parts.get(path.split("/")[1])
    )
    with TestClient(app) as client:
        assert [client.get("/second/it").json(), client.get("/second/other").status_code] == ["second", 404]
        assert added == ["second"]
        assert client.get("/third/it").status_code == 404
        assert added == ["second", "first"]
        assert client.get("/first/it").json() == "first"


def test_routes_are_added_outside_of_the_event_loop() -> None:
    added: list[threading.Thread] = []
    app = application(added)
    loops: list[threading.Thread] = []

    async def remember() -> None:
        loops.append(threading.current_thread())

    app.add_api_route("/loop", remember)
    with TestClient(app) as client:
        client.get("/loop")
    assert len(added) == len(loops) == 1
    assert added[0] is not loops[0]


def test_other_threads_wait_until_the_function_has_ended() -> None:
    entered, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    def slow() -> None:
        entered.set()
        assert go_on.wait(30)
        calls.append("done")

    once = OnDemand(slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.run)
        assert entered.wait(30)
        second = pool.submit(once.run)
        assert not once.is_done
        assert not second.done()
        go_on.set()
        first.result(30)
        second.result(30)
    assert calls == ["done"]
    assert once.is_done


def test_a_function_that_failed_is_called_again() -> None:
    results = iter([ValueError("no"), None])

    def once_wrong() -> None:
        error = next(results)
        if error is not None:
            raise error

    once = OnDemand(once_wrong)
    with pytest.raises(ValueError, match="no"):
        once.run()
    assert not once.is_done
    once.run()
    assert once.is_done

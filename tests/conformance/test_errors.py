"""Every error of every vendor is the same, whether it is natural or caused by a fault."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from string import Formatter
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from vendor_data import FACES, VENDORS, calls_of, data_of, per_vendor

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.clock import Clock
from emulator.server import Listening
from emulator.settings import Settings
from emulator.web.vendor import Vendor
from emulator.world.error_catalogue import ONLY_BY_FAULT, CatalogueEntry
from face_api_emulator.client import Client
from face_api_emulator.client.models import ErrorDescription

WAYS = ("rule", "header", "credential")

# Settings for the errors that do not occur with the defaults.
STRICT = {name: data_of(name).STRICT for name in VENDORS}
ENTRIES = [(vendor, entry) for vendor in VENDORS.values() for entry in vendor.errors.values()]
ANSWERED = [(vendor, entry) for vendor, entry in ENTRIES if not entry.of_task]
OF_TASKS = [(vendor, entry) for vendor, entry in ENTRIES if entry.of_task]
NATURAL = [(vendor, entry) for vendor, entry in ENTRIES if entry.is_natural]

numbers = itertools.count()


def named(value: object) -> str | None:
    return value.name if isinstance(value, Vendor | CatalogueEntry) else None


@dataclass(frozen=True)
class World:
    """What a test needs to cause an error.

    Attributes
    ----------
    key
        A credential that no other test uses.
    client
        A client of the session's emulator, which has the default settings.
    control
        A control client for that credential.
    strict
        A client of an emulator in this process with the ``STRICT`` settings.
    """

    key: str
    client: httpx.Client
    control: Client
    strict: TestClient

    def face(self, name: str) -> bytes:
        """Return a test face."""
        return (FACES / f"{name}.jpg").read_bytes()

    @contextmanager
    def failing(self, place: object, name: str) -> Iterator[None]:
        """Let a function of the emulator in this process fail."""

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(place, name, fail)
            yield


@pytest.fixture(scope="module")
def strict(workers: WorkerPool) -> Iterator[tuple[TestClient, Clock]]:
    clock = Clock(1_790_000_000.0)
    app = create_app(Settings(vendors=STRICT), clock=clock, workers=workers)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, clock


@pytest.fixture
def world(server: Listening, client: httpx.Client, strict: tuple[TestClient, Clock]) -> Iterator[World]:
    strict[1].advance(1000)  # so that no rate limit applies
    key = f"sk-errors-{next(numbers)}"
    with Client(server.base_url, key) as control:
        yield World(key, client, control, strict[0])
        control.reset()
        for rule in client.get("/_emulator/faults").json():
            if rule["rule"]["match"].get("headers") == {"x-mark": f"^{key}$"}:
                control.remove_fault(rule["id"])


@pytest.fixture(scope="module")
def described(server: Listening) -> dict[tuple[str, str], ErrorDescription]:
    """The errors of `GET /_emulator/errors`, by vendor and name."""
    with Client(server.base_url) as control:
        return {(each.vendor, each.name): each for each in control.errors()}


@dataclass(frozen=True)
class Looks:
    """A response without the parts that differ between calls."""

    status: int
    headers: frozenset[str]
    content_type: str
    body: str


VARIES = [
    (re.compile(r'(?<="time_used": )\d+'), "<milliseconds>"),
    (re.compile(r"\d+,[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<request id>"),
    (re.compile(r"(?<=<RequestId>)\d{18}"), "<request id>"),
    (re.compile(r"(?<=<ActualObjectSize>)\d+"), "<bytes>"),
]


def looks_of(answer: Any, entry: CatalogueEntry) -> Looks:
    """Return the look of a response with an error, with the places of its text not filled."""
    body = answer.text
    said = said_in(answer, entry)
    for written in (json.dumps(said)[1:-1], html.escape(said, quote=False)):
        body = body.replace(written, entry.text, 1)
    for pattern, name in VARIES:
        body = pattern.sub(name, body)
    names = frozenset(answer.headers) - {"x-emulator-fault", "date", "server", "content-length", "connection"}
    return Looks(answer.status_code, names, answer.headers["content-type"], body)


def said_in(answer: Any, entry: CatalogueEntry) -> str:
    """Return the text of an error in a response, with its places filled."""
    parts = Formatter().parse(entry.text)
    pattern = "".join(re.escape(text) + ("" if name is None else ".+") for text, name, _, _ in parts)
    if "json" in answer.headers["content-type"]:
        texts = list(strings_in(answer.json()))
    else:
        texts = re.findall(r"[^<>\r\n]+", html.unescape(answer.text))
    found = [text for text in texts if re.fullmatch(pattern, text)]
    assert found, f"{answer.text} does not contain {entry.text}"
    return max(found, key=len)


def strings_in(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from strings_in(value)


def asked_for(world: World, entry: CatalogueEntry, way: str, vendor: Vendor) -> tuple[World, dict[str, str]]:
    """Return a world in which a fault causes an error, and the headers of the calls that cause it."""
    if way == "header":
        return world, {"X-Emulator-Fault": entry.name}
    if way == "credential":
        return replace(world, key=f"fault-{entry.name}.{world.key}"), {}
    # A rule for all credentials, because some operations have no credential.
    world.control.add_fault(
        entry.name, vendor=vendor.name, credential=None, headers={"x-mark": f"^{world.key}$"}
    )
    return world, {"X-Mark": world.key}


def natural_looks(world: World, vendor: Vendor, entry: CatalogueEntry) -> Looks | None:
    how = data_of(vendor.name).NATURAL.get(entry.name)
    return None if how is None else looks_of(how(world), entry)


@pytest.fixture(scope="module")
def natural(
    server: Listening, client: httpx.Client, strict: tuple[TestClient, Clock]
) -> dict[tuple[str, str], Looks]:
    """The look of every natural error, by vendor and name."""
    found = {}
    for vendor, entry in NATURAL:
        strict[1].advance(1000)
        key = f"sk-natural-{next(numbers)}"
        with Client(server.base_url, key) as control:
            looks = natural_looks(World(key, client, control, strict[0]), vendor, entry)
            if looks is not None:
                found[vendor.name, entry.name] = looks
            control.reset()
    return found


def test_every_error_is_listed_with_every_way_to_get_it(
    described: dict[tuple[str, str], ErrorDescription],
) -> None:
    assert list(described) == [(vendor.name, entry.name) for vendor, entry in ENTRIES]
    for vendor, entry in ENTRIES:
        one = described[vendor.name, entry.name]
        assert (one.status, one.text, one.when, one.mark) == (
            entry.status, entry.text, entry.when, entry.mark,
        )  # fmt: skip
        assert one.of_task == entry.of_task
        assert one.operations == [
            name for name, operation in vendor.operations.items() if entry.name in operation.errors
        ]
        assert one.operations
        assert one.by_nature == (entry.when if entry.is_natural else None)
        # The explanation says so too.
        assert entry.when.startswith(ONLY_BY_FAULT) != entry.is_natural
        assert one.by_rule == {"match": {"vendor": vendor.name}, "effect": entry.name}
        assert one.in_band is not None
        assert one.in_band.header == f"X-Emulator-Fault: {entry.name}"
        assert one.in_band.credential == f"fault-{entry.name}"


def test_every_listed_rule_is_accepted_unchanged(
    server: Listening, client: httpx.Client, described: dict[tuple[str, str], ErrorDescription]
) -> None:
    with Client(server.base_url) as control:
        for one in described.values():
            added = client.post("/_emulator/faults", json=one.by_rule)
            assert added.status_code == 201, added.text
            control.remove_fault(added.json()["id"])


@per_vendor
def test_the_test_data_covers_every_operation_and_every_natural_error(vendor: Vendor) -> None:
    data = data_of(vendor.name)
    natural = [entry.name for entry in vendor.errors.values() if entry.is_natural]
    assert sorted(data.NATURAL) == sorted(natural)
    assert set(vendor.operations) >= set(data.CALLS)
    for operation in vendor.operations.values():
        assert operation.example.needs is None or operation.name in data.CALLS, operation.name


@pytest.mark.parametrize(("vendor", "entry"), NATURAL, ids=named)
def test_an_error_occurs_without_a_fault(
    natural: dict[tuple[str, str], Looks], vendor: Vendor, entry: CatalogueEntry
) -> None:
    looks = natural[vendor.name, entry.name]
    assert looks.status == entry.status
    assert "x-emulator-fault" not in looks.headers


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("vendor", "entry"), ANSWERED, ids=named)
def test_an_injected_error_looks_like_the_natural_error(
    world: World, natural: dict[tuple[str, str], Looks], vendor: Vendor, entry: CatalogueEntry, way: str
) -> None:
    """This holds at every operation that can return the error."""
    calls = calls_of(vendor)
    operations = {name for name, operation in vendor.operations.items() if entry.name in operation.errors}
    if way == "credential":
        operations -= data_of(vendor.name).WITHOUT_CREDENTIAL
    there, headers = asked_for(world, entry, way, vendor)
    expected = natural.get((vendor.name, entry.name))
    for operation in sorted(operations):
        answer = calls[operation](there, **headers)
        assert answer.headers["x-emulator-fault"].partition(" ")[0] == way, operation
        looks = looks_of(answer, entry)
        assert looks.status == entry.status
        if expected is not None:
            assert looks == expected, operation
    # Operations without a credential are tested in the other ways.
    assert operations or way == "credential"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("vendor", "entry"), OF_TASKS, ids=named)
def test_a_task_ends_with_the_injected_error_and_costs_nothing(
    world: World, natural: dict[tuple[str, str], Looks], vendor: Vendor, entry: CatalogueEntry, way: str
) -> None:
    data = data_of(vendor.name)
    there, headers = asked_for(world, entry, way, vendor)
    before = data.accounts(there)
    for operation in vendor.operations.values():
        if entry.name not in operation.errors:
            continue
        answer = data.flow(there, operation.name, **headers)
        assert answer.json() == data.failed(entry)
        expected = natural.get((vendor.name, entry.name))
        if expected is not None:
            assert looks_of(answer, entry) == expected
    assert data.accounts(there) == before == data.NOTHING_BILLED


@pytest.mark.parametrize("way", ["rule", "header"])
@pytest.mark.parametrize(("vendor", "entry"), OF_TASKS, ids=named)
def test_an_error_of_a_task_happens_to_no_other_call(
    world: World, vendor: Vendor, entry: CatalogueEntry, way: str
) -> None:
    there, headers = asked_for(world, entry, way, vendor)
    for name, call in calls_of(vendor).items():
        if vendor.operations[name].task is None:
            assert "x-emulator-fault" not in call(there, **headers).headers, name


@pytest.mark.parametrize(("vendor", "entry"), ENTRIES, ids=named)
def test_every_placeholder_of_an_error_can_be_filled_with_its_example(
    vendor: Vendor, entry: CatalogueEntry
) -> None:
    assert entry.occur(**entry.example).text, vendor.name


def test_a_rule_can_set_the_placeholders_of_an_error(world: World) -> None:
    world.control.add_fault(
        {"error": "MISSING_ARGUMENTS", "places": {"param": "my_field"}}, headers={"x-mark": world.key}
    )
    answer = calls_of(VENDORS["faceplusplus"])["3dface"](world, **{"X-Mark": world.key})
    assert answer.json()["error_message"] == "MISSING_ARGUMENTS: my_field"


def test_latency_does_not_change_the_words_of_a_refusal(world: World) -> None:
    """The v1.0 paths have their own error for an invalid key, with and without latency."""
    world.control.list_credential(world.key, "revoked")  # type: ignore[arg-type] # names are states too
    world.control.add_fault({"latency": 0.01})
    answer = calls_of(VENDORS["perfectcorp"])["credit"](world)
    assert answer.headers["x-emulator-fault"].startswith("rule ")
    assert answer.json()["error_code"] == "InvalidAccessToken"

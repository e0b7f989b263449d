"""The files of the console, and access to them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from vendor_data import VENDORS

from emulator.app import create_app
from emulator.control import console
from emulator.control.console import pages
from emulator.settings import Settings

CONSOLE = "/_emulator/console/"
TOKEN = "correct-horse"  # noqa: S105 - a test's own token
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
INDEX = '<script type="module" src="/_emulator/console/app-X.js"></script>'


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small console instead of the real one."""
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "app-X.js").write_text("let a = 1;\n" * 100)
    (tmp_path / "app-Y.css").write_text("a{}")
    (tmp_path / "icon.svg").write_text("<svg/>")
    monkeypatch.setattr(console, "BUILT", tmp_path)
    return tmp_path


def client_of(**settings: object) -> TestClient:
    app = create_app(Settings.model_validate({"workers": 1, **settings}))
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def browser() -> TestClient:
    return client_of()


def test_only_a_browser_is_redirected_to_the_console(browser: TestClient, built: Path) -> None:  # noqa: ARG001 - replaces the console
    answer = browser.get("/", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (307, CONSOLE)
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = browser.get("/", headers=headers)
        assert (answer.status_code, answer.json()["control"]) == (404, "/_emulator/openapi.json")
    assert browser.post("/", headers=HTML).status_code == 405


def test_a_vendors_host_has_no_console(client: httpx.Client, built: Path) -> None:  # noqa: ARG001 - replaces the console
    for vendor in VENDORS.values():
        for host in (*vendor.hosts, *vendor.stores):
            for path in ("/", CONSOLE):
                answer = client.get(path, headers={**HTML, "Host": host})
                assert answer.status_code >= 400, (host, path)
                assert "console" not in answer.headers.get("location", "")
                assert INDEX not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example"])
def test_a_foreign_name_gets_no_console(browser: TestClient, built: Path, host: str) -> None:  # noqa: ARG001 - replaces the console
    assert browser.get(CONSOLE, headers={"Host": host}).status_code == 403
    assert browser.get("/", headers={**HTML, "Host": host}).status_code == 404


def test_without_the_control_api_there_is_no_console(built: Path) -> None:  # noqa: ARG001 - replaces the console
    off = client_of(control="off")
    assert off.get(CONSOLE).status_code == 404
    assert off.get("/", headers=HTML).json()["error"].startswith("nothing is served at /")


def test_every_path_that_is_no_file_is_a_view(browser: TestClient, built: Path) -> None:  # noqa: ARG001 - replaces the console
    for path in ("", "live", "live/12", "play/faceplusplus/3dface", "tasks?credential=a.b", "a.b/c"):
        answer = browser.get(CONSOLE + path)
        assert (answer.status_code, answer.text) == (200, INDEX), path
        assert answer.headers["cache-control"] == "no-cache"
    assert browser.get(CONSOLE.rstrip("/")).headers["location"] == CONSOLE
    assert browser.head(CONSOLE).status_code == 200


def test_files_have_their_types_and_can_be_cached_for_ever(browser: TestClient, built: Path) -> None:
    for name, media_type in {
        "app-X.js": "text/javascript; charset=utf-8",
        "app-Y.css": "text/css; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }.items():
        answer = browser.get(CONSOLE + name)
        assert answer.content == (built / name).read_bytes()
        assert answer.headers["content-type"] == media_type
        assert "immutable" in answer.headers["cache-control"]
    for name in ("app-Z.js", "..%2Fpages.py", "index.html.js"):
        assert browser.get(CONSOLE + name).text != INDEX or name.startswith(".."), name
    assert browser.get(CONSOLE + "app-Z.js").status_code == 404


def test_files_are_compressed_if_the_browser_accepts_it(built: Path) -> None:
    app = create_app(Settings(workers=1))
    plain = (built / "app-X.js").read_bytes()
    with TestClient(app) as client:
        packed = client.get(CONSOLE + "app-X.js", headers={"Accept-Encoding": "gzip"})
        assert packed.content == plain
        assert int(packed.headers["content-length"]) == len(gzip.compress(plain, 6, mtime=0)) < len(plain)
        unpacked = client.get(CONSOLE + "app-X.js", headers={"Accept-Encoding": "identity"})
        assert unpacked.content == plain


def test_the_policy_allows_only_this_server(browser: TestClient, built: Path) -> None:  # noqa: ARG001 - replaces the console
    for path in ("", "app-X.js"):
        headers = browser.get(CONSOLE + path).headers
        policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_an_installation_without_the_console_says_how_to_get_it(
    browser: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "BUILT", tmp_path / "nothing")
    assert browser.get("/", headers=HTML).headers["location"] == CONSOLE
    answer = browser.get(CONSOLE)
    assert (answer.status_code, "make console" in answer.text) == (404, True)


def test_the_console_is_not_part_of_the_openapi_document(browser: TestClient) -> None:
    assert not any("console" in path for path in browser.get("/_emulator/openapi.json").json()["paths"])


def test_with_a_token_all_requests_need_it(built: Path) -> None:  # noqa: ARG001 - replaces the console
    client = client_of(control_token=TOKEN)
    for path in ("/_emulator/clock", "/_emulator/openapi.json", CONSOLE, CONSOLE + "app-X.js"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/_emulator/health").status_code == 200
    # In the query, the token opens the console only.
    assert client.get(f"/_emulator/clock?token={TOKEN}").status_code == 401


def test_the_link_with_the_token_sets_a_cookie_for_its_port(built: Path) -> None:  # noqa: ARG001 - replaces the console
    client = client_of(control_token=TOKEN)
    headers = {"Host": "127.0.0.1:3468"}
    answer = client.get(f"{CONSOLE}live?token={TOKEN}", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{CONSOLE}live")
    cookie = answer.headers["set-cookie"]
    assert re.match(rf"face-emulator-3468={TOKEN}; ", cookie)
    for part in ("HttpOnly", "Path=/_emulator/", "SameSite=strict"):
        assert part in cookie
    pair = cookie.partition(";")[0]
    client.cookies.clear()
    assert client.get("/_emulator/clock", headers={**headers, "Cookie": pair}).status_code == 200
    other = {"Host": "127.0.0.1:3469", "Cookie": pair}
    assert client.get("/_emulator/clock", headers=other).status_code == 401
    for query in ("", "?token=wrong"):
        asked = client.get(f"{CONSOLE}{query}", headers={**headers, **HTML})
        assert (asked.status_code, '<input name="token"' in asked.text) == (401, True)
    assert client.get("/", headers={**headers, **HTML}).headers["location"] == CONSOLE


def test_a_console_token_is_for_the_console_only(built: Path) -> None:  # noqa: ARG001 - replaces the console
    client = client_of(control="on")
    client.app.state.gate.console_token = TOKEN  # type: ignore[attr-defined] # the application is ours
    assert client.get(CONSOLE).status_code == 401
    assert client.get("/_emulator/clock").status_code == 200
    assert client.get(f"{CONSOLE}?token={TOKEN}").status_code == 303


def test_the_client_sends_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from emulator.server import running_server  # noqa: PLC0415 - only here
    from face_api_emulator.client import Client, ControlError  # noqa: PLC0415 - only here

    with running_server(Settings(workers=1, control_token=TOKEN)) as server:
        assert server.console_url == f"{server.base_url}{CONSOLE}?token={TOKEN}"
        with Client(server.base_url) as stranger, pytest.raises(ControlError, match="token"):
            stranger.clock()
        with Client(server.base_url, token=TOKEN) as tester:
            assert tester.clock().own is False
        monkeypatch.setenv("FACE_EMULATOR_CONTROL_TOKEN", TOKEN)
        with Client(server.base_url) as tester:
            assert tester.clock().own is False
        assert httpx.get(f"{server.base_url}/_emulator/ready").status_code in {200, 503}


@pytest.mark.skipif(not console.is_built(), reason="needs a built console (`make console`)")
class TestBuilt:
    """The real files, if they are built."""

    def test_every_referenced_file_exists_and_there_are_no_unexpected_files(self) -> None:
        files = {path.name: path for path in console.BUILT.iterdir()}
        page = files["index.html"].read_text()
        named = set(re.findall(rf"{CONSOLE}([\w.-]+)", page))
        scripts = "".join(path.read_text() for name, path in files.items() if name.endswith(".js"))
        named |= set(re.findall(r"\./(chunk-\w+\.js)", scripts))
        assert named | {"index.html", "licenses.txt"} == set(files)
        assert all(path.suffix in pages.TYPES for path in files.values())

    def test_the_first_load_is_small_and_has_no_viewer(self) -> None:
        page = (console.BUILT / "index.html").read_text()
        names = ["index.html", *re.findall(rf"{CONSOLE}([\w.-]+)", page)]
        contents = [(console.BUILT / name).read_bytes() for name in names]
        assert sum(len(gzip.compress(each)) for each in contents) < 100_000
        assert b"WebGLRenderer" not in b"".join(contents)

    def test_nothing_is_loaded_from_another_host(self) -> None:
        for path in console.BUILT.iterdir():
            text = path.read_text()
            assert "sourceMappingURL" not in text
            if path.suffix in {".html", ".css"}:
                assert not re.findall(r"(?:src|href)=\"(?!/_emulator)|url\(\"?http|@import", text), path.name

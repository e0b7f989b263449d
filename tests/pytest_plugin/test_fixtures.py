"""The fixtures."""

from __future__ import annotations

import os
import shutil

import pytest
from pytester_runs import CREDIT, FACE, ROOT, UNMODIFIED, WEBHOOK, run

from emulator.server import Listening
from face_api_emulator.pytest_plugin.webhooks import WebhookSink

pytest_plugins = ["pytester"]


def test_tests_have_separate_states_and_the_clock_and_faults_end_with_them(
    pytester: pytest.Pytester, server: Listening
) -> None:
    pytester.makepyfile(
        CREDIT
        + """
def test_one(face_emulator, face_emulator_clock, face_emulator_faults):
    face_emulator_clock.freeze(1_900_000_000)
    face_emulator.add_fault("TooManyRequests")
    assert credit(face_emulator) == 429

def test_two(face_emulator, face_emulator_clock, face_emulator_faults):
    assert credit(face_emulator) == 200
    with face_emulator_faults("TooManyRequests"):
        assert credit(face_emulator) == 429
    assert credit(face_emulator) == 200
    assert not face_emulator_clock.clock().own

@pytest.fixture
def face_emulator_credential():
    return "sk-of-the-code"

def test_three(face_emulator):
    assert credit(face_emulator, "sk-of-the-code") == 200
    assert len(face_emulator.calls()) == 1
"""
    )
    run(pytester, server).assert_outcomes(passed=3)


def test_the_faces_are_those_of_the_emulator(pytester: pytest.Pytester, server: Listening) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        def test_faces(face_emulator_faces, tmp_path):
            assert face_emulator_faces["ok-frontal"] == open({str(FACE)!r}, "rb").read()
            assert "two-faces" in face_emulator_faces
            assert len(face_emulator_faces) > 20
            written = face_emulator_faces.write("ok-frontal", tmp_path)
            assert written.read_bytes() == face_emulator_faces["ok-frontal"]
            with pytest.raises(KeyError, match="there is no test face elvis; choose one of ok-frontal, "):
                face_emulator_faces["elvis"]
        """
    )
    run(pytester, server).assert_outcomes(passed=1)


def test_webhooks_are_verified_and_can_be_answered_with_errors(
    pytester: pytest.Pytester, server: Listening
) -> None:
    pytester.makepyfile(
        WEBHOOK
        + """
def test_retry(face_emulator, face_emulator_webhooks):
    face_emulator_webhooks.answer(503)
    task = reshape(face_emulator)
    face_emulator_webhooks.wait()
    face_emulator.advance(3600)
    first, second = face_emulator_webhooks.wait(2)
    assert (first.id, first.body) == (second.id, second.body)
    assert first.json["data"]["task_id"] == task

def test_forged(face_emulator, face_emulator_webhooks):
    httpx.post(face_emulator_webhooks.url, content=b"{}", headers={"webhook-id": "msg_1"})
    httpx.post(face_emulator_webhooks.url, content=b"{}")
    face_emulator_webhooks.wait(2)

def test_missing(face_emulator_webhooks):
    face_emulator_webhooks.wait(1, 0.01)
"""
    )
    result = run(pytester, server)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: the signatures of these webhooks are invalid: msg_1, without id",
            "*AssertionError: 0 of 1 webhooks arrived within 0.01 s: none",
        ]
    )


def test_a_mark_redirects_the_vendors_names(pytester: pytest.Pytester, secure: Listening) -> None:
    pytester.makepyfile(
        UNMODIFIED
        + """
@pytest.mark.face_emulator(redirect=True, sealed=True)
def test_by_mark():
    assert call().startswith("MISSING_ARGUMENTS")

def test_by_fixture(face_emulator_redirect):
    assert call().startswith("MISSING_ARGUMENTS")

@pytest.mark.face_emulator(sealed=True)
def test_without():
    with pytest.raises(OSError, match="api-us.faceplusplus.com"):
        call()
"""
    )
    result = run(pytester, secure)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["the test is sealed, but tried to reach api-us.faceplusplus.com:443 at *.py:* in call"]
    )


def test_a_redirect_needs_tls(pytester: pytest.Pytester, server: Listening) -> None:
    pytester.makepyfile("def test_looks(face_emulator_redirect): pass")
    result = run(pytester, server)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the emulator at * does not serve TLS: start it with `serve --tls`"])


def test_a_child_process_reaches_the_emulator_by_the_environment(
    pytester: pytest.Pytester, secure: Listening
) -> None:
    pytester.makepyfile(child=UNMODIFIED + "print(call())")
    pytester.makepyfile(
        """
        import subprocess, sys

        def test_child(face_emulator):
            environment = face_emulator.environment()
            assert environment["PERFECTCORP_KEY"] == face_emulator.credential
            command = [sys.executable, "child.py"]
            out = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert out.stdout.startswith("MISSING_ARGUMENTS"), out.stderr
        """
    )
    run(pytester, secure).assert_outcomes(passed=1)


def test_the_sample_project_passes_with_all_installed_plugins(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, secure: Listening
) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    shutil.copytree(ROOT / "examples" / "pytest", pytester.path / "shop")
    os.chdir(pytester.path / "shop")
    run(pytester, secure).assert_outcomes(passed=6)


def test_the_receiver_listens_on_all_interfaces_for_an_emulator_elsewhere() -> None:
    for host, address in (("127.0.0.1", "127.0.0.1"), ("host.docker.internal", "0.0.0.0")):  # noqa: S104 - see the name
        sink = WebhookSink(host)
        assert sink.url.startswith(f"http://{host}:")
        assert sink._server.server_address[0] == address  # noqa: SLF001 - a connection from elsewhere is not possible here
        sink.close()

"""Sources of tests for separate pytest runs, and a function that runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.server import Listening

ROOT = Path(__file__).parent.parent
FACE = ROOT / "fixtures" / "faces" / "ok-frontal.jpg"

PAYING = f"""
import httpx

def test_pays(face_emulator_server):
    with open({str(FACE)!r}, "rb") as photo:
        answer = httpx.post(
            face_emulator_server.base_url + "/facepp/v1/3dface",
            data={{"api_key": "k", "api_secret": "s"}}, files={{"image_file_1": photo}}, timeout=120,
        )
    assert answer.status_code == 200
"""

CREDIT = """
import httpx
import pytest

def credit(emulator, key=None):
    headers = emulator.headers if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.get(emulator.base_url + "/s2s/v1.0/client/credit", headers=headers).status_code
"""

WEBHOOK = f"""
import httpx

def reshape(emulator):
    photo = open({str(FACE)!r}, "rb").read()
    api, headers = emulator.base_url + "/s2s/v2.0", emulator.headers
    new = {{"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(photo)}}
    file = httpx.post(api + "/file", json={{"files": [new]}}, headers=headers).json()["data"]["files"][0]
    upload = file["requests"][0]
    httpx.put(upload["url"], content=photo, headers=upload["headers"]).raise_for_status()
    order = {{"src_file_id": file["file_id"], "version": "1.0", "features": {{"jaw": 1}}, "global": {{}}}}
    return httpx.post(api + "/task/face-reshape", json=order, headers=headers).json()["data"]["task_id"]
"""

UNMODIFIED = """
import requests
import pytest

SESSION = requests.Session()

def call():
    keys = {"api_key": "k", "api_secret": "s"}
    answer = SESSION.post("https://api-us.faceplusplus.com/facepp/v1/3dface", data=keys)
    return answer.json()["error_message"]
"""


def only_our_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let separate runs load only our plugin and xdist, because loading all plugins takes 1.5 s."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin,face_api_emulator.pytest_plugin")


def run(pytester: pytest.Pytester, server: Listening, *arguments: str) -> pytest.RunResult:
    """Run the tests in the pytester's folder against a running emulator."""
    return pytester.runpytest_subprocess(f"--face-emulator-url={server.base_url}", *arguments)

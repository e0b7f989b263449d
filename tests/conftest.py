"""What many tests stand on: one emulator for the whole session, and pictures of nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from emulator.pipelines.images import encode_jpeg
from emulator.server import Listening, running_server
from emulator.settings import Settings

ROOT = Path(__file__).parent.parent
FACES = ROOT / "fixtures" / "faces"
WARM_UP_SECONDS = 120


@pytest.fixture(scope="session")
def server() -> Iterator[Listening]:
    """An emulator with its defaults, on a real socket."""
    with running_server(Settings()) as listening:
        yield listening


@pytest.fixture(scope="session")
def client(server: Listening) -> Iterator[httpx.Client]:
    """A client of the session's emulator."""
    with httpx.Client(base_url=server.base_url, timeout=WARM_UP_SECONDS) as client:
        yield client


@pytest.fixture(scope="session")
def face_jpeg() -> bytes:
    """A photo of one person, from the front."""
    return (FACES / "ok-frontal.jpg").read_bytes()


@pytest.fixture(scope="session")
def two_faces_jpeg() -> bytes:
    """A photo of two people."""
    return (FACES / "two-faces.jpg").read_bytes()


@pytest.fixture(scope="session")
def landscape_jpeg() -> bytes:
    """A picture of no one: a soft gradient."""
    ramp = np.linspace(0, 255, 400, dtype=np.uint8)
    return encode_jpeg(np.stack(np.broadcast_arrays(ramp, ramp[:, None], np.uint8(90)), axis=-1))

"""Picture faults at every vendor, such as those of a client's preprocessing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from vendor_data import VENDORS, data_of, per_vendor

from emulator.server import Listening
from emulator.web.vendor import Vendor
from emulator.world.faults.effects import PRESETS
from face_api_emulator.client import Client

FACE = (Path(__file__).parent.parent.parent / "fixtures" / "faces" / "ok-frontal.jpg").read_bytes()
UNCHANGING = {"picture-blurred"}
"""Not tested, because the detector decides how much blur hides a face."""

numbers = itertools.count()


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    with Client(server.base_url, f"sk-picture-{next(numbers)}") as control:
        yield control
        control.reset()


CASES = [
    pytest.param(vendor, fault, outcome, id=f"{vendor}-{fault}")
    for vendor in VENDORS
    for fault, outcome in data_of(vendor).PICTURE_FAULTS.items()
]


@per_vendor
def test_every_vendor_documents_the_outcome_of_picture_faults(vendor: Vendor) -> None:
    named = {name for name, effect in PRESETS.items() if effect.picture is not None} - UNCHANGING
    assert set(data_of(vendor.name).PICTURE_FAULTS) == named


@pytest.mark.parametrize(("vendor", "fault", "outcome"), CASES)
def test_a_degraded_picture_leads_to_the_documented_outcome(
    client: httpx.Client, me: Client, vendor: str, fault: str, outcome: str
) -> None:
    rule = me.add_fault({"picture": {"shrink": 0.2}} if fault == "picture-shrunk" else fault, count=1)
    assert data_of(vendor).outcome(client, str(me.credential), FACE) == outcome
    assert rule.id not in {left.id for left in me.faults()}, "the rule did not match"
    # The next picture is unchanged.
    assert data_of(vendor).outcome(client, str(me.credential), FACE) == "success"


def test_swapped_channels_are_seen_in_the_colour_of_the_skin(client: httpx.Client, me: Client) -> None:
    def skin() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        fields = {"token": str(me.credential)}
        answer = client.post("/face_recon/run_pipeline", data=fields, files={"image_bytes": FACE})
        color = bytes.fromhex(answer.json()["result"]["skin"]["color"].removeprefix("#"))
        return np.frombuffer(color, np.uint8).astype(np.int64)

    plain = skin()
    me.add_fault("picture-channels-swapped", count=1)
    assert plain[0] > plain[2] + 20
    np.testing.assert_allclose(skin(), plain[::-1], atol=12)

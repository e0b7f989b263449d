"""Every test face leads to the documented outcome at every vendor."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from vendor_data import FACES, ROOT, data_of, is_shipped, ledger_of, per_vendor

from emulator.face.synthetic.named import NAMED_FACES
from emulator.pipelines.faces import UnknownFace, named_face
from emulator.web.vendor import Vendor

SUCCESS = "success"

ROW = re.compile(
    r"^\| `(?P<name>[\w-]+)` \| (?P<shows>.+?) \| (?P<faceplusplus>.+?) \| (?P<metahuman>.+?) "
    r"\| (?P<perfectcorp>.+?) \|$",
    re.MULTILINE,
)
TABLE = {row["name"]: row for row in ROW.finditer((ROOT / "docs" / "test-faces.md").read_text())}


OUTCOME = re.compile(r"^\| `(?P<face>[\w-]+)` \| (?P<outcome>`.+?`) \|$", re.MULTILINE)


def outcomes_of(vendor: Vendor) -> dict[str, str]:
    """Return the outcomes of test faces in the vendor's ledger."""
    return {row["face"]: row["outcome"] for row in OUTCOME.finditer(ledger_of(vendor))}


def test_the_table_lists_every_test_face() -> None:
    assert list(TABLE) == list(NAMED_FACES)
    for name, face in NAMED_FACES.items():
        assert TABLE[name]["shows"] == face.shows


@per_vendor
def test_every_vendor_documents_the_outcome_of_every_test_face(vendor: Vendor) -> None:
    assert list(outcomes_of(vendor)) == list(NAMED_FACES)
    if is_shipped(vendor):
        for name, outcome in outcomes_of(vendor).items():
            assert TABLE[name][vendor.name] == outcome.replace(f"`{SUCCESS}`", SUCCESS)


@pytest.mark.parametrize("name", NAMED_FACES)
@per_vendor
def test_a_test_face_always_leads_to_the_documented_outcome(
    client: httpx.Client, vendor: Vendor, name: str
) -> None:
    data = (FACES / f"{name}.jpg").read_bytes()
    assert f"`{data_of(vendor.name).outcome(client, 'k', data)}`" == outcomes_of(vendor)[name]


def answered(client: httpx.Client, name: str) -> dict[str, Any]:
    """Return MetaHuman's result for a test face."""
    data = (FACES / f"{name}.jpg").read_bytes()
    answer = client.post(
        "/face_recon/run_pipeline", data={"token": "t"}, files={"image_bytes": ("face.jpg", data)}
    )
    result: dict[str, Any] = answer.json()["result"]
    return result


def attributes_of(name: str) -> list[dict[str, Any]]:
    """Return the true attributes of each person in a test face."""
    truth = (FACES / f"{name}.json").read_text()
    return [face["attributes"] for face in json.loads(truth)["faces"]]


# MetaHuman describes an arbitrary one of several people, and 120 pixels show no strands of hair.
ALONE = [
    name
    for name in NAMED_FACES
    if TABLE[name]["metahuman"] == SUCCESS and len(attributes_of(name)) == 1 and name != "too-few-pixels"
]


@pytest.mark.parametrize("name", ALONE)
def test_hair_and_glasses_in_a_response_match_the_test_face(client: httpx.Client, name: str) -> None:
    (truth,) = attributes_of(name)
    result = answered(client, name)
    assert result["hair"]["type"] == truth["hair_type"]
    assert result["accessories"] == (["glasses"] if truth["glasses"] else [])


def test_a_person_has_the_same_gender_with_both_kinds_of_hair(client: httpx.Client) -> None:
    names = ("long-hair", "ponytail")
    genders = {attributes_of(name)[0]["gender"].capitalize() for name in names}
    assert len(genders) == 1
    assert {answered(client, name)["gender"] for name in names} == genders


@pytest.mark.parametrize("name", ["two-faces", "no-face", "corrupt"])
def test_the_command_reproduces_the_fixtures_on_every_processor(tmp_path: Path, name: str) -> None:
    # In a separate process, because numpy uses all features of the processor in this one.
    command = [sys.executable, "-m", "emulator", "faces", "--name", name, "-o", str(tmp_path / f"{name}.jpg")]
    subprocess.run(command, check=True)  # noqa: S603 - the emulator's own command
    for file in (f"{name}.jpg", f"{name}.json"):
        assert (FACES / file).read_bytes() == (tmp_path / file).read_bytes()


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownFace, match="ok-frontal"):
        named_face("mona-lisa")

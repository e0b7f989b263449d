"""The emulator's responses match the golden samples of every vendor."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from vendor_data import VENDORS, per_vendor

from emulator.backends.queue.pool import WorkerPool
from emulator.drift.comparison import differences
from emulator.drift.exchange import Side, play
from emulator.drift.samples import Sample, golden_folder, read_samples
from emulator.web.vendor import Vendor

SAMPLES = [
    pytest.param(sample, id=f"{vendor.name}/{name}")
    for vendor in VENDORS.values()
    for name, sample in read_samples(golden_folder(vendor)).items()
]


def _load() -> ModuleType:
    path = Path(__file__).parent.parent.parent / "fixtures" / "golden.py"
    spec = importlib.util.spec_from_file_location("golden", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = _load()


@pytest.fixture(scope="module")
def emulated(workers: WorkerPool) -> Iterator[Side]:
    with golden.emulator_for_samples(workers) as side:
        yield side


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_gets_its_recorded_response(emulated: Side, sample: Sample) -> None:
    answers = play(sample, emulated).answers
    for number, (step, answer) in enumerate(zip(sample.steps, answers, strict=True)):
        assert list(differences(step.response, answer)) == [], f"step {number}"


@per_vendor
def test_every_vendor_has_samples_of_success_and_failure(vendor: Vendor) -> None:
    samples = read_samples(golden_folder(vendor)).values()
    statuses = {step.response["status"] for sample in samples for step in sample.steps}
    assert 200 in statuses
    assert len(statuses) >= 2


@per_vendor
def test_samples_use_the_credential_of_the_vendor_and_existing_settings(
    vendor: Vendor,
) -> None:
    samples = read_samples(golden_folder(vendor)).values()
    assert {tuple(sample.credential) for sample in samples if sample.credential} == {vendor.credential}
    named = {name for sample in samples for step in sample.steps for name in step.settings.values()}
    assert named <= set(vendor.settings_model.model_fields)


def test_recording_a_sample_again_changes_nothing(emulated: Side, tmp_path: Path) -> None:
    """This checks only samples without ids, because ids continue from the samples that were sent above."""
    for vendor in VENDORS.values():
        for file in golden_folder(vendor).iterdir():
            if file.name in {"missing-credentials.json", "missing-token.json", "unknown.json"}:
                (tmp_path / file.name).write_text(file.read_text())
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert len(before) == 3
    golden.record(tmp_path, emulated)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before

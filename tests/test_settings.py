from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import SecretStr, ValidationError
from vendor_data import VENDORS, data_of

import emulator
from emulator.backends.drivers import DriverMissing
from emulator.emulation import clock_of
from emulator.settings import Settings

DATABASE = "postgresql://me:a-secret@127.0.0.1:1/none"


def _literals(annotation: Any) -> list[Any]:
    """Return the literal values that an annotation allows."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    is_union = get_origin(annotation) in {Union, UnionType}
    return [value for part in get_args(annotation) for value in _literals(part)] if is_union else []


def test_environment_variables_set_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_EMULATOR_SEED", "7")
    monkeypatch.setenv("FACE_EMULATOR_CLOCK", "2026-01-01T00:00:00Z")
    monkeypatch.setenv("FACE_EMULATOR_CREDENTIALS", '{"a": "valid", "b:c": "revoked"}')
    monkeypatch.setenv("FACE_EMULATOR_STRICT", "true")
    monkeypatch.setenv("FACE_EMULATOR_VENDORS__METAHUMAN__TEXTURE_SIZE", "512")
    settings = Settings()
    assert settings.seed == 7
    assert settings.clock == datetime(2026, 1, 1, tzinfo=UTC)
    assert settings.credentials == {"a": "valid", "b:c": "revoked"}
    assert settings.strict
    assert settings.vendors == {"metahuman": {"texture_size": "512"}}


SETTINGS = {vendor: data_of(vendor).SETTINGS for vendor in VENDORS}
OF_VENDORS = [
    *((vendor, name, value) for vendor, given in SETTINGS.items() for name, value in given.items()),
    *(
        (vendor.name, name, value)
        for vendor in VENDORS.values()
        for name, field in vendor.settings_model.model_fields.items()
        for value in _literals(field.annotation)
    ),
]


def test_null_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_EMULATOR_RETENTION_DAYS", "null")
    assert Settings().retention_days is None


def test_the_test_data_has_a_value_for_every_vendor_setting() -> None:
    assert {vendor.name: set(vendor.settings_model.model_fields) for vendor in VENDORS.values()} == {
        name: set(given) for name, given in SETTINGS.items()
    }
    for vendor in VENDORS.values():
        default = vendor.settings_model().model_dump(mode="json")
        assert [name for name, value in SETTINGS[vendor.name].items() if value == default[name]] == []


@pytest.mark.parametrize(("vendor", "name", "value"), OF_VENDORS, ids=str)
def test_every_vendor_setting_has_an_environment_variable(
    monkeypatch: pytest.MonkeyPatch, vendor: str, name: str, value: Any
) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv(f"FACE_EMULATOR_VENDORS__{vendor.upper()}__{name.upper()}", text)
    model = VENDORS[vendor].settings_model
    found = model.model_validate(Settings().vendors[vendor])
    assert found.model_dump(mode="json") == {**model().model_dump(mode="json"), name: value}
    emulator.create_app()


def test_a_datetime_freezes_the_clock() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert clock_of(Settings(clock=moment)).now() == moment.timestamp()


def test_an_invalid_value_prevents_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_EMULATOR_WORKERS", "0")
    with pytest.raises(ValidationError, match="workers"):
        Settings()


def test_an_unknown_vendor_prevents_the_start() -> None:
    with pytest.raises(ValueError, match="unknown vendors: facebook; the vendors are faceplusplus"):
        emulator.create_app(Settings(vendors={"facebook": {"texture_size": 1}}))


def test_an_unknown_vendor_setting_prevents_the_start() -> None:
    with pytest.raises(ValidationError, match="texture_sise"):
        emulator.create_app(Settings(vendors={"metahuman": {"texture_sise": 1}}))


def test_a_wording_for_an_unknown_error_prevents_the_start() -> None:
    with pytest.raises(ValueError, match="metahuman has no error named TYPO"):
        emulator.create_app(Settings(vendors={"metahuman": {"errors": {"TYPO": {"status": 400}}}}))


@pytest.mark.parametrize("text", ["{oops}", "{", "}"])
def test_a_wording_with_invalid_placeholders_prevents_the_start(text: str) -> None:
    wording = {"API_NOT_FOUND": {"text": text}}
    with pytest.raises(ValueError, match=r"oops|[Ss]ingle|expected"):
        emulator.create_app(Settings(vendors={"faceplusplus": {"errors": wording}}))


def test_a_database_needs_an_object_store() -> None:
    with pytest.raises(ValueError, match="FACE_EMULATOR_DATABASE_URL needs FACE_EMULATOR_BLOBS_URL"):
        emulator.create_app(Settings(database_url=SecretStr(DATABASE)))


def test_a_database_needs_its_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("emulator.backends.records.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DriverMissing) as caught:
        emulator.create_app(Settings(database_url=SecretStr(DATABASE), blobs_url=tmp_path.as_uri()))
    assert str(caught.value) == (
        "FACE_EMULATOR_DATABASE_URL needs the package psycopg, which is not installed; "
        'run `pip install "face-api-emulator[scale]"`'
    )


def test_the_password_of_the_database_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_EMULATOR_DATABASE_URL", DATABASE)
    settings = Settings()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == DATABASE
    assert "a-secret" not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.model_dump()}"
    monkeypatch.setenv("FACE_EMULATOR_SEED", "x")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "a-secret" not in str(caught.value)


def test_a_datetime_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_EMULATOR_CLOCK", "2026-01-01T00:00:00")
    assert clock_of(Settings()).now() == datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_the_package_exports_its_public_names() -> None:
    assert sorted(emulator.__all__) == ["Settings", "__version__", "create_app"]
    assert emulator.Settings is Settings
    with pytest.raises(AttributeError, match="no attribute 'create_application'"):
        _ = emulator.create_application


def test_an_empty_address_of_a_store_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BLOBS_URL"):
        monkeypatch.setenv(f"FACE_EMULATOR_{name}", "")
    settings = Settings()
    assert (settings.database_url, settings.blobs_url) == (None, None)

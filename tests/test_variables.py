from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from emulator.app import create_app
from emulator.settings import Settings
from emulator.variables import NESTED, OPTIONS, refusals, strange_variables, variables
from emulator.web.vendor import discover_vendors

VENDORS = discover_vendors(Settings().vendor_packages)
OF_VENDORS = "FACE_EMULATOR_VENDORS__"


def test_what_is_a_setting_or_no_business_of_ours_is_not_strange() -> None:
    others = ("PATH", "MY_FACE_EMULATOR_SEED", "FACE_EMULATOR", "FACE_DRIFT_KEY")
    for_clients = ("FACE_EMULATOR_URL", "FACE_EMULATOR_CREDENTIAL", "FACE_EMULATOR_WEBHOOK_SECRET")
    members = ("FACE_EMULATOR_PROGRESSION__MODE", "FACE_EMULATOR_CREDENTIALS__ME", "face_emulator_seed")
    assert strange_variables((*variables(VENDORS), *others, *for_clients, *members), VENDORS) == []


def test_members_have_variables_where_a_setting_has_members(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frozenset({"CREDENTIALS", "PROGRESSION", "VENDORS"}) == NESTED
    monkeypatch.setenv("FACE_EMULATOR_CREDENTIALS__ME", "revoked")
    monkeypatch.setenv("FACE_EMULATOR_PROGRESSION__MODE", "manual")
    monkeypatch.setenv("FACE_EMULATOR_VENDORS__METAHUMAN__GENDER", "male")
    settings = Settings()
    assert settings.credentials == {"me": "revoked"}
    assert settings.progression.mode == "manual"
    assert settings.vendors == {"metahuman": {"gender": "male"}}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("FACE_EMULATOR_SEDE", "do you mean FACE_EMULATOR_SEED?"),
        ("face_emulator_sede", "do you mean FACE_EMULATOR_SEED?"),
        ("FACE_EMULATOR_CONTROL__PORT", "do you mean FACE_EMULATOR_CONTROL_PORT?"),
        ("FACE_EMULATOR_METAHUMAN__GENDER", f"do you mean {OF_VENDORS}METAHUMAN__GENDER?"),
        ("FACE_EMULATOR_VENDOR__PERFECTCORP__UNITS", f"do you mean {OF_VENDORS}PERFECTCORP__UNITS?"),
        (
            "FACE_EMULATOR_TEXTURE_SIZE",
            f"do you mean {OF_VENDORS}FACEPLUSPLUS__TEXTURE_SIZE or {OF_VENDORS}METAHUMAN__TEXTURE_SIZE?",
        ),
        ("FACE_EMULATOR_PORT", "the option --port of `face-emulator serve` is"),
        ("FACE_EMULATOR_LOG_LEVEL", "the README lists those that there are"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(name: str, advice: str) -> None:
    assert strange_variables([name], VENDORS) == [f"{name} is no setting, and changes nothing; {advice}"]


def test_no_setting_is_an_option() -> None:
    assert not OPTIONS.keys() & set(variables(VENDORS))


def test_every_start_tells_of_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("FACE_EMULATOR_SEDE", "7")
    with caplog.at_level(logging.WARNING):
        create_app()
    assert caplog.messages == strange_variables(["FACE_EMULATOR_SEDE"], VENDORS)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SEED", "lucky", ": input should be a valid integer, unable to parse string as an integer, not"),
        ("PROGRESSION", "immediate", " is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ("CLOCK", "soon", ": input should be 'system', not 'soon', or datetime: input should be a valid"),
        ("CREDENTIALS__ME", "dead", "S: me: input should be 'valid', 'revoked', 'expired', 'restricted', "),
        ("VENDORS__METAHUMAN__GENDR", "male", f" is no setting; do you mean {OF_VENDORS}METAHUMAN__GENDER?"),
        ("VENDORS__METAHUMAN__GENDER", "any", ": input should be 'female' or 'male', not 'any'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"FACE_EMULATOR_{name}", value)
    with pytest.raises(ValueError, match="error") as caught:
        create_app()
    assert isinstance(caught.value, ValidationError | SettingsError)
    (said,) = refusals(caught.value, VENDORS)
    assert said.startswith(f"FACE_EMULATOR_{name.removesuffix('S__ME')}{sentence}")

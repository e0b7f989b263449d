from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from emulator.app import create_app
from emulator.settings import Settings
from emulator.variables import NESTED, OPTIONS, refusals, unknown_variables, variables
from emulator.web.vendor import discover_vendors

VENDORS = discover_vendors(Settings().vendor_packages)
OF_VENDORS = "FACE_EMULATOR_VENDORS__"


def test_known_and_unrelated_variables_are_not_reported() -> None:
    others = ("PATH", "MY_FACE_EMULATOR_SEED", "FACE_EMULATOR", "FACE_DRIFT_KEY")
    for_clients = ("FACE_EMULATOR_URL", "FACE_EMULATOR_CREDENTIAL", "FACE_EMULATOR_WEBHOOK_SECRET")
    members = ("FACE_EMULATOR_PROGRESSION__MODE", "FACE_EMULATOR_CREDENTIALS__ME", "face_emulator_seed")
    assert unknown_variables((*variables(VENDORS), *others, *for_clients, *members), VENDORS) == []


def test_nested_settings_have_a_variable_for_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
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
        ("FACE_EMULATOR_SEDE", "did you mean FACE_EMULATOR_SEED?"),
        ("face_emulator_sede", "did you mean FACE_EMULATOR_SEED?"),
        ("FACE_EMULATOR_CONTROL__PORT", "did you mean FACE_EMULATOR_CONTROL_PORT?"),
        ("FACE_EMULATOR_METAHUMAN__GENDER", f"did you mean {OF_VENDORS}METAHUMAN__GENDER?"),
        ("FACE_EMULATOR_VENDOR__PERFECTCORP__UNITS", f"did you mean {OF_VENDORS}PERFECTCORP__UNITS?"),
        (
            "FACE_EMULATOR_TEXTURE_SIZE",
            f"did you mean {OF_VENDORS}FACEPLUSPLUS__TEXTURE_SIZE or {OF_VENDORS}METAHUMAN__TEXTURE_SIZE?",
        ),
        ("FACE_EMULATOR_PORT", "use the option --port of `face-emulator serve`"),
        ("FACE_EMULATOR_LOG_LEVEL", "the documentation lists all settings"),
    ],
)
def test_a_misspelled_variable_is_reported_with_the_closest_match(name: str, advice: str) -> None:
    assert unknown_variables([name], VENDORS) == [f"{name} is not a setting and has no effect; {advice}"]


def test_no_setting_has_the_name_of_a_command_line_option() -> None:
    assert not OPTIONS.keys() & set(variables(VENDORS))


def test_create_app_warns_about_misspelled_variables(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FACE_EMULATOR_SEDE", "7")
    with caplog.at_level(logging.WARNING):
        create_app()
    assert caplog.messages == unknown_variables(["FACE_EMULATOR_SEDE"], VENDORS)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SEED", "lucky", ": input should be a valid integer, unable to parse string as an integer, not"),
        ("PROGRESSION", "immediate", " is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ("CLOCK", "soon", ": input should be 'system', not 'soon', or datetime: input should be a valid"),
        ("CREDENTIALS__ME", "dead", "S: me: input should be 'valid', 'revoked', 'expired', 'restricted', "),
        ("VENDORS__METAHUMAN__GENDR", "male", f" is not a setting; did you mean {OF_VENDORS}METAHUMAN__G"),
        ("VENDORS__METAHUMAN__GENDER", "any", ": input should be 'female' or 'male', not 'any'"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_reported_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"FACE_EMULATOR_{name}", value)
    with pytest.raises(ValueError, match="error") as caught:
        create_app()
    assert isinstance(caught.value, ValidationError | SettingsError)
    (said,) = refusals(caught.value, VENDORS)
    assert said.startswith(f"FACE_EMULATOR_{name.removesuffix('S__ME')}{sentence}")

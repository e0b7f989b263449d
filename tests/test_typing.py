"""The marks that make type checkers read the annotations of the packages (PEP 561)."""

from __future__ import annotations

from importlib.resources import files

import pytest


@pytest.mark.parametrize("package", ["emulator", "face_api_emulator"])
def test_a_package_is_typed_for_its_users(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()

"""The licences of all packages that the emulator needs at run time, and that its image therefore contains."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

PERMISSIVE = {
    "3-Clause BSD License", "Apache 2.0", "Apache Software License", "Apache-2.0", "BSD License",
    "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT License", "MIT-0", "MIT-CMU", "PSF-2.0",
    "Python Software Foundation License",
}  # fmt: skip
"""Licences that only require their text to be passed on."""

WEAK = {
    "certifi": (
        {"MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"},
        "a list of certificates, which is not changed",
    ),
    "pi-heif-decoder": (
        {"GNU Lesser General Public License v3 (LGPLv3)"},
        "libheif and libde265 are libraries of their own in the wheel, which users can replace",
    ),
    **dict.fromkeys(
        ("psycopg", "psycopg-binary", "psycopg-pool"),
        ({"LGPL-3.0-only"}, "a package of its own, which is not changed, and which users can replace"),
    ),
}
"""Packages with further licences that are allowed, and why. They do not extend to the emulator's code."""

GPL_LIBRARIES = re.compile(r"lib(x264|x265|xvidcore|postproc|kvazaar|rubberband)[-.]")
"""Shared libraries with the GPL, which wheels can contain without naming them in their metadata."""

FORBIDDEN = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)


def runtime_distributions() -> list[metadata.Distribution]:
    """Return the distributions that the client and the extras ``server`` and ``scale`` need."""
    found: dict[str, metadata.Distribution] = {}
    extras: dict[str, set[str]] = {}
    of_extras = PROJECT["optional-dependencies"]
    wanted = [
        Requirement(text) for text in (*PROJECT["dependencies"], *of_extras["server"], *of_extras["scale"])
    ]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found and requirement.extras <= extras[name]:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # pyproject.toml leaves out some dependencies of MediaPipe
        extras.setdefault(name, set()).update(requirement.extras)
        for text in found[name].requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras[name] | {""}
            ):
                wanted.append(needed)
    return list(found.values())


def licences_of(distribution: metadata.Distribution) -> set[str]:
    """Return the licences that a distribution declares: its SPDX expression, its classifiers or its field."""
    declared: Any = distribution.metadata  # its type lacks ``get``
    expression = declared.get("License-Expression")
    if expression:
        return {each.strip("() ") for each in re.split(r" (?:AND|OR|WITH) ", expression)}
    classifiers = declared.get_all("Classifier") or []
    found = {each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")}
    field = (declared.get("License") or "").strip()
    if "\n" not in field and 0 < len(field) < 60:
        found |= {each.strip("() ") for each in re.split(r" (?:AND|OR|WITH) ", field)}
    # Neither is a licence. A package with two of them names both in its classifiers.
    return {each for each in found if each not in {"Dual License", "OSI Approved", ""}}


DISTRIBUTIONS = runtime_distributions()
NAMES = [canonicalize_name(each.metadata["Name"]) for each in DISTRIBUTIONS]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)
def test_the_licences_of_a_runtime_dependency_are_allowed(distribution: metadata.Distribution) -> None:
    name = canonicalize_name(distribution.metadata["Name"])
    licences = licences_of(distribution)
    assert licences, "it declares no licence"
    allowed, _ = WEAK.get(name, (set(), ""))
    assert licences <= PERMISSIVE | allowed
    assert not [each for each in licences - allowed if FORBIDDEN.search(each)]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)
def test_no_runtime_dependency_contains_a_library_with_the_gpl(distribution: metadata.Distribution) -> None:
    files = [file.name for file in distribution.files or ()]
    assert not [name for name in files if GPL_LIBRARIES.match(name)]


def test_the_dependencies_of_the_server_are_found() -> None:
    assert {"pillow", "pi-heif-decoder", "mediapipe", "uvicorn", "starlette", "obstore"} <= set(NAMES)
    assert "pillow-heif" not in NAMES


def test_exceptions_are_made_for_runtime_dependencies_only() -> None:
    assert set(WEAK) <= set(NAMES)

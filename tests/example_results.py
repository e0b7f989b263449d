"""The files that the programs of ``examples/`` write, and how tests run the programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from example_programs import TOOLS, URLS, missing
from PIL import Image
from trimesh.visual import TextureVisuals

FACES = Path(__file__).parent.parent / "fixtures" / "faces"
FILES = {
    "faceplusplus": ("face.obj", "face.mtl", "tex.jpg"),
    "metahuman": ("metahuman.json", "texture.png"),
    "perfectcorp": ("reshaped.jpg",),
}

each_language = pytest.mark.parametrize("language", TOOLS)
"""Each test runs all programs of a language at once, because they wait more than they compute."""


def needs(language: str) -> None:
    reason = missing(language)
    if reason is not None:
        pytest.skip(reason)


def variables(url: str, key: str) -> dict[str, str | None]:
    """Return the environment of a program. Without proxies, because the base URL is on this machine."""
    return {
        **dict.fromkeys(URLS, url),
        **dict.fromkeys(("FACEPLUSPLUS_API_KEY", "METAHUMAN_TOKEN", "PERFECTCORP_KEY"), key),
        "FACEPLUSPLUS_API_SECRET": "s",
        **dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")),
    }


def check_files(vendor: str, folder: Path, expected: Mapping[str, bytes]) -> None:
    """Check the files that a program has written."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES[vendor])
    if vendor == "faceplusplus":
        mesh = trimesh.load_mesh(folder / "face.obj", process=False, maintain_order=True)
        assert (len(mesh.vertices), len(mesh.faces)) == (2265, 4456)
        # The OBJ finds the MTL by its name, and the MTL the texture.
        assert isinstance(mesh.visual, TextureVisuals)
        assert mesh.visual.material.image.size == (1024, 1024)
    if vendor == "metahuman":
        result, right = (
            _described(text)
            for text in ((folder / FILES[vendor][0]).read_bytes(), expected["metahuman.json"])
        )
        assert len(result["face"]["blendShapes"]) == 80
        assert result == right
    if vendor == "perfectcorp":
        before, after = (
            np.asarray(Image.open(path)) for path in (FACES / "ok-frontal.jpg", folder / "reshaped.jpg")
        )
        assert after.shape == before.shape == (640, 640, 3)
        assert np.abs(after.astype(int) - before).mean() > 1
    for name in FILES[vendor]:
        if name != "metahuman.json":
            assert (folder / name).read_bytes() == expected[name], name


def _described(text: bytes) -> dict[str, Any]:
    """Return a description of a head without the path of the texture, which differs in each call."""
    result: dict[str, Any] = json.loads(text)["result"]
    del result["face"]["textureUrl"]
    return result

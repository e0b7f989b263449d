"""Downloads of textures."""

from __future__ import annotations

import hashlib
import io
import re
from typing import Any

import httpx
from PIL import Image as PillowImage

KEPT = "public, max-age=31536000, immutable"


def test_the_texture_downloads_under_both_prefixes(client: httpx.Client, result: dict[str, Any]) -> None:
    url = result["face"]["textureUrl"]
    assert re.fullmatch(r"/static/input_image_[0-9a-f]{16}_texture\.png", url)
    direct, prefixed = client.get(url), client.get(f"/face_recon{url}")
    assert direct.status_code == prefixed.status_code == 200
    assert direct.headers["content-type"] == prefixed.headers["content-type"] == "image/png"
    assert direct.content == prefixed.content
    assert len(direct.content) < 2_000_000
    with PillowImage.open(io.BytesIO(direct.content)) as texture:
        assert (texture.format, texture.mode, texture.size) == ("PNG", "RGB", (768, 768))


def test_the_journal_has_the_digest_of_a_texture(client: httpx.Client, result: dict[str, Any]) -> None:
    url = result["face"]["textureUrl"]
    content = client.get(url).content
    digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    answers = [
        call["answer"]
        for call in client.get("/_emulator/calls", params={"operation": "static"}).json()["calls"]
        if (call["path"], call["method"]) == (url, "GET") and call["status"] == 200
    ]
    assert answers
    assert all(answer == {"kind": "binary", **digest, "content_type": "image/png"} for answer in answers)


def test_a_texture_can_be_cached_and_revalidated(client: httpx.Client, result: dict[str, Any]) -> None:
    url = result["face"]["textureUrl"]
    first = client.get(url)
    assert first.headers["cache-control"] == KEPT
    assert re.fullmatch('"[0-9a-f]{32}"', first.headers["etag"])
    again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["cache-control"]) == (first.headers["etag"], KEPT)
    changed = client.get(url, headers={"If-None-Match": '"another"'})
    assert (changed.status_code, changed.content) == (200, first.content)
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == first.headers[name]
    assert head.headers["content-length"] == str(len(first.content))

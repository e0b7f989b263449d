from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

import pytest

from emulator.web.digests import INLINE_BYTES, digest_of, md5_of


@pytest.mark.parametrize("size", [0, INLINE_BYTES, INLINE_BYTES + 1])
def test_only_long_data_is_hashed_in_another_thread(size: int) -> None:
    threads: list[int] = []

    def noted(data: bytes) -> Any:
        threads.append(threading.get_ident())
        return hashlib.md5(data, usedforsecurity=False)

    digest = asyncio.run(digest_of(bytes(size), noted))
    assert digest.digest() == hashlib.md5(bytes(size), usedforsecurity=False).digest()
    assert (threads == [threading.get_ident()]) is (size <= INLINE_BYTES)
    assert len(threads) == 1


def test_md5_is_that_of_the_standard_library() -> None:
    assert asyncio.run(md5_of(b"a")).hexdigest() == "0cc175b9c0f1b6a831c399e269772661"

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emulator.ids import SeededIds


def make_ids(seed: int) -> SeededIds:
    counts: Counter[tuple[str, str]] = Counter()

    async def count_up(name: str, credential: str, by: int) -> int:
        counts[name, credential] += by
        return counts[name, credential]

    return SeededIds(seed, count_up)


def draw(ids: SeededIds, credential: str, kind: str, times: int) -> list[bytes]:
    async def run() -> list[bytes]:
        return [await ids.draw(credential, kind, 48) for _ in range(times)]

    return asyncio.run(run())


@given(seed=st.integers(), credential=st.text(), kind=st.text())
def test_the_same_seed_gives_the_same_unique_ids(seed: int, credential: str, kind: str) -> None:
    first, again = draw(make_ids(seed), credential, kind, 5), draw(make_ids(seed), credential, kind, 5)
    assert first == again
    assert len(set(first)) == 5
    assert {len(drawn) for drawn in first} == {48}


def test_the_ids_of_a_credential_do_not_depend_on_other_credentials() -> None:
    quiet, busy = make_ids(0), make_ids(0)
    draw(busy, "somebody else", "task", 3)
    assert draw(quiet, "me", "task", 2) == draw(busy, "me", "task", 2)


def test_ids_differ_by_seed_credential_and_kind() -> None:
    drawn = [
        draw(make_ids(seed), credential, kind, 1)[0]
        for seed in (0, 1)
        for credential in ("a", "b")
        for kind in ("task", "file")
    ]
    assert len(set(drawn)) == 8


def test_draw_uuid4_returns_a_version_4_uuid() -> None:
    drawn = asyncio.run(make_ids(0).draw_uuid4("me", "request"))
    assert (drawn.version, drawn.variant) == (4, "specified in RFC 4122")


def test_a_secret_depends_only_on_seed_and_purpose() -> None:
    assert make_ids(3).secret("presign") == make_ids(3).secret("presign")
    assert len({make_ids(3).secret("a"), make_ids(3).secret("b"), make_ids(4).secret("a")}) == 3

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from emulator.backends.shares import FairShare


@given(
    total=st.integers(1, 6),
    most=st.integers(1, 6),
    takers=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 7), st.integers(0, 3), st.booleans()), max_size=20
    ),
)
def test_the_limits_hold_and_every_taker_is_served(
    total: int, most: int, takers: list[tuple[str, int, int, bool]]
) -> None:
    """Some takers are cancelled while they wait or while they hold something."""

    async def run() -> None:
        share = FairShare(total, most)
        taken: dict[str, int] = dict.fromkeys("abc", 0)

        async def use(key: str, amount: int, turns: int) -> None:
            got = await share.take(key, amount)
            try:
                assert got == min(amount, most, total)
                taken[key] += got
                assert taken[key] <= most
                assert sum(taken.values()) <= total
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                taken[key] -= got
                share.give(key, got)

        users = [asyncio.create_task(use(*taker[:3])) for taker in takers]
        await asyncio.sleep(0)
        for user, taker in zip(users, takers, strict=True):
            if taker[3]:
                user.cancel()
                await asyncio.sleep(0)
        ended = await asyncio.wait_for(asyncio.gather(*users, return_exceptions=True), 10)
        assert not [each for each in ended if isinstance(each, AssertionError)]
        assert await asyncio.wait_for(share.take("d", total), 10) == min(most, total)

    asyncio.run(run())


def test_keys_are_served_in_turn() -> None:
    async def run() -> list[str]:
        share = FairShare(1, 1)
        served: list[str] = []

        async def use(key: str) -> None:
            async with share.turn(key):
                served.append(key)
                await asyncio.sleep(0)

        await asyncio.gather(*map(use, "aaaabbc"))
        return served

    assert "".join(asyncio.run(run())) == "aabcaba"  # the first taker is served before all others


def test_a_large_amount_is_not_passed_for_ever_by_small_ones() -> None:
    async def run() -> list[str]:
        share = FairShare(4, 4)
        served: list[str] = []
        await share.take("a", 2)
        large = asyncio.create_task(share.take("large", 4))
        await asyncio.sleep(0)
        small = asyncio.create_task(share.take("small", 1))
        await asyncio.sleep(0)
        large.add_done_callback(lambda _: served.append("large"))
        small.add_done_callback(lambda _: served.append("small"))
        share.give("a", 2)
        await large
        share.give("large", 4)
        await small
        return served

    assert asyncio.run(run()) == ["large", "small"]

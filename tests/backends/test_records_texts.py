"""Which texts and documents every adapter of Records can store and find."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import hypothesis
from hypothesis import strategies as st

from emulator.backends.records import (
    Counter,
    Document,
    Put,
    Records,
)

R = TypeVar("R")
Use = Callable[[Callable[[Records], Awaitable[R]]], R]


async def everything_in(records: Records) -> list[Document | Counter]:
    return [entry async for entry in records.export()]


def test_find_returns_documents_in_which_a_member_is_not_set(use: Use[None]) -> None:
    documents: list[dict[str, object]] = [
        {},
        {"end": None},
        {"end": 0},
        {"end": False},
        {"end": ""},
        {"deep": {"end": 1}},
        {"text": 'the "end": null\n"end"\n', "end": 1},
        {"text": "\0", "bent": '"\n'},
        {"ends": 1, '"end"': 1, "\nend\n": 1},
    ]

    async def scenario(records: Records) -> None:
        for number, document in enumerate(documents):
            await records.create("task", str(number), "me", document)
        found = [each.document for each in await records.find("task", "me", unset="end")]
        assert found == [each for each in documents if each.get("end") is None]
        (last,) = await records.find("task", unset="end", after=8)
        await records.replace("task", last, {"end": 1})
        assert await records.find("task", unset="end", after=8) == []

    use(scenario)


def test_counters_are_found_by_prefix_and_credential(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        names = ["cost/a", "cost/b", "cos", "cost%", "Cost/a", "cost", "", "\0", "cost/" + "x" * 3000]
        for credential in ("you", "", "me"):
            for number, name in enumerate(names):
                assert await records.count_up(name, credential, number) == number
        for prefix in ["", "cost", "cost/", "cost%", "\0", "d", "cost/" + "x" * 2999]:
            for whose in (None, "", "me", "nobody"):
                assert await records.counters(prefix, whose) == [
                    Counter(name, credential, names.index(name))
                    for name in sorted(names)
                    for credential in ("", "me", "you")
                    if name.startswith(prefix) and whose in {None, credential}
                ]

    use(scenario)


def test_credentials_are_compared_literally(use: Use[None]) -> None:
    credentials = ["me", "ME", "me\0you", "m%", "'; DELETE FROM records; --", "\u00e4", "a\u0308"]

    async def scenario(records: Records) -> None:
        for credential in credentials:
            await records.create("task", credential, credential, {})
            await records.count_up("a", credential)
        for done, credential in enumerate(credentials, start=1):
            await records.forget(credential)
            assert [entry.credential for entry in await everything_in(records)] == [
                *credentials[done:],
                *sorted(credentials[done:], key=str.encode),
            ]

    use(scenario)


LONG = ["a" * 3000, "a" * 3001, "\u00e4" * 2000]
CONTROLS = ["\0", "\0\0", "\x01", "\x01\x01", "\x01\x02", "\x01\x03", "\0\x01"]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from([*LONG, *CONTROLS])


async def for_all(examples: st.SearchStrategy[R], check: Callable[[R], Awaitable[None]]) -> None:
    """Call ``check`` with examples, one after another."""
    loop = asyncio.get_running_loop()

    @hypothesis.settings(max_examples=40)
    @hypothesis.given(examples)
    def run(example: R) -> None:
        async def checked() -> None:
            await check(example)

        asyncio.run_coroutine_threadsafe(checked(), loop).result()

    await asyncio.to_thread(run)


def test_every_text_can_be_a_key_a_credential_or_a_name(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        async def check(given: set[str]) -> None:
            await records.forget(None)
            made = {
                (key, credential): await records.create("task", key, credential, {key: credential})
                for key, credential in zip(given, sorted(given), strict=True)
            }
            for (key, credential), record in made.items():
                assert await records.get("task", key) == record
                assert await records.find("task", credential) == [record]
                assert await records.count_up(key, credential) == 1
            assert await everything_in(records) == [
                *(Document("task", key, credential, {key: credential}) for key, credential in made),
                *(Counter(name, credential, 1) for name, credential in sorted(made)),
            ]

        await for_all(st.sets(texts, min_size=1, max_size=4), check)

    use(scenario)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=6,
)


def test_every_document_is_returned_as_it_was_stored(use: Use[None]) -> None:
    """With every character, the order of members, and every number."""

    async def scenario(records: Records) -> None:
        async def check(document: dict[str, Any]) -> None:
            await records.put("task", "t", "me", document)
            (found,) = await records.find("task")
            assert json.dumps(found.document) == json.dumps(document)
            assert await records.write([Put("task", "u", "me", document)])
            (changed,) = await records.find("task", after=found.serial)
            assert json.dumps(changed.document) == json.dumps(document)
            await records.delete("task", "u")

        await for_all(st.dictionaries(st.text(st.characters()), json_values, max_size=4), check)

    use(scenario)

"""Mutations of snapshots."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 1.5, -1e300, 1e300, 2**53, 2**70, 10**400, "", "x", "succeeded", "[]",
    "\ud800", "a\0b", "1e5", [], [None], ["x"], [[]], {}, {"a": 1}, {"": None}, "http://[", "é" * 300,
)  # fmt: skip
"""Values to put in place of the values of a snapshot."""

RAW = ("NaN", "Infinity", "1e999", "[" * 200 + "]" * 200)
"""JSON texts that Python does not write, to put in place of the values of a snapshot."""

PLACE = "\u2063place\u2063"

Parts = dict[str, bytes]


def parts_of(snapshot: bytes) -> Parts:
    """Return the files in a snapshot."""
    with zipfile.ZipFile(io.BytesIO(snapshot)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Parts) -> bytes:
    """Return a snapshot with these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every member and item of a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in pairs:
        yield (*at, name)
        yield from places(member, (*at, name))


def mutated(parts: Parts, chance: random.Random) -> tuple[Parts, str]:
    """Return a snapshot with one change, and a description of the change."""
    name = chance.choices(["records.jsonl", "blobs.jsonl", "manifest.json", "blob"], [90, 4, 3, 3])[0]
    if name == "blob":
        blob = chance.choice([each for each in parts if each.startswith("blobs/")])
        return {**parts, blob: parts[blob][: chance.randrange(len(parts[blob]) + 1)]}, f"{blob} cut"
    lines = [
        json.loads(line) for line in ([parts[name]] if name.endswith("json") else parts[name].splitlines())
    ]
    number = chance.randrange(len(lines))
    kind = lines[number].get("kind", lines[number].get("name", name))
    moves = list(MOVES) if name != "manifest.json" else ["value", "raw", "delete", "add"]
    move = chance.choice(moves)
    at = chance.choice(list(places(lines[number])))
    text = MOVES[move](lines, number, at, chance)
    changed = "".join(json.dumps(each) + "\n" for each in lines)
    if move == "raw":
        changed = changed.replace(json.dumps(PLACE), text)
    result = {**parts, name: changed.encode()}
    if move in {"drop", "twice"} and chance.random() < 0.9:
        result = counted(result)
    return result, f"{name} {number} ({kind}): {move} {at} {text}"


Lines = list[dict[str, Any]]
At = tuple[Any, ...]


def _holder(line: Any, at: At) -> Any:
    for step in at[:-1]:
        line = line[step]
    return line


def _value(lines: Lines, number: int, at: At, chance: random.Random) -> str:
    value = _holder(lines[number], at)[at[-1]] = chance.choice(VALUES)
    return repr(value)


def _raw(lines: Lines, number: int, at: At, chance: random.Random) -> str:
    _holder(lines[number], at)[at[-1]] = PLACE
    return chance.choice(RAW)


def _delete(lines: Lines, number: int, at: At, _chance: random.Random) -> str:
    del _holder(lines[number], at)[at[-1]]
    return ""


def _add(lines: Lines, number: int, at: At, chance: random.Random) -> str:
    holder, value = _holder(lines[number], at), chance.choice(VALUES)
    if isinstance(holder, list):
        holder.append(value)
    else:
        holder[chance.choice(["x", "event", "id", "kind"])] = value
    return repr(value)


def _drop(lines: Lines, number: int, _at: At, _chance: random.Random) -> str:
    del lines[number]
    return ""


def _twice(lines: Lines, number: int, _at: At, _chance: random.Random) -> str:
    lines.append(lines[number])
    return ""


def _swap(lines: Lines, number: int, _at: At, chance: random.Random) -> str:
    line, other = lines[number], chance.choice(lines)
    member = chance.choice([each for each in line if each in other] or ["credential"])
    line[member], other[member] = other.get(member), line.get(member)
    return member


MOVES: dict[str, Callable[[Lines, int, At, random.Random], str]] = {
    "value": _value,
    "value again": _value,
    "raw": _raw,
    "delete": _delete,
    "add": _add,
    "drop": _drop,
    "twice": _twice,
    "swap": _swap,
}
"""Functions that change one line of a snapshot, and return what the change was."""


def counted(parts: Parts) -> Parts:
    """Return a snapshot with the right numbers in its manifest."""
    records = [json.loads(line) for line in parts["records.jsonl"].splitlines()]
    documents = sum("kind" in each for each in records)
    counts = {"documents": documents, "counters": len(records) - documents}
    manifest = {
        **json.loads(parts["manifest.json"]),
        **counts,
        "blobs": len(parts["blobs.jsonl"].splitlines()),
    }
    return {**parts, "manifest.json": json.dumps(manifest).encode()}

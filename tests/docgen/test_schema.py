"""JSON schemas become rows that a reader understands."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, Json, TypeAdapter

from docgen.markdown import codes, table
from docgen.schema import Member, accepts, members


class Inner(BaseModel):
    """An inner object.

    With more about it.
    """

    depth: int = Field(default=3, ge=1, le=9, description="How deep.")


class Outer(BaseModel):
    name: str
    kind: Literal["a", "b", "c"] = "a"
    inner: Inner | None = None
    many: list[Inner] = []


SCHEMA = Outer.model_json_schema()


def test_members_of_inner_objects_have_dotted_paths() -> None:
    assert list(members(SCHEMA, SCHEMA)) == [
        Member("name", "text", is_required=True, default="", description=""),
        Member("kind", "`a`, `b` or `c`", is_required=False, default="`a`", description=""),
        Member("inner", "object or `null`", is_required=False, default="", description=""),
        Member("inner.depth", "integer (1 to 9)", is_required=False, default="`3`", description="How deep."),
        Member("many", "list of object", is_required=False, default="", description=""),
        Member("many[].depth", "integer (1 to 9)", is_required=False, default="`3`", description="How deep."),
    ]
    assert [member.path for member in members(SCHEMA, SCHEMA, depth=1)] == ["name", "kind", "inner", "many"]


class Square(BaseModel):
    kind: Literal["square"] = Field(description="A square.")
    side: int = Field(description="Its side.")


class Circle(BaseModel):
    kind: Literal["circle"] = Field(description="A circle.")


def test_a_member_of_several_alternatives_has_the_types_and_descriptions_of_all() -> None:
    schema = TypeAdapter(Square | Circle).json_schema()
    assert list(members(schema, schema)) == [
        Member(
            "kind", "`square` or `circle`", is_required=True, default="", description="A square. A circle."
        ),
        Member("side", "integer", is_required=True, default="", description="Its side."),
    ]


def test_an_object_that_a_union_restricts_keeps_its_members() -> None:
    restriction = {"properties": {"side": {"maximum": 5, "description": "At most 5."}}}
    schema = {**Square.model_json_schema(), "anyOf": [restriction, {"required": ["side"]}]}
    assert accepts(schema, schema) == "object"
    assert list(members(schema, schema)) == [
        Member("kind", "`square`", is_required=True, default="", description="A square."),
        Member("side", "integer", is_required=True, default="", description="Its side. At most 5."),
    ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Annotated[int, Field(ge=0)], "integer (at least 0)"),
        (Annotated[int, Field(le=5)], "integer (at most 5)"),
        (Annotated[float, Field(gt=0)], "number (above 0)"),
        (Annotated[float, Field(gt=0, lt=1)], "number (above 0, below 1)"),
        (Annotated[float, Field(gt=0, le=90)], "number (above 0, up to 90)"),
        (bool, "`true` or `false`"),
        (Literal[404], "`404`"),
        (tuple[float, float], "list (2)"),
        (Annotated[list[int], Field(min_length=2, max_length=2)], "list (2) of integer"),
        (object, "any JSON"),
        (bytes, "file"),
        (Annotated[str, Field(json_schema_extra={"contentMediaType": "image/jpeg"})], "file"),
        (
            Annotated[
                str, Field(json_schema_extra={"contentMediaType": "image/jpeg", "contentEncoding": "base64"})
            ],
            "text",
        ),
        (Json[list[int]], "JSON as text"),
    ],
)
def test_types_and_limits_are_put_into_words(kind: type, words: str) -> None:
    schema = TypeAdapter(kind).json_schema()
    assert accepts(schema, schema) == words


def test_cells_are_escaped() -> None:
    assert table(("a", "b"), [("x | y", "one\n  two")]) == "| a | b |\n| --- | --- |\n| x \\| y | one two |"
    assert codes(["a"]) == "`a`"
    assert codes(["a", "b", "c"], "and") == "`a`, `b` and `c`"

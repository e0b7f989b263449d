"""The schema and the models of each token."""

from __future__ import annotations

import json
from collections.abc import Mapping

from emulator.backends.stateful import Check, EntryCheck, Stateful, belongs_to_its_key
from emulator.vendors.metahuman.glb_const.wire import Refused, Schema, check_schema
from emulator.world.world import World

SCHEMA = "metahuman/schema"
"""Kind of the documents with schemas. The key is the token."""


class Schemas(Stateful):
    """The stored schemas."""

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored schemas."""
        return {SCHEMA: _check}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a schema must be its token."""
        return {SCHEMA: belongs_to_its_key}


async def put_schema(world: World, token: str, schema: Schema) -> None:
    """Store the schema of a token, and delete the token's models that the schema does not list."""
    async with world.creations.of(token):
        former = await get_schema(world, token) or {}
        await world.records.put(SCHEMA, token, token, {"schema": schema})
        for model_type, ids in former.items():
            for model_id in set(ids).difference(schema.get(model_type, ())):
                await world.blobs.delete(_key(token, model_type, model_id))


async def get_schema(world: World, token: str) -> Schema | None:
    """Return the schema of a token, or None if the token has no schema."""
    record = await world.records.get(SCHEMA, token)
    return None if record is None else record.document["schema"]


async def put_model(world: World, token: str, model_type: str, model_id: str, data: bytes) -> bool:
    """Store a model. Return False, and store nothing, if the schema no longer lists it."""
    async with world.creations.of(token):
        schema = await get_schema(world, token) or {}
        if model_id not in schema.get(model_type, ()):
            return False
        await world.blobs.put(_key(token, model_type, model_id), data, token)
        return True


async def get_model(world: World, token: str, model_type: str, model_id: str) -> bytes | None:
    """Return a model, or None if it was not uploaded."""
    return await world.blobs.get(_key(token, model_type, model_id))


def _key(token: str, model_type: str, model_id: str) -> str:
    # JSON separates the three strings unambiguously, whatever characters they contain.
    return f"metahuman/model/{json.dumps([token, model_type, model_id])}"


def _check(document: Mapping[str, object]) -> None:
    schema = document["schema"]
    if not isinstance(schema, dict):
        raise TypeError("a schema must be an object")
    try:
        check_schema(schema)
    except Refused as error:
        raise ValueError("a schema must have lists of ids") from error

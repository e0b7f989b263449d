"""The operations of the GLB constructor."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile

from emulator.face.errors import FaceError
from emulator.pipelines.options import ASSEMBLE_AVATAR, CHECK_GLB, AvatarOptions, ImageRules
from emulator.vendors.metahuman.application import FORM_BYTES, warn_of_dropped
from emulator.vendors.metahuman.auth import authenticate
from emulator.vendors.metahuman.errors import MetaHumanEntry
from emulator.vendors.metahuman.glb_const.errors import ASSEMBLE, LOAD_MODEL, LOAD_SCHEMA, READ_SCHEMA, TOKEN
from emulator.vendors.metahuman.glb_const.store import get_model, get_schema, put_model, put_schema
from emulator.vendors.metahuman.glb_const.wire import (
    MODELS_CONFIG,
    TRUE,
    AssembleFields,
    FieldsRefused,
    ModelFields,
    Refused,
    Schema,
    SchemaFields,
    SchemaResult,
    Status,
    StatusResult,
    TokenFields,
    invalid_fields,
    invalid_flag,
    read_head,
    read_models,
    read_schema,
)
from emulator.vendors.metahuman.models import GLB, MODEL_ANSWER, render_model
from emulator.vendors.metahuman.settings import MetaHumanSettings, SettingsDep
from emulator.vendors.metahuman.wire import REFUSED_FORM, render_invalid
from emulator.web.call import Call, CallDep, WorldDep
from emulator.web.digests import digest_of
from emulator.web.media_types import contradicts, picture_type
from emulator.web.vendor import Api
from emulator.world.error_catalogue import ErrorCatalogue
from emulator.world.operation import MULTIPART, URLENCODED, Billing, Example, Operation
from emulator.world.world import World

TEXTURE_FORMATS = frozenset({"jpeg", "png", "heic", "bmp", "webp"})
"""Allowed formats of textures, the same as for photos in face reconstruction."""


async def load_schema(request: Request, call: CallDep, world: WorldDep) -> Response:
    """Upload the schema of a token: the types and the ids of its models."""
    async with request.form() as form:
        await _identify(form, call)
        if invalid := invalid_fields(form, files=("schema",)):
            return render_invalid(invalid)
        token = await authenticate(_text(form, "token"), call, world.credentials, LOAD_SCHEMA)
        warn_of_dropped(form, ("token", "schema"), call)
        data = await _file(form, "schema").read()
    if not data:
        raise LOAD_SCHEMA["MISSING_SCHEMA"].occur()
    try:
        schema = read_schema(data)
    except Refused as error:
        raise LOAD_SCHEMA["SCHEMA_ERROR"].occur() from error
    await put_schema(world, token, schema)
    return _done("schema loaded successfully")


async def get_loaded_schema(request: Request, call: CallDep, world: WorldDep) -> Response:
    """Get the schema of a token."""
    async with request.form() as form:
        await _identify(form, call)
        if invalid := invalid_fields(form):
            return render_invalid(invalid)
        token = await authenticate(_text(form, "token"), call, world.credentials, READ_SCHEMA)
        warn_of_dropped(form, TokenFields.model_fields, call)
    schema = await _loaded_schema(world, token, READ_SCHEMA)
    found = {name: list(ids) for name, ids in schema.items()}
    return JSONResponse(SchemaResult(result=found).model_dump())


async def load_model(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Upload a model that the schema lists."""
    async with request.form() as form:
        await _identify(form, call)
        if invalid := invalid_fields(form, texts=("sha256", "data_type", "data_id"), files=("data",)):
            return render_invalid(invalid)
        token = await authenticate(_text(form, "token"), call, world.credentials, LOAD_MODEL)
        warn_of_dropped(form, ModelFields.model_fields, call)
        schema = await _loaded_schema(world, token, LOAD_MODEL)
        model_type, model_id = _text(form, "data_type"), _text(form, "data_id")
        if model_type not in schema:
            raise LOAD_MODEL["INVALID_MODEL_TYPE"].occur()
        if model_id not in schema[model_type]:
            raise LOAD_MODEL["INVALID_MODEL_ID"].occur()
        data = await _file(form, "data").read(settings.model_bytes)
        checksum = _text(form, "sha256").strip().lower()
    if len(data) >= settings.model_bytes:
        raise LOAD_MODEL["MODEL_LOAD_FAIL"].occur()
    digest = await digest_of(data, hashlib.sha256)
    if not hmac.compare_digest(digest.hexdigest().encode(), checksum.encode()):
        raise LOAD_MODEL["INVALID_CHECKSUM"].occur()
    try:
        await world.queue.run(CHECK_GLB, data)
    except FaceError as error:
        raise LOAD_MODEL.for_cause(error).occur() from error
    if not await put_model(world, token, model_type, model_id, data):
        # Another request has replaced the schema in the meantime.
        raise LOAD_MODEL["INVALID_MODEL_ID"].occur()
    return _done("model loaded successfully")


async def assemble(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> Response:
    """Assemble a head and the chosen models into one GLB file."""
    async with request.form() as form:
        await _identify(form, call)
        config = next((name for name in MODELS_CONFIG if name in form), MODELS_CONFIG[0])
        invalid = invalid_fields(form, files=("head_uv", "head_config", config))
        if "custom_models" in form:
            invalid += invalid_fields(form, files=("custom_models",))
        invalid += invalid_flag(form, "add_facs")
        if invalid:
            return render_invalid(invalid)
        token = await authenticate(_text(form, "token"), call, world.credentials, ASSEMBLE)
        warn_of_dropped(form, AssembleFields.model_fields, call)
        schema = await _loaded_schema(world, token, ASSEMBLE)
        numbers, skin_color = await _head(form)
        models = await _chosen(world, token, schema, await _models_config(form, config))
        upload = _file(form, "head_uv")
        texture = await upload.read(settings.head_uv_bytes)
        if contradicts(upload.content_type, texture):
            said = f"head_uv: declared {upload.content_type}, sent {picture_type(texture)}"
            call.warn("upload-content-type-mismatch", said)
        if len(texture) >= settings.head_uv_bytes:
            raise ASSEMBLE["HEAD_UV_TOO_LARGE"].occur()
        for model in form.getlist("custom_models"):
            models.append(await _custom_model(model, settings))
        options = AvatarOptions(
            ImageRules(TEXTURE_FORMATS),
            await world.degraded(texture, call.picture_fault),
            numbers,
            skin_color,
            tuple(models),
            has_face_units=str(form.get("add_facs")).lower() in TRUE,
        )
    try:
        assembled = await world.queue.run(ASSEMBLE_AVATAR, options)
    except FaceError as error:
        raise ASSEMBLE.for_cause(error).occur() from error
    response = await render_model(
        assembled, world, settings, token, upload_name=upload.filename, ending="avatar.glb"
    )
    await world.meter.bill("metahuman", ASSEMBLE_GLB.name, token)
    return response


async def token_status(request: Request, call: CallDep, world: WorldDep) -> Response:
    """Check that a token is accepted."""
    async with request.form() as form:
        await _identify(form, call)
        if invalid := invalid_fields(form):
            return render_invalid(invalid)
        await authenticate(_text(form, "token"), call, world.credentials, TOKEN)
        warn_of_dropped(form, TokenFields.model_fields, call)
    return _done("ok")


async def _identify(form: FormData, call: Call) -> None:
    """Record the token before the form is checked, so that the journal also has it for an invalid call."""
    token = form.get("token")
    if isinstance(token, str) and token:
        await call.identify(token)


async def _loaded_schema(world: World, token: str, errors: ErrorCatalogue[MetaHumanEntry]) -> Schema:
    schema = await get_schema(world, token)
    if schema is None:
        raise errors["SCHEMA_NOT_LOADED"].occur()
    return schema


async def _head(form: FormData) -> tuple[tuple[float, ...], tuple[int, int, int]]:
    """Return the 80 numbers and the colour of the skin."""
    try:
        return read_head(await _json(form, "head_config"))
    except Refused as error:
        raise ASSEMBLE["INVALID_HEAD_CONFIG"].occur() from error
    except FieldsRefused as error:
        raise ASSEMBLE["INVALID_HEAD_FIELDS"].occur() from error


async def _models_config(form: FormData, name: str) -> Any:
    try:
        return read_models(await _json(form, name))
    except Refused as error:
        raise ASSEMBLE["INVALID_MODELS_CONFIG"].occur() from error


async def _chosen(world: World, token: str, schema: Schema, chosen: Any) -> list[bytes]:
    """Return the chosen models, in the order of the models config."""
    if not set(chosen) <= set(schema):
        raise ASSEMBLE["TYPE_NOT_IN_SCHEMA"].occur()
    models = []
    for model_type, model_id in chosen.items():
        is_known = model_id in schema[model_type]
        data = await get_model(world, token, model_type, model_id) if is_known else None
        if data is None:
            raise ASSEMBLE["MODEL_NOT_LOADED"].occur()
        models.append(data)
    return models


async def _custom_model(upload: UploadFile | str, settings: MetaHumanSettings) -> bytes:
    if isinstance(upload, str):
        raise TypeError(upload)
    data = await upload.read(settings.custom_model_bytes)
    if len(data) >= settings.custom_model_bytes:
        raise ASSEMBLE["CUSTOM_MODEL_TOO_LARGE"].occur()
    return data


async def _json(form: FormData, name: str) -> bytes:
    """Return a JSON file. It is cut off after 1 MiB, so that parsing it does not take long."""
    return await _file(form, name).read(FORM_BYTES)


def _file(form: FormData, name: str) -> UploadFile:
    value = form[name]
    if isinstance(value, str):
        raise TypeError(value)
    return value


def _text(form: FormData, name: str) -> str:
    value = form[name]
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _done(status: str) -> Response:
    return JSONResponse(StatusResult(result=Status(status=status)).model_dump())


_TOKEN_FORM = {"token": "{token}"}

LOAD_SCHEMA_FILE = Operation(
    name="load_schema",
    methods=("PUT",),
    paths=("/glb_const/schema",),
    endpoint=load_schema,
    errors=LOAD_SCHEMA,
    request=SchemaFields,
    request_types=(MULTIPART,),
    response=StatusResult,
    other_answers=REFUSED_FORM,
    longest_body=lambda _settings: FORM_BYTES,
    too_large=LOAD_SCHEMA["SCHEMA_ERROR"].occur(),
    example=Example(form=_TOKEN_FORM, files={"schema": "ok-frontal"}),
)

GET_SCHEMA = Operation(
    name="get_schema",
    methods=("POST",),
    paths=("/glb_const/schema",),
    endpoint=get_loaded_schema,
    errors=READ_SCHEMA,
    request=TokenFields,
    request_types=(MULTIPART, URLENCODED),
    response=SchemaResult,
    other_answers=REFUSED_FORM,
    longest_body=lambda _settings: FORM_BYTES,
    too_large=READ_SCHEMA["GLB_INTERNAL_ERROR"].occur(),
    example=Example(form=_TOKEN_FORM),
)

LOAD_MODEL_FILE = Operation(
    name="load_model",
    methods=("PUT",),
    paths=("/glb_const/glb",),
    endpoint=load_model,
    errors=LOAD_MODEL,
    request=ModelFields,
    request_types=(MULTIPART,),
    response=StatusResult,
    other_answers=REFUSED_FORM,
    longest_body=lambda settings: settings.model_bytes + FORM_BYTES,
    too_large=LOAD_MODEL["MODEL_LOAD_FAIL"].occur(),
    example=Example(
        form={**_TOKEN_FORM, "sha256": "0", "data_type": "hair", "data_id": "hair_01"},
        files={"data": "ok-frontal"},
    ),
)

ASSEMBLE_GLB = Operation(
    name="assemble",
    methods=("POST",),
    paths=("/glb_const/assemble",),
    endpoint=assemble,
    takes_picture=True,
    billing=Billing(),
    errors=ASSEMBLE,
    request=AssembleFields,
    request_types=(MULTIPART,),
    response_types=(GLB,),
    other_answers={**REFUSED_FORM, **MODEL_ANSWER},
    longest_body=lambda settings: settings.assemble_bytes,
    too_large=ASSEMBLE["CUSTOM_MODEL_TOO_LARGE"].occur(),
    example=Example(
        form=_TOKEN_FORM,
        files={"head_uv": "ok-frontal", "head_config": "ok-frontal", "models_congig": "ok-frontal"},
    ),
)

TOKEN_STATUS = Operation(
    name="token_status",
    methods=("POST",),
    paths=("/glb_const/status", "/glb_const/token_status"),
    endpoint=token_status,
    errors=TOKEN,
    request=TokenFields,
    request_types=(MULTIPART, URLENCODED),
    response=StatusResult,
    other_answers=REFUSED_FORM,
    longest_body=lambda _settings: FORM_BYTES,
    too_large=TOKEN["GLB_INTERNAL_ERROR"].occur(),
    example=Example(form=_TOKEN_FORM),
)

api = Api("GLB constructor", (LOAD_SCHEMA_FILE, GET_SCHEMA, LOAD_MODEL_FILE, ASSEMBLE_GLB, TOKEN_STATUS))

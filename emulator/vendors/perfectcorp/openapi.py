"""Perfect Corp's AI Face Reshape as it is emulated, in OpenAPI."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import ERRORS, Layer, PerfectCorpEntry
from emulator.vendors.perfectcorp.wire import Features, Global
from emulator.web.openapi import (
    FILLED,
    INTEGER,
    MILLISECONDS,
    NULL,
    NUMBER,
    STRING,
    Json,
    array,
    closed,
    content,
    document,
    pattern_of,
    reference,
    responses,
)

ANYWHERE = ("InvalidApiKey", "InactiveApiKey", "ExpiredApiKey", "TooManyRequests", "InternalError")
"""Errors that every v2.0 operation can answer with."""

TASK = "/s2s/v2.0/task/face-reshape"
CREATION = (
    "InvalidParameters", "UnresolvableFile", "FileNotUploaded", "FileNotUploaded404", "CreditInsufficiency",
)  # fmt: skip


def describe() -> Json:
    """Return the OpenAPI document."""
    paths: Json = {
        "/s2s/v2.0/file": {"post": _new_files("createFile")},
        "/s2s/v2.0/file/face-reshape": {"post": _new_files("createFaceReshapeFile")},
        TASK: {"post": _operation("createReshape", _created(), CREATION, body="ReshapeRequest")},
        f"{TASK}/{{task_id}}": {"get": _status("checkReshape", _reshape_results())},
        f"{TASK}/pre-process": {"post": _operation("createPreProcess", _created(), CREATION, body="Source")},
        f"{TASK}/pre-process/{{task_id}}": {"get": _status("checkPreProcess", _pre_process_results())},
        "/s2s/v2.0/task/delete": {
            "post": _operation(
                "deleteTask",
                {},
                ["DeleteWithoutTaskId", "DeleteUnknownTask", "OperationInvalid", "OperationNotSupport",
                 "InvalidParameters"],
                body="DeleteRequest",
            )
        },
        "/s2s/v2.0/credit/feature-cost": {"get": _page("featureCost", {"skus": _sku()}, 20)},
        "/s2s/v1.0/client/credit": {
            "get": _operation("credit", {"results": array(_grant())}, [], legacy=True)
        },
        "/s2s/v1.0/client/credit/history": {
            "get": _page("creditHistory", {"history": _charge()}, 30, legacy=True)
        },
        "/s2s/v1.0/client/auth": {"post": _legacy_auth()},
    }  # fmt: skip
    schemas = {
        "NewFiles": _open({"files": array(reference("NewFile"))}),
        "NewFile": _open(
            {
                "content_type": {"type": "string", "pattern": "^(image|video)/"},
                "file_name": STRING,
                "file_size": {"type": "integer", "minimum": 1, "maximum": 10 * 1024 * 1024 - 1},
            }
        ),
        "Source": {
            **_open({"src_file_id": STRING, "src_file_url": STRING}, required=[]),
            "anyOf": [{"required": ["src_file_id"]}, {"required": ["src_file_url"]}],
        },
        "ReshapeRequest": {
            "allOf": [reference("Source")],
            **_open(
                {
                    "version": {"const": "1.0"},
                    "index": {"type": "integer", "default": 0},
                    "features": {**Features.model_json_schema(), "minProperties": 1},
                    "global": Global.model_json_schema(),
                },
                required=["version", "features", "global"],
            ),
        },
        "DeleteRequest": _open({"task_id": STRING}),
    }
    security: Json = {"apiKey": {"type": "http", "scheme": "bearer"}}
    return document(
        "Perfect Corp AI Face Reshape",
        paths,
        {"schemas": schemas, "securitySchemes": security},
        security=[{"apiKey": []}],
    )


def _operation(
    name: str,
    members: Json,
    errors: tuple[str, ...] | list[str],
    *,
    body: str | None = None,
    parameters: list[Json] | None = None,
    legacy: bool = False,
) -> Json:
    anywhere = ("InvalidAccessToken", "InternalError") if legacy else ANYWHERE
    success = closed({"status": {"const": 200}, **members})
    operation: Json = {
        "operationId": name,
        "parameters": parameters or [],
        "responses": responses(
            {"description": "Success.", "content": content(success)},
            [ERRORS[error] for error in (*errors, *anywhere)],
            _schema,
        ),
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": content(reference(body))}
    return operation


def _new_files(name: str) -> Json:
    return _operation(name, _files(), ["InvalidParameters"], body="NewFiles")


def _legacy_auth() -> Json:
    token = closed({"access_token": STRING})
    operation = _operation("legacyToken", {"result": token}, ["InvalidAuthentication", "InvalidParameters"])
    body = _open({"client_id": STRING, "id_token": STRING})
    return {**operation, "security": [], "requestBody": {"required": True, "content": content(body)}}


def _status(name: str, results: Json) -> Json:
    engine = [entry for entry in ERRORS if entry.layer is Layer.ENGINE]
    codes = [*(entry.code for entry in engine), *(entry.page_code for entry in engine)]
    running = closed({"error": NULL, "results": NULL, "task_status": {"const": "running"}})
    success = closed({"error": NULL, "results": results, "task_status": {"const": "success"}})
    failure = closed(
        {
            "error": {"enum": list(dict.fromkeys(codes))},
            "error_message": STRING,
            "results": NULL,
            "task_status": {"const": "error"},
        }
    )
    task_id: Json = {
        "name": "task_id",
        "in": "path",
        "required": True,
        "schema": FILLED,
    }
    return _operation(
        name,
        {"data": {"oneOf": [running, success, failure]}},
        ["InvalidTaskId", "TaskTimeout"],
        parameters=[task_id],
    )


def _page(name: str, entries: Json, largest: int, *, legacy: bool = False) -> Json:
    parameters: list[Json] = [
        {"name": "page_size", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": largest}},
        {
            "name": "starting_token",
            "in": "query",
            "schema": {"type": ["string", "null"], "pattern": "^(null|MjA)?$"},
        },
    ]
    result = closed(
        {
            "next_token": {"type": ["string", "null"]},
            **{key: array(schema) for key, schema in entries.items()},
        }
    )
    return _operation(name, {"result": result}, ["InvalidParameters"], parameters=parameters, legacy=legacy)


def _files() -> Json:
    request = closed(
        {
            "method": {"const": "PUT"},
            "url": STRING,
            "headers": closed({"Content-Length": STRING, "Content-Type": STRING}),
        }
    )
    file = closed(
        {
            "content_type": STRING,
            "file_name": STRING,
            "file_id": {"type": "string", "pattern": "^[A-Za-z0-9+/]{64}$"},
            "requests": array(request, minItems=1, maxItems=1),
        }
    )
    return {"data": closed({"files": array(file)})}


def _created() -> Json:
    return {"data": closed({"task_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{64}$"}})}


def _reshape_results() -> Json:
    return closed({"url": STRING, "timed": MILLISECONDS, "timed_apply": MILLISECONDS})


def _pre_process_results() -> Json:
    box = closed(dict.fromkeys(("left", "top", "width", "height"), INTEGER))
    return closed({"timed": MILLISECONDS, "result": array(box)})


def _sku() -> Json:
    return closed(
        {
            "description": STRING,
            "amount": NUMBER,
            "unit": {"enum": ["result_image", "second"]},
            "proc_unit": INTEGER,
            "run_task_url": STRING,
        }
    )


def _grant() -> Json:
    return closed(
        {
            "id": INTEGER,
            "type": {"enum": ["ApiSubsToken", "ApiPaygToken"]},
            "amount": INTEGER,
            "amount_dec": NUMBER,
            "expiry": INTEGER,
        }
    )


def _charge() -> Json:
    part = closed({"id": INTEGER, "amount": INTEGER, "amount_dec": NUMBER})
    return closed(
        {
            "id": INTEGER,
            "timestamp": INTEGER,
            "action": STRING,
            "target_id": STRING,
            "info": closed({"credits": array(part), "dst_actions": array(STRING)}),
        }
    )


def _open(properties: Json, required: list[str] | None = None) -> Json:
    """Return the schema of an object whose unknown members are dropped."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def _schema(entry: PerfectCorpEntry) -> tuple[str, Json]:
    members: Json = {
        "status": {"const": entry.status},
        "error": {"type": "string", "pattern": pattern_of(entry.text)},
    }
    codes = {name: {"const": entry.code} for name in entry.code_members}
    return "application/json", closed({**members, **codes})

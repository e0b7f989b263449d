"""The endpoints of Perfect Corp's AI Face Reshape, and the object store behind its URLs."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.ids import SeededIds
from emulator.tasks.task import Task
from emulator.vendors.perfectcorp.auth import authenticate
from emulator.vendors.perfectcorp.errors import ERRORS
from emulator.vendors.perfectcorp.jobs import PRE_PROCESS, RESHAPE, Engine
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings, SettingsDep
from emulator.vendors.perfectcorp.uploads import BUCKET, SignedRequest, presign, verify
from emulator.vendors.perfectcorp.wire import (
    NewFiles,
    ReshapeRequest,
    Source,
    check_features,
    check_source,
    read_body,
    render_created,
    render_error,
    render_files,
    render_status,
)
from emulator.web.catalogue import VendorError
from emulator.web.services import Services, ServicesDep
from emulator.web.vendor import vendor_application

FILE = "perfectcorp/file"

router = APIRouter()


def build(services: Services, settings: PerfectCorpSettings) -> FastAPI:
    """Return the application that answers for Perfect Corp."""
    services.tasks.register(Engine(services, settings).jobs())
    app = vendor_application(services, settings, router)
    # Browsers upload to the presigned URL from any origin.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(NumberedAnswers, ids=services.ids)
    app.add_exception_handler(VendorError, _documented)
    app.add_exception_handler(HTTPException, _unknown_path)
    app.add_exception_handler(Exception, _defect)
    return app


def _owner_of(request: Request, services: ServicesDep) -> str:
    return authenticate(request.headers.get("authorization"), services.credentials)


OwnerDep = Annotated[str, Depends(_owner_of)]
"""The API key of the request; without a good one the route is not reached."""


@router.post("/s2s/v2.0/file")
@router.post("/s2s/v2.0/file/{feature}")
async def create_file(
    request: Request, owner: OwnerDep, services: ServicesDep, settings: SettingsDep
) -> Response:
    """Register files, and get a URL to upload each to."""
    body = await read_body(request, NewFiles)
    registered = []
    for file in body.files:
        file_id = base64.b64encode(await services.ids.draw(owner, FILE, 48)).decode()
        extension = "png" if "png" in file.content_type else "jpg"
        key = f"ttl30/{(await services.ids.draw(owner, 'perfectcorp/object', 16)).hex()}.{extension}"
        await services.records.create(FILE, file_id, owner, {"object": key, **file.model_dump()})
        headers = {"content-length": str(file.file_size), "content-type": file.content_type}
        url = _sign(request, services, settings, SignedRequest("PUT", key, headers))
        registered.append((file_id, file, url))
    return render_files(registered)


@router.post("/s2s/v2.0/task/face-reshape")
async def create_reshape(request: Request, owner: OwnerDep, services: ServicesDep) -> Response:
    """Start to reshape a face."""
    body = await read_body(request, ReshapeRequest)
    check_source(body)
    check_features(body.features)
    return await _create_task(services, owner, RESHAPE, body)


@router.get("/s2s/v2.0/task/face-reshape/{task_id}")
async def check_reshape(
    request: Request, owner: OwnerDep, services: ServicesDep, settings: SettingsDep, task_id: str
) -> Response:
    """Tell how far a reshape has come; a finished one with a URL that is signed anew."""
    task = await _find_task(services, owner, RESHAPE, task_id)
    results: dict[str, Any] | None = None
    if task.result is not None:
        url = _sign(request, services, settings, SignedRequest("GET", task.result["object"], {}))
        results = {"url": url, "timed": task.result["timed"], "timed_apply": task.result["timed_apply"]}
    return render_status(task, results)


@router.post("/s2s/v2.0/task/face-reshape/pre-process")
async def create_pre_process(request: Request, owner: OwnerDep, services: ServicesDep) -> Response:
    """Start to look for faces."""
    body = await read_body(request, Source)
    check_source(body)
    return await _create_task(services, owner, PRE_PROCESS, body)


@router.get("/s2s/v2.0/task/face-reshape/pre-process/{task_id}")
async def check_pre_process(owner: OwnerDep, services: ServicesDep, task_id: str) -> Response:
    """Tell how far the search for faces has come."""
    task = await _find_task(services, owner, PRE_PROCESS, task_id)
    return render_status(task, task.result)


@router.put(f"/{BUCKET}/{{key:path}}")
async def upload(request: Request, services: ServicesDep, key: str) -> Response:
    """Take the bytes of a registered file."""
    headers = {name: request.headers.get(name, "") for name in ("content-length", "content-type")}
    _verify(request, services, SignedRequest("PUT", key, headers))
    await services.blobs.put(key, await request.body())
    return Response()


@router.get(f"/{BUCKET}/{{key:path}}")
async def download(request: Request, services: ServicesDep, key: str) -> Response:
    """Hand out a result."""
    _verify(request, services, SignedRequest("GET", key, {}))
    data = await services.blobs.get(key)
    if data is None:
        raise ERRORS["NoSuchKey"].occur()
    return Response(data, media_type="image/png" if key.endswith(".png") else "image/jpeg")


class NumberedAnswers:
    """ASGI middleware that numbers every answer: ``x-request-id``, eighteen digits."""

    def __init__(self, app: ASGIApp, ids: SeededIds) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a number."""
        drawn = int.from_bytes(await self._ids.draw("", "perfectcorp/request", 8), "big")
        header = (b"x-request-id", str(4 * 10**17 + drawn % 10**17).encode())

        async def send_numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        await self._app(scope, receive, send_numbered)


async def _create_task(services: Services, owner: str, kind: str, body: Source) -> Response:
    key = None
    if body.src_file_id is not None:
        file = await services.records.get(FILE, body.src_file_id)
        if file is None or file.scope != owner:
            raise ERRORS["UnresolvableFile"].occur()
        key = file.document["object"]
        if not await services.blobs.exists(key):
            raise ERRORS["FileNotUploaded"].occur()
    task_id = base64.urlsafe_b64encode(await services.ids.draw(owner, "perfectcorp/task", 48)).decode()
    request = {
        "object": key,
        "url": body.src_file_url,
        # Which features were sent matters, not only their values.
        "body": body.model_dump(by_alias=True, exclude_unset=True),
    }
    await services.tasks.create(Task(task_id, owner, kind, request, services.clock.now()))
    return render_created(task_id)


async def _find_task(services: Services, owner: str, kind: str, task_id: str) -> Task:
    task = await services.tasks.find(task_id, owner)
    if task is None or task.kind != kind:
        raise ERRORS["InvalidTaskId"].occur()
    return task


def _sign(request: Request, services: Services, settings: PerfectCorpSettings, signed: SignedRequest) -> str:
    return presign(
        signed,
        # As the client spelled it: the URL works wherever this request came through.
        base_url=str(request.base_url),
        secret=_secret(services),
        now=services.clock.now(),
        seconds=settings.url_seconds,
    )


def _verify(request: Request, services: Services, signed: SignedRequest) -> None:
    verify(signed, dict(request.query_params), secret=_secret(services), now=services.clock.now())


def _secret(services: Services) -> bytes:
    return services.ids.secret("perfectcorp/presign")


async def _documented(_request: Request, error: Exception) -> Response:
    if not isinstance(error, VendorError):
        raise TypeError(error)
    return render_error(error)


async def _unknown_path(_request: Request, error: Exception) -> Response:
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    return render_error(ERRORS["MethodNotAllowed" if wrong_method else "NotFound"].occur())


async def _defect(_request: Request, _error: Exception) -> Response:
    return render_error(ERRORS["InternalError"].occur())

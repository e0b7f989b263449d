"""The endpoints of Perfect Corp's AI Face Reshape, and what its clients call beside them."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.clock import machine_time
from emulator.ids import SeededIds
from emulator.tasks.task import Task
from emulator.vendors.perfectcorp.auth import (
    OwnerDep,
    authenticate,
    check_balance,
    issue_access_token,
    key_of,
)
from emulator.vendors.perfectcorp.errors import ERRORS, Layer, UnitsInsufficient
from emulator.vendors.perfectcorp.jobs import PRE_PROCESS, RESHAPE, Engine
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings, SettingsDep
from emulator.vendors.perfectcorp.store import StoredFile, note_owner, sign
from emulator.vendors.perfectcorp.store import router as store_router
from emulator.vendors.perfectcorp.units import (
    CHARGE,
    GRANT,
    PRE_PROCESS_ACTION,
    RESHAPE_ACTION,
    Charge,
    Grant,
    Units,
)
from emulator.vendors.perfectcorp.uploads import BUCKET, SignedRequest
from emulator.vendors.perfectcorp.webhooks import Announcer
from emulator.vendors.perfectcorp.wire import (
    DeleteRequest,
    LegacyClient,
    NewFile,
    NewFiles,
    ReshapeRequest,
    Source,
    check_features,
    check_file,
    check_source,
    read_body,
    read_page,
    render_access_token,
    render_costs,
    render_created,
    render_done,
    render_error,
    render_files,
    render_grants,
    render_history,
    render_status,
)
from emulator.web.call import Call, CallDep
from emulator.web.catalogue import VendorError
from emulator.web.limits import SlidingWindow
from emulator.web.services import Services, ServicesDep
from emulator.web.vendor import Dialect, vendor_application

FILE = "perfectcorp/file"
SECONDS_A_DAY = 86400
BODY_BYTES = 1024 * 1024
"""What a JSON body may have. Pictures travel to the store, which knows their length beforehand."""

ACTIONS = {RESHAPE: RESHAPE_ACTION, PRE_PROCESS: PRE_PROCESS_ACTION}

router = APIRouter()


def build(services: Services, settings: PerfectCorpSettings) -> FastAPI:
    """Return the application that answers for Perfect Corp."""
    units = Units(services, settings)
    announcer = Announcer(services, settings)
    services.webhooks.register(VENDOR, announcer.source())
    services.tasks.register(Engine(services, settings, units, announcer).jobs())
    services.loaders.append(units.recover)
    services.checks.update(
        {FILE: StoredFile.from_document, GRANT: Grant.from_document, CHARGE: Charge.from_document}
    )
    dialect = Dialect(
        render=_render,
        defect=ERRORS["InternalError"],
        too_large=ERRORS["InvalidParameters"].occur(
            sentence="The request body is above the allowed maximum."
        ),
        unknown_path=ERRORS["NotFound"],
        wrong_method=ERRORS["MethodNotAllowed"],
        choose=_in_the_stores_words,
        whose=_whose,
    )
    app = vendor_application(
        services, settings, router, dialect, lambda path: None if _in_store(path) else BODY_BYTES
    )
    app.include_router(store_router)
    app.state.units = units
    app.state.windows = (SlidingWindow(5, seconds=1), SlidingWindow(250, seconds=300))
    services.forgetters.extend(_forgets_calls(window) for window in app.state.windows)
    app.state.polls = tuple(SlidingWindow(settings.polls_per_second, seconds=1) for _ in range(2))
    services.forgetters.extend(_forgets_calls(window) for window in app.state.polls)
    # Browsers upload to the presigned URL from any origin.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["ETag", "x-request-id"],
    )
    app.add_middleware(NumberedAnswers, ids=services.ids)
    return app


def _units_of(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


UnitsDep = Annotated[Units, Depends(_units_of)]


def _forgets_calls(window: SlidingWindow) -> Callable[[str | None], Awaitable[None]]:
    return lambda owner: window.forget(None if owner is None else f"key {owner}")


def _limit_rate(request: Request, owner: OwnerDep, services: ServicesDep, settings: SettingsDep) -> str:
    """Return the API key, unless it or its address calls too often."""
    _check_rate(request, owner, services, settings)
    return owner


def _check_rate(request: Request, owner: str, services: Services, settings: PerfectCorpSettings) -> None:
    if not settings.rate_limit:
        return
    callers = (f"key {owner}", f"address {request.client.host if request.client else ''}")
    now = services.clock.now(owner)
    pairs = [(window, caller) for window in request.app.state.windows for caller in callers]
    # First all are asked, then all count: a call that is refused by one counts for none.
    if not all(window.has_room(caller, now) for window, caller in pairs):
        raise ERRORS["TooManyRequests"].occur()
    for window, caller in pairs:
        window.count(caller, now)


CallerDep = Annotated[str, Depends(_limit_rate)]
"""The API key of a call that is within the rate limits."""


def _settings_of(owner: CallerDep, services: ServicesDep, settings: SettingsDep) -> PerfectCorpSettings:
    return services.lifetimes.of(VENDOR, owner, settings)


CallerSettingsDep = Annotated[PerfectCorpSettings, Depends(_settings_of)]
"""The settings as they are for the caller: with its own lifetimes."""


def _note_poll(
    request: Request, owner: CallerDep, call: CallDep, services: ServicesDep, settings: SettingsDep
) -> None:
    """Warn of a key that polls more often than the vendor wants."""
    # Who waits by the emulator's clock waits, and so does who waits by the machine's.
    moments = (services.clock.now(owner), machine_time())
    polls: tuple[SlidingWindow, ...] = request.app.state.polls
    allowed = [window.allows(owner, now) for window, now in zip(polls, moments, strict=True)]
    if not any(allowed):
        limit = settings.polls_per_second
        call.warn("polled-too-often", f"more than {limit} polls within a second")


@router.post("/s2s/v2.0/file")
@router.post("/s2s/v2.0/file/{feature}")
async def create_file(
    request: Request, owner: CallerDep, call: CallDep, services: ServicesDep, settings: CallerSettingsDep
) -> Response:
    """Register files, and get a URL to upload each to."""
    if request.path_params:
        call.warn("deprecated-path", f"{request.url.path} is /s2s/v2.0/file since v1.14")
    body = await read_body(request, NewFiles)
    for file in body.files:
        check_file(file, settings.file_bytes, settings.video_bytes)
    async with services.creations.of(owner):
        registered = [await _register(file, request, services, settings, owner) for file in body.files]
    return render_files(registered)


@router.post("/s2s/v2.0/task/face-reshape/pre-process")
async def create_pre_process(
    request: Request,
    owner: CallerDep,
    call: CallDep,
    services: ServicesDep,
    settings: CallerSettingsDep,
    units: UnitsDep,
) -> Response:
    """Start to look for faces."""
    body = await read_body(request, Source, check_source)
    async with services.creations.of(owner):
        task = await _new_task(services, settings, owner, PRE_PROCESS, body)
        await _start(task, call, services, units, settings.pre_process_units)
    await services.plans.note_creation(task)
    return render_created(task.id)


@router.get("/s2s/v2.0/task/face-reshape/pre-process")
async def pre_process_without_id() -> Response:
    """Answer that the path is for POST: without this route, its name would pass for a task's id."""
    raise HTTPException(405, headers={"Allow": "POST"})


@router.get("/s2s/v2.0/task/face-reshape/pre-process/{task_id}", dependencies=[Depends(_note_poll)])
async def check_pre_process(
    owner: CallerDep, services: ServicesDep, settings: CallerSettingsDep, task_id: str
) -> Response:
    """Tell how far the search for faces has come."""
    task = await _find_task(services, settings, owner, PRE_PROCESS, task_id)
    return render_status(task, task.result, settings)


@router.post("/s2s/v2.0/task/face-reshape")
async def create_reshape(
    request: Request,
    owner: CallerDep,
    call: CallDep,
    services: ServicesDep,
    settings: CallerSettingsDep,
    units: UnitsDep,
) -> Response:
    """Start to reshape a face."""
    body = await read_body(request, ReshapeRequest, check_source)
    check_features(body.features)
    async with services.creations.of(owner):
        task = await _new_task(services, settings, owner, RESHAPE, body)
        await _start(task, call, services, units, settings.reshape_units)
    await services.plans.note_creation(task)
    return render_created(task.id)


@router.get("/s2s/v2.0/task/face-reshape/{task_id}", dependencies=[Depends(_note_poll)])
async def check_reshape(
    request: Request, owner: CallerDep, services: ServicesDep, settings: CallerSettingsDep, task_id: str
) -> Response:
    """Tell how far a reshape has come; a finished one with a URL that is signed anew."""
    task = await _find_task(services, settings, owner, RESHAPE, task_id)
    results: dict[str, Any] | None = None
    if task.result is not None:
        url = sign(request, services, settings, SignedRequest("GET", task.result["object"], {}), owner)
        results = {"url": url, "timed": task.result["timed"], "timed_apply": task.result["timed_apply"]}
    return render_status(task, results, settings)


@router.post("/s2s/v2.0/task/delete")
async def delete_task(request: Request, owner: CallerDep, services: ServicesDep) -> Response:
    """Delete a finished reshape, with its picture and its result."""
    try:
        body = await read_body(request, DeleteRequest)
    except VendorError as error:
        raise ERRORS["DeleteWithoutTaskId"].occur() from error
    task = await services.tasks.find(body.task_id, owner)
    if task is None:
        raise ERRORS["DeleteUnknownTask"].occur()
    if task.kind != RESHAPE:
        raise ERRORS["OperationNotSupport"].occur()
    if not task.is_finished:
        raise ERRORS["OperationInvalid"].occur()
    await services.tasks.delete(task)
    if task.result is not None:
        await services.blobs.delete(task.result["object"])
    file_id = task.request["file_id"]
    # A picture that other tasks stand on stays until the last of them is deleted.
    others = await services.tasks.list(owner)
    if file_id is not None and all(other.request["file_id"] != file_id for other in others):
        await services.blobs.delete(task.request["object"])
        await services.records.delete(FILE, file_id)
    return render_done()


@router.post("/s2s/v1.0/client/auth")
async def legacy_token(request: Request, call: CallDep, services: ServicesDep) -> Response:
    """Give a legacy client the token that it sends in place of its key."""
    call.warn("deprecated-path", "the API key itself is good for every call")
    body = await read_body(request, LegacyClient)
    return render_access_token(await issue_access_token(body.client_id, body.id_token, call, services))


async def _legacy_owner(request: Request, call: CallDep, services: ServicesDep, settings: SettingsDep) -> str:
    try:
        owner = await authenticate(request.headers.get("authorization"), call, services)
    except VendorError as error:
        if call.effect is not None and call.effect.error is not None:
            raise
        raise ERRORS["InvalidAccessToken"].occur() from error
    _check_rate(request, owner, services, settings)
    return owner


LegacyOwnerDep = Annotated[str, Depends(_legacy_owner)]
"""The API key of a v1.0 call, which words a bad one in its own way."""


@router.get("/s2s/v1.0/client/credit")
async def credit(owner: LegacyOwnerDep, units: UnitsDep) -> Response:
    """Tell what units a key has."""
    return render_grants(await units.grants(owner))


@router.get("/s2s/v1.0/client/credit/history")
async def credit_history(request: Request, owner: LegacyOwnerDep, units: UnitsDep) -> Response:
    """Tell what units were spent on, the newest first."""
    page = read_page(request, largest=30)
    return render_history(*page.cut(await units.history(owner)))


@router.get("/s2s/v2.0/credit/feature-cost")
async def feature_cost(request: Request, _owner: CallerDep, settings: SettingsDep) -> Response:
    """Tell what features cost."""
    page = read_page(request, largest=20)
    sku = {
        "description": "AI Face Reshape V1.0",
        "amount": settings.reshape_units,
        "unit": "result_image",
        "proc_unit": 1,
        "run_task_url": f"{request.base_url}s2s/v2.0/task/face-reshape",
    }
    return render_costs(*page.cut([sku]))


class NumberedAnswers:
    """ASGI middleware that numbers every answer: ``x-request-id``, eighteen digits."""

    def __init__(self, app: ASGIApp, ids: SeededIds) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a number, which the application finds in ``request.state.number``."""
        drawn = int.from_bytes(await self._ids.draw("", "perfectcorp/request", 8), "big")
        number = str(4 * 10**17 + drawn % 10**17)
        scope.setdefault("state", {})["number"] = number

        async def send_numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (b"x-request-id", number.encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        await self._app(scope, receive, send_numbered)


async def _register(
    file: NewFile, request: Request, services: Services, settings: PerfectCorpSettings, owner: str
) -> tuple[str, NewFile, str]:
    """Return the id of a file that is registered, the file, and the URL to upload it to."""
    file_id = base64.b64encode(await services.ids.draw(owner, FILE, 48)).decode()
    kind = file.content_type.rpartition("/")[2]
    extension = kind if kind.isalnum() and kind != "jpeg" else "jpg"
    key = f"ttl30/{(await services.ids.draw(owner, 'perfectcorp/object', 16)).hex()}.{extension}"
    stored = StoredFile(key, services.clock.now(owner))
    await services.records.create(FILE, file_id, owner, asdict(stored))
    await note_owner(services, key, owner)
    headers = {"content-length": str(file.file_size), "content-type": file.content_type}
    url = sign(request, services, settings, SignedRequest("PUT", key, headers), owner)
    return file_id, file, url


async def _new_task(
    services: Services, settings: PerfectCorpSettings, owner: str, kind: str, body: Source
) -> Task:
    key = None
    if body.src_file_id is not None:
        record = await services.records.get(FILE, body.src_file_id)
        if record is None or record.scope != owner:
            raise ERRORS["UnresolvableFile"].occur()
        file = StoredFile.from_document(record.document)
        if services.clock.now(owner) >= file.created_at + settings.file_days * SECONDS_A_DAY:
            raise ERRORS["UnresolvableFile"].occur()
        key = file.object
        if not await services.blobs.exists(key):
            missing = "FileNotUploaded" if settings.missing_upload_status == 500 else "FileNotUploaded404"
            raise ERRORS[missing].occur()
    task_id = base64.urlsafe_b64encode(await services.ids.draw(owner, "perfectcorp/task", 48)).decode()
    request = {
        "file_id": body.src_file_id,
        "object": key,
        "url": body.src_file_url,
        # Which features were sent matters, not only their values.
        "body": body.model_dump(by_alias=True, exclude_unset=True),
    }
    return Task(task_id, owner, kind, request, services.clock.now(owner))


async def _start(task: Task, call: Call, services: Services, units: Units, cost: int) -> None:
    if task.request["file_id"] is not None and task.request["url"] is not None:
        call.warn("field-dropped", "src_file_id goes before src_file_url")
    await check_balance(task.owner, services.credentials)
    if cost:
        try:
            await units.reserve(task.owner, task.id, ACTIONS[task.kind], cost)
        except UnitsInsufficient as error:
            raise ERRORS.for_cause(error).occur() from error
    await services.tasks.create(task, call.task_fault)


async def _find_task(
    services: Services, settings: PerfectCorpSettings, owner: str, kind: str, task_id: str
) -> Task:
    await services.plans.before_poll(task_id, owner)
    task = await services.tasks.find(task_id, owner)
    if task is None or task.kind != kind:
        raise ERRORS["InvalidTaskId"].occur()
    now = services.clock.now(owner)
    if now >= task.created_at + settings.task_days * SECONDS_A_DAY:
        raise ERRORS["TaskTimeout"].occur()
    ended = task.finished_at if task.finished_at is not None else now
    if settings.task_timeout_s is not None and ended > task.created_at + settings.task_timeout_s:
        raise ERRORS["TaskTimeout"].occur()
    if settings.unpolled_expiry_s is not None:
        # Counted from poll to poll until one has told the client how the task ended.
        last = task.polled_at if task.polled_at is not None else task.created_at
        told = task.finished_at is not None and last >= task.finished_at
        if not told and now > last + settings.unpolled_expiry_s:
            raise ERRORS["InvalidTaskId"].occur()
    task = await services.tasks.poll(task, counts=settings.unpolled_expiry_s is not None)
    await services.plans.note_poll(task)
    return task


async def _whose(request: Request) -> str | None:
    return await key_of(request.headers.get("authorization"), request.app.state.services) or None


def _in_store(path: str) -> bool:
    return path.startswith(f"/{BUCKET}/")


def _in_the_stores_words(request: Request, error: VendorError) -> VendorError:
    """Return the error that is told: whatever happens below the bucket is the store's to tell."""
    if not _in_store(request.url.path) or ERRORS[error.entry.name].layer is Layer.STORE:
        return error
    return ERRORS["StoreMethodNotAllowed" if error.entry.status == 405 else "StoreError"].occur()


async def _render(request: Request, error: VendorError) -> Response:
    return render_error(error, request.state.number)

"""The jobs that perform Perfect Corp's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from emulator.backends.fetch import FetchFailed
from emulator.backends.queue import Pipeline
from emulator.backends.records import Change
from emulator.backends.stateful import require
from emulator.clock import Count, Stopwatch
from emulator.face.errors import FaceError
from emulator.pipelines.options import DETECT_FACES, RESHAPE_PICTURE, ImageRules, ReshapeOptions
from emulator.tasks.job import Job
from emulator.tasks.task import Outcome, Task
from emulator.vendors.perfectcorp.files.store import RESULTS, result_key
from emulator.vendors.perfectcorp.kinds import PRE_PROCESS, RESHAPE
from emulator.vendors.perfectcorp.reshape.errors import ENGINE
from emulator.vendors.perfectcorp.reshape.wire import PreProcessResults, ReshapeRequest, Source
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.units.ledger import Units
from emulator.webhooks.fault import WebhookFault
from emulator.world.announcer import Announcer
from emulator.world.error_catalogue import VendorError
from emulator.world.world import World

ACTIONS = {RESHAPE: "api_face_reshape", PRE_PROCESS: "api_face_reshape_pre_process"}
"""Names of the kinds of task in the unit history. They are guesses, because the vendor's list has neither."""

EXTENSIONS = {"jpeg": "jpg", "png": "png"}

Options = TypeVar("Options")
Result = TypeVar("Result")


class _Request(BaseModel):
    """The request of a stored task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file_id: str | None
    object: str | None
    url: str | None
    body: dict[str, Any]


class _ReshapeResult(BaseModel):
    """The result of a stored reshape task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    object: str
    timed: Count
    timed_apply: Count


def check_task(task: Task) -> None:
    """Check the request, the result and the errors of a task from a snapshot.

    Raises
    ------
    ValueError
        If one of them is invalid.
    """
    request = _Request.model_validate(task.request)
    require((request.object is None) is (request.file_id is None), "a file must have an object")
    require(request.object is not None or request.url is not None, "a task must have a picture")
    (ReshapeRequest if task.kind == RESHAPE else Source).model_validate(request.body)
    held = task.held or Outcome(error=ENGINE["error_download_image"].name)
    for result in (task.result, held.result):
        if result is not None and task.kind == RESHAPE:
            found = _ReshapeResult.model_validate(result)
            require(found.object.startswith(f"{RESULTS}/"), "a result must be in the folder of results")
        elif result is not None:
            PreProcessResults.model_validate(result)
    for error in (task.error, task.forced_error, held.error):
        require(error is None or error in ENGINE, f"{error!r} is not an error of a task")
    if task.announcement_fault is not None:
        WebhookFault.model_validate(task.announcement_fault)


@dataclass(frozen=True)
class Engine:
    """The functions that perform reshape and pre-process tasks, and charge or refund their units."""

    world: World
    settings: PerfectCorpSettings
    units: Units
    announcer: Announcer

    def jobs(self) -> dict[str, Job]:
        """Return the job of each kind of task: the functions that perform, settle and announce a task."""
        return {
            kind: Job(
                perform,
                "unknown_internal_error",
                self.settle,
                self.announcer.announce,
                self.discard,
                check_task,
                waits=lambda task: task.request["object"] is None,
            )
            for kind, perform in ((RESHAPE, self.reshape), (PRE_PROCESS, self.pre_process))
        }

    async def settle(self, task: Task, outcome: Outcome) -> Sequence[Change]:
        """Spend the task's units if it succeeded, or refund them if it failed. Prepare its webhooks."""
        if outcome.error is None:
            costs = await self.units.spend(task.id)
        else:
            costs = await self.units.refund(task.credential, task.id)
        return [*costs, *await self.announcer.prepared(task)]

    async def discard(self, task: Task) -> None:
        """Delete the resulting picture of an old task."""
        if task.kind == RESHAPE and task.result is not None:
            await self.world.blobs.delete(task.result["object"])

    async def reshape(self, task: Task) -> Outcome:
        """Reshape one face of the task's picture, and store the resulting picture."""
        body = ReshapeRequest.model_validate(task.request["body"])
        options = ReshapeOptions(
            rules=self._rules(),
            index=body.index,
            parameters=body.features.to_parameters(),
            smoothing=body.global_.skin_smooth_strength / 100,
            color_evening=body.global_.skin_smooth_color_intensity / 100,
            smallest_fraction=self.settings.face_fraction,
            largest_angle_deg=self.settings.face_angle_deg,
        )
        try:
            picture = await self._compute(task, RESHAPE_PICTURE, options)
        except VendorError as error:
            return Outcome(error=error.entry.name)
        key = result_key(task.id, EXTENSIONS[picture.format])
        await self.world.blobs.put(key, picture.data, task.credential)
        return Outcome({"object": key, "timed": picture.total_ms, "timed_apply": picture.apply_ms})

    async def pre_process(self, task: Task) -> Outcome:
        """Find the faces in the task's picture, and return their boxes in whole pixels."""
        stopwatch = Stopwatch()
        try:
            boxes = await self._compute(task, DETECT_FACES, self._rules())
        except VendorError as error:
            return Outcome(error=error.entry.name)
        whole = [{side: round(value) for side, value in asdict(box).items()} for box in boxes]
        return Outcome({"timed": stopwatch.elapsed_ms(), "result": whole})

    async def _compute(
        self, task: Task, pipeline: Pipeline[[bytes, Options], Result], options: Options
    ) -> Result:
        try:
            data = await self._read_picture(task)
            if len(data) >= self.settings.file_bytes:
                raise ENGINE["exceed_max_filesize"].occur()
            return await self.world.queue.run(pipeline, data, options)
        except (FaceError, FetchFailed) as error:
            raise ENGINE.for_cause(error).occur() from error

    async def _read_picture(self, task: Task) -> bytes:
        key = task.request["object"]
        if key is None:
            return await self.world.fetcher.fetch(
                task.request["url"],
                credential=task.credential,
                limit=self.settings.file_bytes,
                timeout_s=self.settings.download_timeout_s,
            )
        data = await self.world.blobs.get(key)
        if data is None:  # deleted while the task was in the queue
            raise ENGINE["error_download_image"].occur()
        return data

    def _rules(self) -> ImageRules:
        return ImageRules(frozenset({"jpeg", "png"}), self.settings.longest_side)

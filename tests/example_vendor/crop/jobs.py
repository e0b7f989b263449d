"""The functions that perform crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from emulator.backends.fetch import FetchFailed
from emulator.backends.records import Change
from emulator.face.errors import FaceError
from emulator.pipelines.options import DETECT_FACES, ImageRules
from emulator.tasks.job import Job
from emulator.tasks.task import Outcome, Task
from emulator.world.announcer import Announcer
from emulator.world.world import World
from example_vendor.errors import CROP
from example_vendor.settings import ExampleSettings

CROP_KIND = "example_vendor/crop"


@dataclass(frozen=True)
class CropJobs:
    """The functions that perform crops, bill them, and prepare their webhooks."""

    world: World
    settings: ExampleSettings
    announcer: Announcer

    def job(self) -> Job:
        """Return the functions that perform a crop, bill it and announce its end."""
        return Job(self.perform, "crop_failed", self.settle, self.announcer.announce)

    async def perform(self, task: Task) -> Outcome:
        """Find the largest face in the picture of a crop."""
        try:
            picture = await self.world.fetcher.fetch(
                task.request["url"],
                credential=task.credential,
                limit=self.settings.picture_bytes,
                timeout_s=5.0,
            )
            faces = await self.world.queue.run(DETECT_FACES, picture, ImageRules(frozenset({"jpeg", "png"})))
        except (FetchFailed, FaceError):
            return Outcome(error=CROP["crop_failed"].name)
        return Outcome({"box": asdict(faces[0])})

    async def settle(self, task: Task, outcome: Outcome) -> Sequence[Change]:
        """Bill a successful crop or release its units, and prepare the webhook."""
        meter = self.world.meter
        end = meter.capturing if outcome.error is None else meter.voiding
        return [*await end("example_vendor", task.id), *await self.announcer.prepared(task)]

"""The adapters that the settings select: the database, the blob storage, the queue and the downloads."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import shutil
import sqlite3
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from emulator.arithmetic import arithmetic_variables
from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.blobs.object_store import StoreAddress
from emulator.backends.blobs.objects import ObjectBlobs
from emulator.backends.drivers import DriverMissing
from emulator.backends.fetch import HttpFetcher
from emulator.backends.folder_lock import sole_user
from emulator.backends.leftovers import make_temporary_folder, remove_leftovers_later
from emulator.backends.outgoing import AddressPolicy
from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import StoreUnreadable
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.replicas import OnlyReplica, RegisteredReplicas, Replicas
from emulator.backends.unavailable import DATA_FOLDER, StoreUnavailable
from emulator.pipelines.common import WARM_UP
from emulator.settings import Settings

if TYPE_CHECKING:
    from emulator.backends.queue.postgres import PostgresQueue
    from emulator.backends.records.postgres import PostgresRecords

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adapters:
    """The implementations of the database, the blob storage, the queue and the downloads."""

    folder: Path
    is_temporary: bool
    records: SqliteRecords | PostgresRecords
    blobs: FolderBlobs | ObjectBlobs
    queue: LocalWorkers | PostgresQueue
    fetcher: HttpFetcher

    @property
    def replicas(self) -> Replicas:
        """The processes that use the same database."""
        records = self.records
        return OnlyReplica() if isinstance(records, SqliteRecords) else RegisteredReplicas(records)


def adapters_of(
    settings: Settings, workers: WorkerPool | None, role: Literal["server", "worker"]
) -> Adapters:
    """Return the adapters. ``role`` is the role that other processes with the same database see for this one.

    Raises
    ------
    ValueError
        If the URL of a store is invalid, or a setting requires another setting that is missing.
    DriverMissing
        If a setting needs a package that is not installed.
    """
    pool = workers or WorkerPool(settings.workers, WARM_UP, arithmetic_variables(), settings.work_seconds)
    folder = settings.data_dir or make_temporary_folder()
    queue: LocalWorkers | PostgresQueue
    records: SqliteRecords | PostgresRecords
    if settings.database_url is None:
        queue = LocalWorkers(pool, owns_pool=workers is None)
        records = SqliteRecords(folder / "records.sqlite3", is_temporary=settings.data_dir is None)
    else:
        url = settings.database_url.get_secret_value()
        queue, records = _in_database(settings, url, pool, role, owns_pool=workers is None)
    adapters = Adapters(
        folder=folder,
        is_temporary=settings.data_dir is None,
        records=records,
        blobs=_blobs(settings, folder),
        queue=queue,
        fetcher=HttpFetcher(AddressPolicy(settings.outgoing_hosts), settings.downloads),
    )
    if adapters.is_temporary:
        weakref.finalize(adapters, _remove, folder)
    return adapters


def _in_database(
    settings: Settings, url: str, pool: WorkerPool, role: Literal["server", "worker"], *, owns_pool: bool
) -> tuple[PostgresQueue, PostgresRecords]:
    """Return the queue and the records in a database that several processes share."""
    if settings.blobs_url is None:
        raise ValueError(
            "FACE_EMULATOR_DATABASE_URL needs FACE_EMULATOR_BLOBS_URL: other emulators that use the database "
            "would not find blobs in the data folder of this one"
        )
    # Only with this setting, because their import takes a quarter of a second.
    try:
        from emulator.backends.records.postgres import PostgresRecords  # noqa: PLC0415 - see above
    except ImportError as error:
        raise DriverMissing("FACE_EMULATOR_DATABASE_URL", "psycopg") from error
    try:
        from emulator.backends.queue.postgres import PostgresQueue  # noqa: PLC0415 - see above
    except ImportError as error:
        raise DriverMissing("FACE_EMULATOR_DATABASE_URL", "procrastinate") from error
    queue = PostgresQueue(url, pool, owns_pool=owns_pool)
    common = hashlib.sha256(f"{settings.seed}\n{settings.blobs_url}".encode()).hexdigest()
    return queue, PostgresRecords(
        url, enqueue=queue.add, role=role, workers=settings.workers, settings=common
    )


async def check_replicas(replicas: Replicas, place: str) -> None:
    """Check that all replicas use the same object store and seed.

    Otherwise, tasks with pictures in the other store would fail, and presigned URLs would be refused.

    Raises
    ------
    StoreUnreadable
        If another replica that is alive has other settings.
    """
    found = {str(each.id): each for each in await replicas.registered() or ()}
    mine = found.get(replicas.me)
    for each in found.values():
        if mine is not None and each.settings != mine.settings:
            raise StoreUnreadable(
                place,
                f"the {each.role} with the process id {each.pid} on {each.host} uses it with another "
                "FACE_EMULATOR_BLOBS_URL or FACE_EMULATOR_SEED",
                "give all servers and workers the same settings",
            )


def _blobs(settings: Settings, folder: Path) -> FolderBlobs | ObjectBlobs:
    if settings.blobs_url is None:
        return FolderBlobs(folder / "blobs")
    address = StoreAddress.parse(settings.blobs_url)
    if settings.data_dir is None and settings.database_url is None:
        # The blobs are deleted together with the temporary folder of the records, so use a separate folder.
        address = address.below(folder.name)
    return ObjectBlobs(address)


@contextlib.contextmanager
def store_errors(records: SqliteRecords | PostgresRecords) -> Iterator[None]:
    """Convert errors about a data folder, a database or their content to StoreUnreadable."""
    remedy = ("use another database",) if records.is_shared else ()
    try:
        yield
    except StoreUnavailable as error:
        if error.store != DATA_FOLDER:
            raise
        raise StoreUnreadable(records.place, error.reason) from error
    except ValidationError as error:
        wrong = (
            ".".join([error.title, *map(str, each["loc"])]) + ": " + each["msg"] for each in error.errors()
        )
        raise StoreUnreadable(records.place, "; ".join(wrong), *remedy) from error
    except (OSError, sqlite3.Error, ValueError, TypeError, LookupError) as error:
        raise StoreUnreadable(records.place, f"{type(error).__name__}: {error}", *remedy) from error


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


async def open_adapters(adapters: Adapters, stack: contextlib.AsyncExitStack) -> None:
    """Lock the data folder, and open the database and the blob storage.

    Closing ``stack`` closes the database and the fetcher, unlocks the folder, and deletes a temporary one.
    """
    if adapters.is_temporary:
        # The finalizer alone is not enough: a signal can end the process before the finalizer runs.
        stack.push_async_callback(asyncio.to_thread, _remove, adapters.folder)
    remove_leftovers_later()
    if adapters.is_temporary or not adapters.records.is_shared:
        stack.enter_context(sole_user(adapters.folder))
    await adapters.records.open()
    stack.push_async_callback(adapters.records.close)
    if not isinstance(adapters.queue, LocalWorkers):
        await adapters.queue.open()
    await adapters.blobs.open()
    if adapters.is_temporary and not adapters.records.is_shared and isinstance(adapters.blobs, ObjectBlobs):
        stack.push_async_callback(_forget_blobs, adapters.blobs)
    stack.push_async_callback(adapters.fetcher.close)


async def _forget_blobs(blobs: ObjectBlobs) -> None:
    try:
        await blobs.forget(None)
    except StoreUnavailable as error:
        logger.warning("the blobs of this run could not be deleted: %s", error)


def describe_adapters(settings: Settings, adapters: Adapters) -> dict[str, str]:
    """Return descriptions of the database, the blob storage and the queue, for the health check."""
    folder = "a temporary folder" if settings.data_dir is None else str(settings.data_dir)
    shared = "Procrastinate in the same database, and " if adapters.queue.is_in_database else ""
    files = f"files in {folder}" if settings.blobs_url is None else f"objects in {settings.blobs_url}"
    return {
        "records": adapters.records.place if adapters.records.is_shared else f"SQLite in {folder}",
        "blobs": files,
        "queue": f"{shared}local worker processes: {settings.workers}",
    }

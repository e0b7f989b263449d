"""``face-emulator demo``, which sends a picture to the emulated APIs of all vendors."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from emulator.face.errors import ImageError
from emulator.pipelines.core import sample_photo
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import ImageRules
from emulator.server import running_server
from emulator.web.demonstration import POLL_SECONDS, TIMEOUT_SECONDS, DemoFailed

ANY_FORMAT = ImageRules(frozenset({"jpeg", "png", "webp", "bmp", "heic"}))


@dataclass
class Progress:
    """The finished steps of the demo, with their durations and results."""

    console: Console
    rows: list[tuple[str, str, float, str]] = field(default_factory=list)

    @contextmanager
    def step(self, vendor: str, what: str) -> Iterator[Callable[[str], None]]:
        """Display a step while the ``with`` block runs, and measure its duration.

        The block describes its results by passing texts to the yielded function.
        """
        made: list[str] = []
        started = time.perf_counter()
        with self.console.status(f"{vendor}: {what}"):
            yield made.append
        self.rows.append((vendor, what, (time.perf_counter() - started) * 1000, ", ".join(made)))

    def documents(self) -> list[dict[str, object]]:
        """Return the steps as JSON objects."""
        names = ("vendor", "step", "ms", "result")
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def table(self) -> Table:
        """Return the finished steps as a table."""
        table = Table("vendor", "what", "ms", "result")
        table.columns[2].justify = "right"
        for vendor, what, elapsed_ms, made in self.rows:
            table.add_row(vendor, what, f"{elapsed_ms:.0f}", made)
        return table


def run_demo(photo: Path | None, folder: Path, *, as_json: bool = False) -> None:
    """Send ``photo`` to all emulated APIs, write the results to ``folder``, and print the finished steps.

    If ``photo`` is None, send a sample picture of a synthetic face. Print a table or, with ``as_json``, JSON.

    Raises
    ------
    DemoFailed
        If the picture cannot be decoded, or an emulated API answers with an error.
    """
    console = Console(stderr=as_json)
    progress = Progress(console)
    folder.mkdir(parents=True, exist_ok=True)
    data = _read_photo(photo, progress)
    with ExitStack() as stack:
        with progress.step("emulator", "start, load the face core") as made:
            server = stack.enter_context(running_server())
            client = stack.enter_context(
                httpx.Client(base_url=server.base_url, timeout=TIMEOUT_SECONDS, trust_env=False)
            )
            while client.get("/_emulator/ready").status_code != httpx.codes.OK:
                time.sleep(POLL_SECONDS)
            made(server.base_url)
        for vendor in server.app.state.vendors:
            demonstrate = importlib.import_module(f"{vendor.package}.demo").demonstrate
            demonstrate(client, data, folder, partial(progress.step, vendor.title))
    if as_json:
        json.dump({"folder": str(folder), "steps": progress.documents()}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    console.print(progress.table())
    console.print(f"results: {folder}")


def _read_photo(photo: Path | None, progress: Progress) -> bytes:
    """Return ``photo``, or the sample picture if it is None, as a JPEG, which all vendors accept."""
    with progress.step("demo", f"read {photo.name if photo else 'the sample'}") as made:
        data = photo.read_bytes() if photo else sample_photo()
        try:
            picture = decode_picture(data, ANY_FORMAT)
        except ImageError as error:
            raise DemoFailed(f"{photo}: {error}") from error
        height, width = picture.image.shape[:2]
        made(f"{picture.format}, {width} x {height}")
    return data if picture.format == "jpeg" else encode_jpeg(picture.image)

"""The command ``face-emulator``."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# What a command needs is imported in it: `--help` answers at once, and so does every worker
# process, which loads this module as the main one.
if TYPE_CHECKING:
    from emulator.server import Listening
    from emulator.settings import Settings

# ruff: noqa: PLC0415 - the reason stands above

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _describe() -> None:
    """Emulate three face-AI web APIs on this machine."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 3468,
) -> None:
    """Serve until stopped."""
    from pydantic import ValidationError

    from emulator.backends.queue import WorkerLost
    from emulator.server import AddressInUse
    from emulator.server import serve as serve_forever
    from emulator.settings import Settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = Settings()
        asyncio.run(serve_forever(settings, host, port, lambda listening: _announce(listening, settings)))
    except (AddressInUse, ValidationError, ValueError) as error:
        typer.echo(f"face-emulator: {error}", err=True)
        raise typer.Exit(1) from error
    except WorkerLost as error:
        typer.echo(
            f"face-emulator: the face core cannot be loaded ({error}); its reason stands above", err=True
        )
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        pass


async def _announce(listening: Listening, settings: Settings) -> None:
    """Print the banner, and ``Ready.`` as the last line."""
    vendors = listening.app.state.vendors
    width = max(len(vendor.title) for vendor in vendors)
    for vendor in vendors:
        typer.echo(f"{vendor.title:<{width}}  {listening.base_url}{vendor.prefixes[0]}")
    typer.echo(f"{'Control':<{width}}  {listening.base_url}/_emulator")
    typer.echo(f"seed {settings.seed}, clock {listening.app.state.services.clock.describe()}")
    await listening.app.state.services.queue.wait_until_warm()
    typer.echo("Ready.")


@app.command()
def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="A photo of one person; a synthetic face if left out.")
    ] = None,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Where the results are written.")] = Path(
        "demo"
    ),
) -> None:
    """Send a photo through all three vendors of a private emulator, and keep what comes back."""
    from emulator.demo import DemoFailed, run_demo

    try:
        run_demo(photo, folder)
    except (DemoFailed, OSError) as error:
        typer.echo(f"face-emulator: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def faces(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the picture goes: .jpg or .png.")],
    seed: Annotated[int, typer.Option(help="Another seed is another person.")] = 0,
    yaw: Annotated[float, typer.Option(help="Degrees; positive turns towards the person's left.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Degrees; positive looks up.")] = 0.0,
    roll: Annotated[float, typer.Option(help="Degrees; positive tilts to the person's left shoulder.")] = 0.0,
    size: Annotated[int, typer.Option(help="Pixels on a side.", min=64, max=4096)] = 640,
) -> None:
    """Make a picture of a person who does not exist."""
    from emulator.face.synthetic import SyntheticFaceSpec, render_face
    from emulator.pipelines.images import encode_as

    spec = SyntheticFaceSpec(seed=seed, yaw=yaw, pitch=pitch, roll=roll, width=size, height=size)
    picture_format = "png" if output.suffix.lower() == ".png" else "jpeg"
    output.write_bytes(encode_as(picture_format, render_face(spec).image))


def main() -> None:
    """Run the command line."""
    app()

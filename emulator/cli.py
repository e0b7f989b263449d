"""The command ``face-emulator``."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator import control_commands
from emulator.arithmetic import arithmetic_variables

# What a command needs is imported in it: `--help` answers at once, and so does every worker
# process, which loads this module as the main one.
if TYPE_CHECKING:
    from emulator.server import Listening
    from emulator.settings import Settings

# ruff: noqa: PLC0415 - the reason stands above

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(control_commands.clock, name="clock")
app.add_typer(control_commands.faults, name="faults")
app.add_typer(control_commands.scenario, name="scenario")
app.add_typer(control_commands.snapshot, name="snapshot")
app.add_typer(control_commands.tasks, name="tasks")
app.add_typer(control_commands.calls, name="calls")
app.add_typer(control_commands.webhooks, name="webhooks")
app.add_typer(control_commands.credentials, name="credentials")
app.command()(control_commands.costs)
app.command()(control_commands.lifetimes)
app.command()(control_commands.health)
app.command()(control_commands.ready)
app.command()(control_commands.openapi)
app.command()(control_commands.reset)


@app.callback()
def _describe() -> None:
    """Emulate three face-AI web APIs on this machine."""
    # Before anything loads numpy: what is drawn and computed here is so on other processors too.
    os.environ.update(arithmetic_variables())


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 3468,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep everything here over a stop; goes before FACE_EMULATOR_DATA_DIR."),
    ] = None,
) -> None:
    """Serve until stopped."""
    from emulator.backends.queue import WorkerLost
    from emulator.backends.records import StoreUnreadable
    from emulator.control.init import InitFailed
    from emulator.control.scenario import ScenarioUnreadable
    from emulator.server import AddressInUse
    from emulator.server import serve as serve_forever
    from emulator.settings import Settings
    from emulator.web.faults import UnknownFault
    from emulator.web.lifetimes import LifetimeRefused

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").addFilter(_without_query)
    try:
        settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
        asyncio.run(serve_forever(settings, host, port, lambda listening: _announce(listening, settings)))
    except (
        AddressInUse,
        InitFailed,
        LifetimeRefused,
        ScenarioUnreadable,
        StoreUnreadable,
        UnknownFault,
        ValueError,
        OSError,
    ) as error:
        raise _stopped(error, 1) from error
    except WorkerLost as error:
        typer.echo(
            f"face-emulator: the face core cannot be loaded ({error}); its reason stands above", err=True
        )
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        pass


def _without_query(record: logging.LogRecord) -> bool:
    """Keep what stands in queries, keys and signatures among it, out of the log; logs get about."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


async def _announce(listening: Listening, settings: Settings) -> None:
    """Print the banner, and ``Ready.`` as the last line."""
    vendors = listening.app.state.vendors
    width = max(len(vendor.title) for vendor in vendors)
    for vendor in vendors:
        typer.echo(f"{vendor.title:<{width}}  {listening.base_url}{vendor.prefixes[0]}")
    control = f"{listening.control_url}/_emulator" if listening.control_url else "off (the setting `control`)"
    typer.echo(f"{'Control':<{width}}  {control}")
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
    except (DemoFailed, ValueError, OSError) as error:
        raise _stopped(error, 1) from error


@app.command()
def explore(
    command: Annotated[
        list[str], typer.Argument(help="The client, after `--`: it fails by its exit status.")
    ],
    *,
    url: Annotated[
        str | None, typer.Option(help="An emulator that runs already; a private one if left out.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Where webhooks go; left out if the client adds its endpoint itself."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="What they are signed with, for `--endpoint`; made up if left out.")
    ] = None,
    polls: Annotated[
        int, typer.Option(help="How many polls are told at most that a task runs.", min=0, max=20)
    ] = 2,
    limit: Annotated[int, typer.Option(help="How many orders are tried at most.", min=1)] = 100,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the client may take; one that takes longer is broken.", min=1)
    ] = 60.0,
    patience: Annotated[
        float, typer.Option(help="Seconds that a poll is waited for: more than lie between two.", min=0)
    ] = 3.0,
) -> None:
    """Run a client under every order of polls and webhooks, and name the order that breaks it.

    It finds the emulator at FACE_EMULATOR_URL, and calls it with the key FACE_EMULATOR_CREDENTIAL.
    """
    from emulator.explore import CannotExplore, Exploration, explore_orders

    asked = Exploration(
        tuple(command),
        endpoint=endpoint,
        secret=secret,
        most_polls=polls,
        limit=limit,
        timeout_s=timeout,
        patience_s=patience,
    )
    try:
        broken = explore_orders(asked, url)
    except (CannotExplore, ValueError, OSError) as error:
        raise _stopped(error, 2) from error
    if broken:
        raise typer.Exit(1)


@app.command()
def faces(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the picture goes: .jpg or .png.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A test face; `list` shows all of them.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another person.", min=0)] = 0,
    people: Annotated[int, typer.Option(help="How many, side by side; seeds count up.", min=1, max=8)] = 1,
    yaw: Annotated[float, typer.Option(help="Degrees; positive turns towards the person's left.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Degrees; positive looks up.")] = 0.0,
    roll: Annotated[float, typer.Option(help="Degrees; positive tilts to the person's left shoulder.")] = 0.0,
    smile: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    open_mouth: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    closed_eyes: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    raised_brows: Annotated[float, typer.Option(min=0, max=1)] = 0.0,
    identity: Annotated[
        Path | None, typer.Option(help="JSON with 80 numbers, or with `identity_coefficients`, as written.")
    ] = None,
    skin_tone: Annotated[int | None, typer.Option(help="1 to 10 on the Monk scale.")] = None,
    hair: Annotated[
        str | None, typer.Option(help="{short,long,ponytail}_{straight,wavy}, curly or bald.")
    ] = None,
    hair_color: Annotated[
        str | None, typer.Option(help="black, dark_brown, brown, auburn, blond or grey.")
    ] = None,
    gender: Annotated[str | None, typer.Option(help="female or male.")] = None,
    glasses: Annotated[bool | None, typer.Option(help="Worn, or not; the seed decides if left out.")] = None,
    covered_mouth: Annotated[bool, typer.Option(help="Behind a medical mask.")] = False,
    light: Annotated[str | None, typer.Option(help="soft, left, right, above, warm, cold or dark.")] = None,
    background: Annotated[str | None, typer.Option(help="studio, wall, window or outdoors.")] = None,
    blur: Annotated[float, typer.Option(help="Out of focus, in parts of the face's width.")] = 0.0,
    size: Annotated[int, typer.Option(help="Pixels on a side.", min=64, max=4096)] = 640,
    fraction: Annotated[float, typer.Option(help="The face's part of the picture's width.")] = 0.4,
    truth: Annotated[
        bool, typer.Option(help="Write what is known of the picture beside it, as JSON.")
    ] = True,
) -> None:
    """Make a picture of people who do not exist, or one of the named test faces."""
    import json

    from emulator.face.synthetic import Expression, SyntheticFaceSpec
    from emulator.face.synthetic.named import NAMED_FACES
    from emulator.pipelines.faces import UnknownFace, draw_faces, named_face

    if name == "list":
        width = max(map(len, NAMED_FACES))
        for known, face in NAMED_FACES.items():
            typer.echo(f"{known:<{width}}  {face.shows}")
        return
    if output is None:
        typer.echo("face-emulator: say with -o where the picture goes", err=True)
        raise typer.Exit(2)
    picture_format = "png" if output.suffix.lower() == ".png" else "jpeg"
    try:
        if name is not None:
            picture = named_face(name, picture_format)
        else:
            coefficients = None if identity is None else _identity_in(json.loads(identity.read_text()))
            specs = [
                SyntheticFaceSpec(
                    seed=seed + index,
                    identity_coefficients=coefficients,
                    yaw=yaw,
                    pitch=pitch,
                    roll=roll,
                    expression=Expression(smile, open_mouth, closed_eyes, raised_brows),
                    skin_tone=skin_tone,
                    hair_type=hair,  # type: ignore[arg-type]  # the spec checks it
                    hair_color=hair_color,  # type: ignore[arg-type]  # the spec checks it
                    gender=gender,  # type: ignore[arg-type]  # the spec checks it
                    glasses=glasses,
                    covered_mouth=covered_mouth,
                    light=light,  # type: ignore[arg-type]  # the spec checks it
                    background=background,  # type: ignore[arg-type]  # the spec checks it
                    blur=blur,
                    width=size,
                    height=size,
                    face_fraction=fraction if people == 1 else min(fraction, 0.55 / people),
                    center=((index + 0.5) / people, 0.53),
                )
                for index in range(people)
            ]
            picture = draw_faces(specs, picture_format)
        output.write_bytes(picture.data)
        if truth:
            output.with_suffix(".json").write_text(picture.truth)
    except (UnknownFace, ValueError, OSError) as error:
        raise _stopped(error, 1) from error


@app.command()
def drift(
    *,
    vendor: Annotated[str, typer.Option(help="Its name; a wrong one is answered with the right ones.")],
    base_url: Annotated[str, typer.Option(help="Of the real service, such as https://api.example.com.")] = "",
    key: Annotated[
        str | None,
        typer.Option(
            envvar="FACE_DRIFT_KEY",
            help="In the vendor's form: `api_key:api_secret`, a token or a bearer key.",
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A sample; may be said several times.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say which samples there are.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Write the real answers into this folder, as golden samples.")
    ] = None,
    golden: Annotated[Path | None, typer.Option(help="A folder of samples, in place of the own.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write what differs into this file, as JSON.")] = None,
    pace: Annotated[
        float | None, typer.Option(help="Seconds between calls; 1.25, if the service is elsewhere.", min=0)
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that a call may take.", min=0.001)] = 30.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before calls that may be billed.")] = False,
) -> None:
    """Send the golden requests to a real service and to the emulator, and say in what they differ.

    The exit code is 0 if in nothing, 1 if in anything, 2 if it could not be found out.
    """
    import sys

    from rich.console import Console

    from emulator.drift.command import DriftFailed, DriftOptions, list_samples, run_drift

    options = DriftOptions(vendor, base_url, key, tuple(only or ()), golden, record, json, pace, timeout)
    console = Console()
    try:
        if list_:
            list_samples(options, console)
            return
        differs = run_drift(
            options, console, lambda: yes or (sys.stdin.isatty() and typer.confirm("Send them?"))
        )
    except (DriftFailed, ValueError, OSError) as error:
        raise _stopped(error, 2) from error
    if differs:
        raise typer.Exit(1)


def _identity_in(document: object) -> tuple[float, ...]:
    """Return the 80 numbers that a JSON document holds: bare, or as ``faces`` writes them."""
    if isinstance(document, dict):
        faces = document.get("faces") or [document]
        document = faces[0].get("identity_coefficients")
    if not isinstance(document, list):
        raise ValueError("the identity is no list of 80 numbers, and has no identity_coefficients")  # noqa: TRY004 - a wrong file, not a wrong type
    return tuple(float(number) for number in document)


def _stopped(error: Exception, code: int) -> typer.Exit:
    """Return how a command ends that tells why it cannot go on; wrong settings are ``ValueError``."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    reasons = [str(error)]
    if isinstance(error, ValidationError | SettingsError):
        import emulator.vendors
        from emulator.variables import refusals
        from emulator.web.vendor import discover_vendors

        reasons = refusals(error, discover_vendors(emulator.vendors))
    for reason in reasons:
        typer.echo(f"face-emulator: {reason}", err=True)
    return typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app()

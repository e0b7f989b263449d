from __future__ import annotations

import io
from functools import cache
from importlib import resources

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.face.complete_head import (
    PARTS,
    CompleteHead,
    complete_head,
    complete_head_data,
)
from emulator.face.fit import fit_head
from emulator.face.landmarks import (
    LEFT_EYE,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LIPS_INNER,
    LIPS_OUTER,
    MIRROR,
    RIGHT_EYE,
    SURFACE_COUNT,
)
from emulator.face.likely_shape import likely_shape, observed_shape
from emulator.face.mesh import boundary_edges
from emulator.face.rasterize import rasterize
from emulator.face.synthetic import Expression, SyntheticFaceSpec, render_face
from emulator.face.types import Points2, Points3, Triangles
from emulator.face.unfolding import unfolded
from emulator.pipelines.core import detector
from emulator.pipelines.reconstruct import CROPS
from laboratory.crossings import crossing_triangles

# fmt: off
ARKIT_NAMES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft",
    "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)
# fmt: on

# Half of the people show an expression and turn their heads.
PEOPLE = range(10)
MIRRORED = list(MIRROR[:SURFACE_COUNT])


@cache
def somebody(seed: int) -> Points3:
    """Return the face (468, 3) that is reconstructed from a picture of a synthetic person."""
    rng = np.random.default_rng(seed)
    acting = seed >= len(PEOPLE) // 2
    spec = SyntheticFaceSpec(
        seed=720_000 + seed,
        expression=Expression(*(rng.random(4) * (rng.random(4) < 0.5))) if acting else Expression(),
        yaw=acting * rng.uniform(-30, 30),
        pitch=acting * rng.uniform(-15, 15),
        width=360,
        height=360,
    )
    landmarks = detector().detect(render_face(spec).image, crops=CROPS)[0].landmarks
    return unfolded(observed_shape([fit_head(landmarks)]))


def mean_face() -> Points3:
    return unfolded(likely_shape().mean)


def skin(head: CompleteHead, vertices: Points3 | None = None) -> tuple[Points3, Triangles]:
    part = complete_head_data().part_vertices["skin"]
    return (head.mesh.vertices if vertices is None else vertices)[part], head.part("skin").triangles


def landmarks_of(head: CompleteHead, vertices: Points3) -> Points3:
    """Return the landmarks (468, 3) of a head, moved as the places on the skin move."""
    data = complete_head_data()
    moved = ((vertices - head.mesh.vertices)[data.corners] * data.weights[:, :, None]).sum(axis=1)
    landmarks: Points3 = head.landmarks() + moved
    return landmarks


def turned(head: CompleteHead) -> NDArray[np.bool_]:
    """Return which triangles of the skin have a normal opposite to the one in MakeHuman's head."""
    resting, triangles = complete_head_data().mesh.vertices, skin(head)[1]
    normals = []
    for vertices in (resting @ head.rotation.T, head.mesh.vertices):
        a, b, c = vertices[triangles].transpose(1, 0, 2)
        normals.append(np.cross(b - a, c - a))
    opposite: NDArray[np.bool_] = (normals[0] * normals[1]).sum(axis=1) < 0
    return opposite


def parts_in_front(vertices: Points3) -> dict[str, NDArray[np.bool_]]:
    """Return where each part is visible in a frontal picture (800, 800) with 30 pixels per centimetre."""
    data = complete_head_data()
    points = np.column_stack([in_front(vertices), -vertices[:, 2]])
    index = rasterize(points, data.mesh.triangles, 800, 800).triangle_index
    return {name: (index >= part.start) & (index < part.stop) for name, part in data.part_triangles.items()}


def in_front(points: Points3) -> Points2:
    """Return the pixels (N, 2) of points (N, 3) in this picture."""
    return np.stack([400 + 30 * points[:, 0], 400 - 30 * points[:, 1]], axis=1)


def area(visible: NDArray[np.bool_]) -> float:
    """Return the area of a part of this picture in square centimetres."""
    return float(visible.sum()) / 30**2


def test_the_head_has_the_documented_parts() -> None:
    data = complete_head_data()
    sizes = {
        name: (data.part_vertices[name].stop - data.part_vertices[name].start, len(triangles))
        for name in PARTS
        for triangles in [data.mesh.triangles[data.part_triangles[name]]]
    }
    assert sizes == {
        "skin": (4243, 8482),
        "right_eye": (72, 140),
        "left_eye": (72, 140),
        "upper_teeth": (68, 96),
        "lower_teeth": (68, 96),
        "tongue": (226, 448),
    }
    assert data.mesh.vertices.shape == (4749, 3)
    assert data.mesh.uv_triangles.shape == data.mesh.triangles.shape == (9402, 3)
    assert data.mesh.uv.min() >= 0.0
    assert data.mesh.uv.max() <= 1.0
    assert data.mesh.uv_triangles.max() == len(data.mesh.uv) - 1


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_a_closed_surface_but_for_the_roots_of_the_teeth(name: str) -> None:
    part = complete_head(mean_face()).part(name)
    triangles = part.triangles
    assert sorted(np.unique(triangles)) == list(range(len(part.vertices)))
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    # No directed edge occurs twice: two triangles at an edge have the same orientation.
    assert len(np.unique(edges, axis=0)) == len(edges)
    assert len(boundary_edges(triangles)) == (38 if name.endswith("teeth") else 0)
    if not name.endswith("teeth"):
        # A sphere: mouth and eye sockets are pockets of the skin, without holes.
        undirected = np.unique(np.sort(edges, axis=1), axis=0)
        assert len(part.vertices) - len(undirected) + len(triangles) == 2
        a, b, c = part.vertices[triangles].transpose(1, 0, 2)
        assert (np.cross(a, b) * c).sum() > 0


def test_the_face_units_have_the_names_of_arkit() -> None:
    assert sorted(complete_head_data().units) == sorted(ARKIT_NAMES)
    assert sorted(complete_head(mean_face()).face_units()) == sorted(ARKIT_NAMES)
    assert len(ARKIT_NAMES) == 52


def test_the_stored_head_is_symmetric() -> None:
    data = complete_head_data()
    np.testing.assert_array_equal(data.mesh.vertices[data.mirror] * (-1, 1, 1), data.mesh.vertices)
    np.testing.assert_array_equal(data.mirror[data.mirror], np.arange(len(data.mirror)))
    places = data.places(data.mesh.vertices)
    np.testing.assert_allclose(places[MIRRORED] * (-1, 1, 1), places, atol=1e-6)
    for name, unit in data.units.items():
        other = name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")
        fields = np.zeros((2, *data.mesh.vertices.shape))
        for field, side in zip(fields, (unit, data.units[other]), strict=True):
            field[side.vertices] = side.displacements
        np.testing.assert_allclose(fields[0][data.mirror] * (-1, 1, 1), fields[1], atol=0.0011)


@pytest.mark.parametrize("seed", [None, *PEOPLE])
def test_the_skin_passes_through_the_face_and_does_not_fold(seed: int | None) -> None:
    face = mean_face() if seed is None else somebody(seed)
    head = complete_head(face)
    off = np.linalg.norm(head.landmarks() - face, axis=1)
    assert np.median(off) < 0.02
    assert off.max() < 0.2
    assert len(crossing_triangles(*skin(head))) == 0
    # In a mouth that is wide open, the skin inside the corners turns over.
    wide_open = face[13, 1] - face[14, 1] > 1.0
    assert turned(head).sum() <= (8 if wide_open else 0)


@pytest.mark.parametrize("seed", [None, *PEOPLE])
def test_eyeballs_are_visible_only_between_the_lids(seed: int | None) -> None:
    face = mean_face() if seed is None else somebody(seed)
    visible = parts_in_front(complete_head(face).mesh.vertices)
    for eye, ring in (("right_eye", RIGHT_EYE), ("left_eye", LEFT_EYE)):
        outline = in_front(face[list(ring)]).astype(np.float32)
        rows, columns = np.nonzero(visible[eye])
        inside = [
            cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True)
            for x, y in zip(columns, rows, strict=True)
        ]
        # The outline of the landmarks is a polygon. The edge of the skin is a finer one.
        assert min(inside) > -0.03 * 30
        assert area(visible[eye]) > 0.6 * cv2.contourArea(outline) / 30**2


@pytest.mark.parametrize("seed", [None, *PEOPLE])
def test_closed_lips_hide_the_teeth(seed: int | None) -> None:
    face = mean_face() if seed is None else somebody(seed)
    visible = parts_in_front(complete_head(face).mesh.vertices)
    hidden = sum(area(visible[part]) for part in ("upper_teeth", "lower_teeth", "tongue"))
    closed = face[13, 1] - face[14, 1] < 0.06
    # A line of 0.6 mm along the lips.
    assert (hidden < 0.3) if closed else (hidden > 0.05)


def test_a_mirrored_face_has_the_mirrored_head() -> None:
    face, data = somebody(6), complete_head_data()
    head, other = complete_head(face), complete_head(face[MIRRORED] * (-1.0, 1.0, 1.0))
    mirrored = other.mesh.vertices[data.mirror] * (-1.0, 1.0, 1.0)
    np.testing.assert_allclose(mirrored, head.mesh.vertices, atol=1e-4)
    blink, same = head.posed({"eyeBlinkLeft": 1.0}), other.posed({"eyeBlinkRight": 1.0})
    np.testing.assert_allclose(same[data.mirror] * (-1.0, 1.0, 1.0), blink, atol=1e-3)


def test_a_larger_head_is_the_same_head() -> None:
    face = somebody(1)
    head, larger = complete_head(face), complete_head(1.01 * face + [0.5, -0.3, 0.2])
    assert larger.scale == pytest.approx(1.01 * head.scale)
    off = larger.mesh.vertices - (1.01 * head.mesh.vertices + [0.5, -0.3, 0.2])
    assert np.abs(off).max() < 0.01


def test_the_back_of_the_head_and_the_ears_keep_their_form() -> None:
    resting = complete_head_data().mesh.vertices
    for seed in PEOPLE:
        head = complete_head(somebody(seed))
        vertices, triangles = skin(head)
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
        edges = edges[(resting[edges, 2] < -1.0).all(axis=1)]
        now, before = (np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (vertices, resting))
        stretch = now / before / head.scale
        assert stretch.min() > 0.7
        assert stretch.max() < 1.4


@pytest.mark.parametrize("seed", [None, *PEOPLE])
def test_the_jaw_opens_the_mouth_and_the_lower_teeth(seed: int | None) -> None:
    head = complete_head(mean_face() if seed is None else somebody(seed))
    before, after = head.landmarks(), landmarks_of(head, head.posed({"jawOpen": 1.0}))
    opened = (after[13, 1] - after[14, 1]) - (before[13, 1] - before[14, 1])
    assert 3.0 * head.scale < opened < 4.5 * head.scale
    moved = head.posed({"jawOpen": 1.0}) - head.mesh.vertices
    parts = complete_head_data().part_vertices
    assert moved[parts["lower_teeth"], 1].max() < -0.1
    for still in ("upper_teeth", "right_eye", "left_eye"):
        assert not moved[parts[still]].any()
    above = head.mesh.vertices[:, 1] > before[2, 1] + 4.0
    assert np.linalg.norm(moved[above], axis=1).max() < 0.2


@pytest.mark.parametrize("seed", [None, *PEOPLE])
def test_a_blink_closes_the_left_eye_and_moves_nothing_else(seed: int | None) -> None:
    head = complete_head(mean_face() if seed is None else somebody(seed))
    moved = head.posed({"eyeBlinkLeft": 1.0})
    before, after = head.landmarks(), landmarks_of(head, moved)
    upper, lower = list(LEFT_UPPER_LID[2:-2]), list(LEFT_LOWER_LID[2:-2])
    assert (before[upper, 1] - before[lower, 1]).min() > 0.05
    assert np.abs(after[upper, 1] - after[lower, 1]).max() < 0.12
    open_eye, closed_eye = (parts_in_front(vertices)["left_eye"] for vertices in (head.mesh.vertices, moved))
    assert closed_eye.sum() < 0.05 * open_eye.sum()
    motion = np.linalg.norm(moved - head.mesh.vertices, axis=1)
    # The person's left side is on the viewer's right.
    eye = head.mesh.vertices[complete_head_data().part_vertices["left_eye"]].mean(axis=0)
    assert eye[0] > 2.0
    far = np.linalg.norm(head.mesh.vertices - eye, axis=1) > 4.5
    assert not motion[far].any()
    lips = [*LIPS_OUTER, *LIPS_INNER, *RIGHT_EYE]
    np.testing.assert_array_equal(after[lips], before[lips])


def test_weights_of_zero_and_no_weights_change_nothing() -> None:
    head = complete_head(mean_face())
    np.testing.assert_array_equal(head.posed(dict.fromkeys(ARKIT_NAMES, 0.0)), head.mesh.vertices)
    np.testing.assert_array_equal(head.posed({}), head.mesh.vertices)
    with pytest.raises(KeyError, match="jawopen"):
        head.posed({"jawopen": 1.0})


def test_face_units_add_up() -> None:
    head = complete_head(mean_face())
    expected = head.mesh.vertices.copy()
    for name, weight in (("jawOpen", 0.3), ("mouthSmileLeft", 0.8)):
        unit = head.face_units()[name]
        assert (np.diff(unit.vertices) > 0).all()
        expected[unit.vertices] += weight * unit.displacements
    np.testing.assert_allclose(head.posed({"jawOpen": 0.3, "mouthSmileLeft": 0.8}), expected, atol=1e-12)


def test_normals_point_outwards() -> None:
    head = complete_head(mean_face())
    normals = head.normals()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-9)
    front, back = head.mesh.vertices[:, 2].argmax(), head.mesh.vertices[:, 2].argmin()
    assert normals[front, 2] > 0.7
    assert normals[back, 2] < -0.7


def test_the_same_face_gives_the_same_bytes() -> None:
    face = somebody(2)
    assert complete_head(face).mesh.vertices.tobytes() == complete_head(face.copy()).mesh.vertices.tobytes()


def test_the_stored_arrays_are_read_only() -> None:
    data = complete_head_data()
    floats = [data.mesh.vertices, data.mesh.uv, data.weights, data.offsets]
    integers = [data.mesh.triangles, data.mesh.uv_triangles, data.mirror, data.corners]
    for unit in data.units.values():
        floats.append(unit.displacements)
        integers.append(unit.vertices)
    assert not any(array.flags.writeable for array in floats)
    assert not any(array.flags.writeable for array in integers)


def test_the_file_is_small() -> None:
    stored = resources.files("emulator.face").joinpath("data/complete_head.npz").read_bytes()
    assert len(stored) < 400_000
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        assert len(arrays.files) == 14


@pytest.mark.parametrize("face", [np.zeros((467, 3)), np.zeros((468, 2)), np.full((468, 3), np.nan)])
def test_other_faces_are_refused(face: Points3) -> None:
    with pytest.raises(ValueError, match="face"):
        complete_head(face)


@pytest.mark.parametrize("place_cm", [0.0, 1.7])
def test_a_face_in_one_place_is_refused(place_cm: float) -> None:
    with pytest.raises(ValueError, match="one place"):
        complete_head(np.full((SURFACE_COUNT, 3), place_cm))


@pytest.mark.parametrize("name", ["a line", "flat", "upside down"])
@pytest.mark.filterwarnings("error")
def test_a_face_that_no_blink_can_close_keeps_the_stored_blink(name: str) -> None:
    face = {
        "a line": np.outer(np.arange(float(SURFACE_COUNT)), [0.02, 0.006, 0.002]),
        "flat": mean_face() * (0.0, 1.0, 1.0),
        "upside down": mean_face() * (-1.0, -1.0, 1.0),
    }[name]
    head = complete_head(face)
    assert np.isfinite(head.mesh.vertices).all()
    if name != "flat":
        assert dict(head.blinks) == {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}

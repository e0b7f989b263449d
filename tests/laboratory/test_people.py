from __future__ import annotations

import numpy as np

from emulator.face.canonical import canonical_mesh
from emulator.face.detector_error import detector_error
from emulator.face.head import head_mesh
from emulator.face.identity import IDENTITY_COUNT, mesh
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.likely_shape import likely_shape
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from laboratory.deviations import mirror_image
from laboratory.norms import PUBLISHED, aligned, proportions
from laboratory.people import Seen, regression
from laboratory.portraits import in_perspective
from laboratory.registration import registered


def test_the_landmarks_are_found_on_a_head_of_another_mesh() -> None:
    # The head mesh is finer than the canonical mesh, and continues beyond the outline of the face.
    coefficients = np.random.default_rng(3).normal(size=IDENTITY_COUNT)
    face = mesh(coefficients).vertices
    face = (face + mirror_image(face)) / 2
    head = head_mesh(face)
    detected = face + np.array([0.0, 0.0, 1.5])  # the depth of the detected landmarks is not used
    points = registered(head.vertices, head.triangles, detected).on(head.vertices)
    off = np.linalg.norm(points - face, axis=1)
    assert np.median(off) < 0.15
    assert off.max() < 0.8


def test_a_regression_finds_a_linear_relation_and_ignores_the_shift_of_a_look() -> None:
    rng = np.random.default_rng(0)
    count = len(detector_error().directions)
    truth = rng.normal(size=(30, 3 * SURFACE_COUNT)) / 40
    shift = rng.normal(size=count)
    looks = []
    for sign in (-1, 1):
        evidence = rng.normal(size=(3000, count))
        looks.append(Seen(evidence + sign * 8 * shift, evidence[:, :30] @ truth))
    slopes, fields = regression(looks)
    flat = fields.reshape(len(fields), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-10)
    other = rng.normal(size=count)
    for noise in np.linalg.qr(np.array([shift, detector_error().bias[0]]).T)[0].T:
        other -= other @ noise * noise
    found, wanted = (slopes @ other) @ flat, other[:30] @ truth
    assert np.linalg.norm(found - wanted) < 0.1 * np.linalg.norm(wanted)
    assert np.linalg.norm((slopes @ shift) @ flat) < 0.1 * np.linalg.norm(shift[:30] @ truth)


def test_proportions_do_not_depend_on_size_and_place() -> None:
    face = canonical_mesh().vertices
    np.testing.assert_allclose(proportions(1.3 * face + [1.0, 2.0, 3.0]), proportions(face), atol=1e-12)


def test_the_mean_head_is_between_the_published_proportions_and_the_canonical_mesh() -> None:
    mean, canonical = proportions(likely_shape().mean), proportions(canonical_mesh().vertices)
    np.testing.assert_allclose(mean[:3], PUBLISHED[:3], atol=0.02)
    assert abs(mean[0] - PUBLISHED[0]) < abs(canonical[0] - PUBLISHED[0])
    np.testing.assert_allclose(aligned(likely_shape().mean), likely_shape().mean, atol=0.02)


def test_in_perspective_distorts_a_head_as_a_near_camera_does() -> None:
    vertices = mesh(np.ones(IDENTITY_COUNT)).vertices
    rotation, distance = rotation_matrix(Pose(20, 5, 3)), 40.0
    seen = WeakPerspective(1.0, rotation, np.zeros(2)).project(
        in_perspective(vertices, rotation, 1 / distance)
    )
    x, y, z = (vertices @ rotation.T).T
    np.testing.assert_allclose(seen[:, :2], np.stack([x, -y], axis=1) * (distance / (distance - z))[:, None])

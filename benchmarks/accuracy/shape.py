"""Errors of head shapes from one picture and from three, measured on synthetic people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.people import (
    JPEG,
    MILLIMETRES,
    Floats,
    eye_distance,
    observe,
    say,
    shape_error_mm,
    true_shape,
)
from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.fit import fit_head, fit_views
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.likely_shape import observed_shape
from emulator.face.types import Points3, Triangles
from emulator.face.unfolding import opening_vertices, unfolded
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import WavefrontOptions
from emulator.pipelines.reconstruct import reconstruct_wavefront
from emulator.vendors.faceplusplus.face3d.wire import transfer_matrix

YAWS = (-30, -15, 0, 15, 30)


def shape_table(people: Sequence[int]) -> None:
    """Print the errors of landmarks, coefficients and shape, for each yaw and for three views together.

    The OBJ is measured on the same people with the mean of people in place of the canonical mesh.
    """
    deviations = identity.identity_modes().deviations_cm
    say(f"Shape, {len(people)} synthetic people at rest; pitch and roll -10..10 degrees")
    say(
        f"{'yaw':>12} {'landmarks':>10} {'identity':>9} {'(by size)':>9} {'shape mm:':>10} "
        f"{'mean head':>9} {'MediaPipe':>9} {'80 numbers':>10} {'OBJ':>9}"
    )
    for yaw in YAWS:
        _shape_row(f"{yaw:+d}", people, (yaw,), deviations)
    _shape_row("-25, 0, +25", people, (-25, 0, 25), deviations)


def _shape_row(name: str, people: Sequence[int], yaws: Sequence[float], deviations: Floats) -> None:
    landmark, errors, true, found = [], [], [], []
    for person in people:
        observations = [observe(person, yaw) for yaw in yaws]
        seen = [
            (observation.synthetic, observation.landmarks)
            for observation in observations
            if observation.landmarks is not None
        ]
        alike = [observe(person, yaw, around_mean=True).landmarks for yaw in yaws]
        views = [landmarks for landmarks in alike if landmarks is not None]
        if len(seen) < len(yaws) or len(views) < len(yaws):
            continue
        truth = true_shape(person)
        fits = fit_views([landmarks for _, landmarks in seen])
        raw = np.mean([fit.landmarks_cm for fit in fits], axis=0)
        for synthetic, landmarks in seen:
            off = np.linalg.norm(landmarks[:SURFACE_COUNT, :2] - synthetic.landmarks[:, :2], axis=1)
            landmark.append(100 * off.mean() / eye_distance(synthetic.landmarks))
        shapes = (canonical_mesh().vertices, raw, fits[0].mesh.vertices)
        shape = unfolded(observed_shape(fit_views(views)))
        delivered = shape_error_mm(shape, true_shape(person, around_mean=True))
        errors.append([*(shape_error_mm(shape, truth) for shape in shapes), delivered])
        true.append(seen[0][0].identity_coefficients)
        found.append(fits[0].identity_coefficients)
    mean, mediapipe, ours, obj = np.mean(errors, axis=0)
    coefficients, recovered = np.array(true), np.array(found)
    say(
        f"{name:>12} {np.mean(landmark):9.2f}% {_correlation(coefficients, recovered):9.3f} "
        f"{_correlation(coefficients * deviations, recovered * deviations):9.3f} {'':>10} "
        f"{mean:9.2f} {mediapipe:9.2f} {ours:10.2f} {obj:9.2f}"
        f"   ({ours / mean:.0%} of the mean head's, {len(errors)} of {len(people)} found)"
    )


def _correlation(one: Floats, other: Floats) -> float:
    """Return the Pearson correlation."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def views_table(people: Sequence[int]) -> None:
    """Print how much smaller the shape error is with three views of a person than with one."""
    one: list[list[float]] = []
    three: list[list[float]] = []
    for person in people:
        errors: dict[int, list[float]] = {1: [], 3: []}
        for around_mean in (False, True):
            seen = [observe(person, yaw, around_mean=around_mean).landmarks for yaw in (0, -25, 25)]
            views = [landmarks for landmarks in seen if landmarks is not None]
            if len(views) < len(seen):
                continue
            truth = true_shape(person, around_mean=around_mean)
            for count, found in errors.items():
                fits = fit_views(views[:count])
                shape = unfolded(observed_shape(fits)) if around_mean else fits[0].mesh.vertices
                found.append(shape_error_mm(shape, truth))
        if len(errors[1]) == 2:
            one.append(errors[1])
            three.append(errors[3])
    say("Three views (-25, 0, +25) against one from the front, same people: shape error, mm")
    for column, name in enumerate(("80 numbers", "OBJ")):
        first, all_three = np.array(one)[:, column], np.array(three)[:, column]
        gain = first - all_three
        say(
            f"{name:>12} one {first.mean():.2f}   three {all_three.mean():.2f}   by {gain.mean():.2f} less "
            f"(standard error {gain.std() / np.sqrt(len(gain)):.2f}), for {(gain > 0).mean():.0%} of people"
        )


def unfolding_table(people: Sequence[int]) -> None:
    """Print how far lips, lids and nostrils move until no triangle is flipped, and how many stay flipped."""
    triangles = canonical_mesh().triangles
    near = triangles[np.isin(triangles, opening_vertices()).any(axis=1)]
    motions, before, after = [], 0, 0
    for person in people:
        rng = np.random.default_rng([person, 6])
        for yaw in rng.uniform(-30, 30, 4):
            landmarks = observe(person, float(yaw), with_expression=True).landmarks
            if landmarks is None:
                continue
            shape = observed_shape([fit_head(landmarks)])
            free = unfolded(shape)
            motions.append(MILLIMETRES * float(np.linalg.norm(free - shape, axis=1).max()))
            before += _flipped(shape, near)
            after += _flipped(free, near)
    say(
        "Unfolding of heads from one picture: yaw -30..30, half of the people with each part of an expression"
    )
    say(
        f"{len(motions)} heads, {before} with flipped triangles before and {after} after; largest motion of "
        f"a vertex: median {np.median(motions):.2f} mm, at most {max(motions):.2f} mm"
    )


def _flipped(shape: Points3, triangles: Triangles) -> bool:
    """Return whether a triangle is flipped as seen from the front."""
    corners = shape[triangles][:, :, :2]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return bool((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] <= 0.0).any())


def matrix_table(people: Sequence[int]) -> None:
    """Print the distance between the OBJ's vertices, projected by transfer_matrix, and the landmarks."""
    say("transfer_matrix: median distance of projected OBJ vertices, % of the eye distance")
    say(f"{'photos':>12} {'from detected':>14} {'from true':>10}")
    options = WavefrontOptions(JPEG, 64, 10.0, "face.mtl", "tex.jpg")
    for name, yaws in (("one", (0,)), ("one, turned", (25,)), ("three", (0, -25, 25))):
        detected: list[float] = []
        true: list[float] = []
        for person in people:
            observations = [observe(person, yaw, around_mean=True) for yaw in yaws]
            if any(observation.landmarks is None for observation in observations):
                continue
            photos = [encode_jpeg(observation.synthetic.image, quality=95) for observation in observations]
            head = reconstruct_wavefront(photos, options)
            lines = [line.split()[1:] for line in head.obj.splitlines() if line.startswith("v ")]
            vertices = np.array(lines, np.float64)[:SURFACE_COUNT]
            for view, observation in zip(head.views, observations, strict=True):
                x, y, _, _ = transfer_matrix(view) @ np.column_stack([vertices, np.ones(SURFACE_COUNT)]).T
                pixels = np.column_stack([view.width / 2 + x, view.height / 2 - y]) - 0.5
                size = eye_distance(observation.synthetic.landmarks)
                for goal, errors in (
                    (observation.landmarks, detected),
                    (observation.synthetic.landmarks, true),
                ):
                    if goal is not None:
                        off = np.linalg.norm(pixels - goal[:SURFACE_COUNT, :2], axis=1)
                        errors.append(100 * float(np.median(off)) / size)
        say(f"{name:>12} {np.mean(detected):13.2f}% {np.mean(true):9.2f}%")

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emulator.face.canonical import canonical_mesh
from emulator.face.identity import (
    IDENTITY_COUNT,
    coefficients,
    identity_modes,
    mesh,
    mirrored,
    standardized,
)
from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.types import Points3

SURFACE_MIRROR = np.array(MIRROR[:SURFACE_COUNT])

somebody = arrays(np.float64, IDENTITY_COUNT, elements=st.floats(-4, 4))


def test_zeros_are_the_canonical_mesh_to_the_bit() -> None:
    np.testing.assert_array_equal(mesh(np.zeros(IDENTITY_COUNT)).vertices, canonical_mesh().vertices)


def test_modes_are_orthonormal() -> None:
    flat = identity_modes().modes.reshape(IDENTITY_COUNT, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(IDENTITY_COUNT), atol=1e-13)


def test_modes_are_even_or_odd_to_the_bit() -> None:
    basis = identity_modes()
    image = basis.modes[:, SURFACE_MIRROR] * (-1, 1, 1)
    np.testing.assert_array_equal(image, basis.parities[:, None, None] * basis.modes)


def test_modes_neither_move_nor_turn_nor_scale_the_head() -> None:
    vertices = canonical_mesh().vertices
    centred = vertices - vertices.mean(axis=0)
    modes = identity_modes().modes
    np.testing.assert_allclose(modes.sum(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose(np.cross(centred, modes).sum(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose((centred * modes).sum(axis=(1, 2)), 0, atol=1e-10)


def test_coarse_modes_come_first_and_vary_most() -> None:
    deviations = identity_modes().deviations_cm
    assert (np.diff(deviations) <= 0).all()
    assert deviations[-1] > 0


@given(somebody)
def test_coefficients_survive_the_round_trip(identity: Points3) -> None:
    np.testing.assert_allclose(coefficients(mesh(identity).vertices), identity, atol=1e-11)


@given(somebody)
def test_the_mirror_image_of_a_head_is_the_head_of_the_mirrored_coefficients(identity: Points3) -> None:
    image = mesh(identity).vertices[SURFACE_MIRROR] * (-1, 1, 1)
    np.testing.assert_allclose(mesh(mirrored(identity)).vertices, image, atol=1e-12)


@given(somebody, somebody)
def test_heads_mix_linearly(one: Points3, other: Points3) -> None:
    between = mesh((one + other) / 2).vertices
    np.testing.assert_allclose(between, (mesh(one).vertices + mesh(other).vertices) / 2, atol=1e-11)


def test_a_head_shares_topology_and_texture_with_the_canonical_mesh() -> None:
    head = mesh(np.ones(IDENTITY_COUNT))
    assert head.triangles is canonical_mesh().triangles
    assert head.uv is canonical_mesh().uv


@given(somebody)
def test_delivered_numbers_are_coefficients_in_other_units(identity: Points3) -> None:
    units = 1 / standardized(np.ones(IDENTITY_COUNT))
    np.testing.assert_allclose(standardized(identity) * units, identity, atol=1e-12)
    # Mirrored people have mirrored numbers, and those of the 64 finer modes have one unit.
    np.testing.assert_array_equal(standardized(mirrored(identity)), mirrored(standardized(identity)))
    assert set(units[16:]) == {units[16]}
    assert 0.4 < units.min() < units.max() < 0.9


def test_wrong_shapes_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="80"):
        mesh(np.zeros(79))
    with pytest.raises(ValueError, match="finite"):
        mesh(np.full(IDENTITY_COUNT, np.nan))
    with pytest.raises(ValueError, match="468"):
        coefficients(np.zeros((467, 3)))


def test_modes_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        identity_modes().modes[0] = 0

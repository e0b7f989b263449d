"""The pose of a head, and the camera that projects it to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.face.types import Matrix, Points2, Points3


@dataclass(frozen=True)
class Pose:
    """The rotation of a head relative to a frontal view, in degrees.

    Attributes
    ----------
    yaw : float
        Positive if the head turns to its own left: the nose moves to the right of the picture.
    pitch : float
        -90 to 90. Positive upwards: the nose moves up.
    roll : float
        Positive if the head tilts towards its own left shoulder: the top of the head moves to the right
        of the picture.
    """

    yaw: float
    pitch: float
    roll: float


def rotation_matrix(pose: Pose) -> Matrix:
    """Return the rotation (3, 3) from model space to the camera's axes.

    The head turns by ``yaw`` about its own vertical axis, then by ``pitch`` about the camera's horizontal
    axis, then by ``roll`` in the plane of the picture. So a rotation of the picture changes only the roll.
    The camera's axes are x right, y up, z towards the camera.
    """
    yaw, pitch, roll = np.radians((pose.yaw, pose.pitch, pose.roll))
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    cosine, sine = np.cos(pitch), np.sin(pitch)
    nod = np.array([[1.0, 0.0, 0.0], [0.0, cosine, sine], [0.0, -sine, cosine]])
    cosine, sine = np.cos(roll), np.sin(roll)
    tilt = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    rotation: Matrix = tilt @ nod @ turn
    return rotation


def pose_from_rotation(rotation: Matrix) -> Pose:
    """Return the Pose of ``rotation``: the inverse of ``rotation_matrix``.

    If the head looks straight up or down, yaw and roll turn about the same axis. In this case, the roll is 0.
    """
    cosine = np.hypot(rotation[0, 1], rotation[1, 1])
    pitch = np.arctan2(-rotation[2, 1], cosine)
    if cosine > 1e-9:
        yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
        roll = np.arctan2(rotation[0, 1], rotation[1, 1])
    else:
        yaw = np.arctan2(rotation[0, 2], rotation[0, 0])
        roll = 0.0
    return Pose(float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll)))


def similarity_transform(
    src: NDArray[np.float64], dst: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> tuple[float, Matrix, NDArray[np.float64]]:
    """Return the scale, rotation and translation that map ``src`` closest to ``dst``.

    They minimise the weighted sum of squares in ``dst ~ scale * src @ rotation.T + translation``. The
    rotation has no reflection. Source: S. Umeyama, "Least-squares estimation of transformation parameters
    between two point patterns", 1991, doi:10.1109/34.88573.

    Parameters
    ----------
    src, dst : (N, D) float64
    weights : (N,) float64, optional
        Not negative, and not all zero. Ones by default.

    Returns
    -------
    scale : float
    rotation : (D, D) float64
    translation : (D,) float64

    Raises
    ------
    ValueError
        If the shapes do not agree, the weights are invalid, or all points of ``src`` are the same.
    """
    if src.ndim != 2 or src.shape != dst.shape:
        raise ValueError(f"src and dst must both be (N, D), not {src.shape} and {dst.shape}")
    weights = np.ones(len(src)) if weights is None else weights
    if weights.shape != (len(src),) or weights.min() < 0 or weights.sum() <= 0:
        raise ValueError("weights must be (N,), not negative, and not all zero")
    share = weights / weights.sum()
    centre_src, centre_dst = share @ src, share @ dst
    centred_src, centred_dst = src - centre_src, dst - centre_dst
    variance = float(share @ (centred_src**2).sum(axis=1))
    if variance <= 0:
        raise ValueError("src must hold at least two different points")
    covariance = (centred_dst * share[:, None]).T @ centred_src
    left, singular, right = np.linalg.svd(covariance)
    # Equation 43: flip the last axis if the best orthogonal matrix is a reflection.
    signs = np.ones(src.shape[1])
    if np.linalg.det(left @ right) < 0:
        signs[-1] = -1.0
    rotation: Matrix = (left * signs) @ right
    scale = float(singular @ signs) / variance
    return scale, rotation, centre_dst - scale * rotation @ centre_src


@dataclass(frozen=True, eq=False)
class WeakPerspective:
    """A weak perspective camera: the projection of model space to a picture.

    Attributes
    ----------
    scale : float
        Pixels per centimetre.
    rotation : (3, 3) float64
        From model space to the camera's axes (x right, y up, z towards the camera).
    translation : (2,) float64
        Position of the origin of model space in the picture, in pixels: x right, y down.
    """

    scale: float
    rotation: Matrix
    translation: NDArray[np.float64]

    def enlarged(self, factor: int, corner: tuple[int, int] = (0, 0)) -> WeakPerspective:
        """Return the camera for the larger picture, which was cut at ``corner`` and reduced by ``factor``.

        ``corner`` holds x and y in the larger picture, in pixels.
        """
        # Pixel centres are at integers, so the corner of a picture is at -0.5.
        translation = (self.translation + 0.5) * factor + np.array(corner) - 0.5
        return WeakPerspective(self.scale * factor, self.rotation, translation)

    def project(self, vertices: Points3) -> Points3:
        """Project ``vertices`` (V, 3), in centimetres in model space, to the picture.

        Returns
        -------
        (V, 3) float64
            Pixels: x right, y down, z away from the camera. z is 0 at the origin of model space.
        """
        projected = self.scale * (vertices @ self.rotation.T) * (1.0, -1.0, -1.0)
        projected[:, :2] += self.translation
        return projected

    def unproject(self, points: Points3) -> Points3:
        """Return the positions (V, 3) in model space of ``points`` (V, 3): the inverse of ``project``."""
        centred = points.copy()
        centred[:, :2] -= self.translation
        return (centred * (1.0, -1.0, -1.0) / self.scale) @ self.rotation

    def refined(
        self, vertices: Points3, pixels: Points2, weights: NDArray[np.float64], rounds: int = 4
    ) -> WeakPerspective:
        """Return the camera near this one that projects ``vertices`` closest to ``pixels``.

        Gauss-Newton steps for rotation, scale and translation minimise the weighted sum of squared distances
        in the picture. Depths have no influence.

        Parameters
        ----------
        vertices : (V, 3) float64
            Centimetres in model space. At least four vertices, not in one plane.
        pixels : (V, 2) float64
            Their target positions: x right, y down.
        weights : (V,) float64
            Not negative.
        rounds : int
            Number of steps. If this camera is off by a few degrees, four steps reach 0.001 pixels.
        """
        camera, both = self, np.concatenate([weights, weights])
        count = len(vertices)
        for _ in range(rounds):
            right, up, near = (vertices @ camera.rotation.T).T
            # Derivatives of the projection with respect to rotations about the camera's axes, log scale and
            # translation, all in centimetres.
            nothing, one = np.zeros(count), np.ones(count)
            moves = np.concatenate(
                [
                    np.column_stack([nothing, near, -up, right, one, nothing]),
                    np.column_stack([near, nothing, -right, -up, nothing, one]),
                ]
            )
            missing = (pixels - camera.project(vertices)[:, :2]).T.reshape(-1) / camera.scale
            weighted = moves * both[:, None]
            step = np.linalg.solve(weighted.T @ moves, weighted.T @ missing)
            camera = WeakPerspective(
                camera.scale * float(np.exp(step[3])),
                _turn(step[:3]) @ camera.rotation,
                camera.translation + camera.scale * step[4:],
            )
        return camera


def _turn(vector: NDArray[np.float64]) -> Matrix:
    """Return the rotation (3, 3) about ``vector`` by its length in radians (Rodrigues' formula)."""
    x, y, z = vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = float(np.linalg.norm(vector))
    # np.sinc is sin(pi x) / (pi x), and 1 at zero.
    sine, versine = np.sinc(angle / np.pi), np.sinc(angle / (2 * np.pi)) ** 2 / 2
    turn: Matrix = np.eye(3) + sine * cross + versine * cross @ cross
    return turn

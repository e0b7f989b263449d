"""The parameters of a reshape, and their ranges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReshapeParameters:
    """The parameters of a reshape. The value 0 changes nothing.

    ``cheekbones`` and ``jaw`` range from 0 to 1, all other parameters from -1 to 1. Left and right are from
    the person's point of view. Parameters without a side in their name act on both sides. The descriptions
    name the effect of negative values first.

    Attributes
    ----------
    cheekbones, jaw : float
        A face that is narrower at the cheekbones, or at the corners of the jaw (0 to 1).
    face_reshape_left, face_reshape_right : float
        A smaller or larger side of the face.
    face_width : float
        A narrower or wider face; eyes, nose and mouth do not move.
    chin_reshape_left, chin_reshape_right : float
        A narrower or wider chin.
    chin_length : float
        A shorter or longer chin.
    eye_size_left, eye_size_right : float
        An eye with a smaller or larger area.
    eye_width, eye_height : float
        Narrower or wider eyes; flatter or taller eyes.
    eye_distance : float
        Eyes that are closer together or further apart.
    eye_angle : float
        Outer corners of the eyes down or up. The vendor calls the two directions inward and outward
        tilt. This project assumes that outward means up.
    nose_bridge_width, nose_tip_width, nose_wing : float
        A narrower or wider bridge, tip or pair of wings.
    nose_lift : float
        The lower part of the nose moved down or up.
    nose_size : float
        A smaller or larger nose.
    nose_tip : float
        The tip of the nose moved up or down.
    lip_size : float
        Lips with a smaller or larger area.
    lip_width : float
        A narrower or wider mouth.
    lip_height_top, lip_height_bottom : float
        A thinner or fuller lip.
    lip_peak : float
        A smoother or more defined Cupid's bow.

    Raises
    ------
    ValueError
        If a value is out of its range or not finite.
    """

    cheekbones: float = 0.0
    jaw: float = 0.0
    face_reshape_left: float = 0.0
    face_reshape_right: float = 0.0
    face_width: float = 0.0
    chin_reshape_left: float = 0.0
    chin_reshape_right: float = 0.0
    chin_length: float = 0.0
    eye_size_left: float = 0.0
    eye_size_right: float = 0.0
    eye_width: float = 0.0
    eye_height: float = 0.0
    eye_distance: float = 0.0
    eye_angle: float = 0.0
    nose_bridge_width: float = 0.0
    nose_lift: float = 0.0
    nose_size: float = 0.0
    nose_tip: float = 0.0
    nose_tip_width: float = 0.0
    nose_wing: float = 0.0
    lip_size: float = 0.0
    lip_width: float = 0.0
    lip_height_top: float = 0.0
    lip_height_bottom: float = 0.0
    lip_peak: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            lowest = 0.0 if name in ONE_SIDED else -1.0
            # This form also rejects NaN.
            if not lowest <= value <= 1.0:
                raise ValueError(f"{name} must be {lowest:g} to 1, not {value}")

    @property
    def is_zero(self) -> bool:
        """Whether all parameters are 0."""
        return not any(vars(self).values())


ONE_SIDED = frozenset({"cheekbones", "jaw"})
"""The parameters that range from 0 to 1."""

"""The class ``Proportions``: lengths and angles of a face."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Proportions:
    """Lengths in centimetres and angles in degrees, in a picture that is turned until the head is upright.

    Vertical lengths shrink if the head looks up or down, and horizontal lengths if it turns. Left and right
    are from the person's point of view. Lengths and angles without a side are means of both sides.

    Attributes
    ----------
    forehead, midface, lower_face : float
        Height from the hairline to the line between the inner ends of the brows, from there to the base of
        the nose, and from there to the chin. The hairline is an estimate.
    temple_width, cheek_width, jaw_width : float
        Width between the temples, of the cheeks where the face is widest, and between the corners of the jaw.
    right_jaw_angle, left_jaw_angle : float
        Angle at a corner of the jaw, between the ear and the tip of the chin.
    chin_width, chin_height, chin_angle : float
        Width of the chin just above its tip, height from the lower lip to the tip, and angle at the tip.
    right_eye_width, left_eye_width, eye_height : float
        Between the corners, and between the lids in the middle.
    right_eye_margin, left_eye_margin, inner_eye_distance : float
        From the outer corner of an eye to the outline, and between the inner corners.
    inner_eye_angle : float
        Angle between the lids at the inner corner.
    pupils_angle : float
        Angle at the base of the nose between the pupils.
    brow_width, brow_height, brow_thickness : float
        Width from end to end, height from the lowest to the highest point, and distance of the edges in the
        middle.
    brow_rise, brow_slope : float
        Angle of the line from the inner end to the highest point, and from the inner end to the outer end;
        positive if the line goes up.
    nose_width : float
        Between the wings.
    mouth_width, mouth_height, lip_thickness : float
        Between the corners, from the highest point of the upper lip to the lowest of the lower lip, and the
        mean thickness of both lips.
    mouth_corner_angle : float
        Angle between the vertical and the line from the middle of the mouth to a corner; less than 90 if the
        corner is raised.
    """

    forehead: float
    midface: float
    lower_face: float
    temple_width: float
    cheek_width: float
    jaw_width: float
    right_jaw_angle: float
    left_jaw_angle: float
    chin_width: float
    chin_height: float
    chin_angle: float
    right_eye_width: float
    left_eye_width: float
    eye_height: float
    right_eye_margin: float
    left_eye_margin: float
    inner_eye_distance: float
    inner_eye_angle: float
    pupils_angle: float
    brow_width: float
    brow_height: float
    brow_thickness: float
    brow_rise: float
    brow_slope: float
    nose_width: float
    mouth_width: float
    mouth_height: float
    lip_thickness: float
    mouth_corner_angle: float

    @property
    def face_height(self) -> float:
        """Height from the hairline to the chin, in centimetres."""
        return self.forehead + self.midface + self.lower_face

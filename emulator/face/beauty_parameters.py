"""The parameters of a beautification, and their ranges."""

from __future__ import annotations

from dataclasses import dataclass, fields

from emulator.face.reshape_parameters import ReshapeParameters


@dataclass(frozen=True)
class BeautyParameters:
    """Strengths from 0, which changes nothing, to 1.

    Attributes
    ----------
    whitening : float
        Brighter skin with less colour.
    smoothing : float
        Skin with fewer blemishes and wrinkles, and with a more even colour.
    thin_face : float
        Narrower cheeks and a narrower jaw.
    shrink_face : float
        A smaller outline of the face, with a shorter chin.
    enlarge_eyes : float
        Eyes with a larger area.
    remove_eyebrows : float
        Skin in place of the eyebrows.

    Raises
    ------
    ValueError
        If a value is out of its range or not finite.
    """

    whitening: float = 0.0
    smoothing: float = 0.0
    thin_face: float = 0.0
    shrink_face: float = 0.0
    enlarge_eyes: float = 0.0
    remove_eyebrows: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # This form also rejects NaN.
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} must be 0 to 1, not {value}")

    @property
    def is_zero(self) -> bool:
        """Whether all parameters are 0."""
        return not any(getattr(self, field.name) for field in fields(self))

    def shape(self, share: float = 1.0) -> ReshapeParameters:
        """Return the reshape parameters for ``thin_face``, ``shrink_face`` and ``enlarge_eyes``.

        Each of the three is first multiplied by ``share`` (0 to 1).
        """
        thin, small, eyes = share * self.thin_face, share * self.shrink_face, share * self.enlarge_eyes
        # Together, both motions of the outline would reach the features, so each moves less.
        outline = 1.0 - _LESS_TOGETHER * thin * small
        return ReshapeParameters(
            face_width=-_WIDTH * outline * thin,
            jaw=_JAW * outline * thin,
            face_reshape_left=-_SIZE * outline * small,
            face_reshape_right=-_SIZE * outline * small,
            chin_length=-_CHIN * outline * small,
            eye_size_left=eyes,
            eye_size_right=eyes,
        )


# Values of the reshape parameters for ``thin_face`` 1 (the first two) and ``shrink_face`` 1 (the others).
_WIDTH, _JAW, _SIZE, _CHIN = 0.75, 0.3, 0.9, 0.6
_LESS_TOGETHER = 0.28

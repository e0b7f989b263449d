"""Indices of the landmarks by part of the face, and their mirror images.

Landmarks 0 to 467 are on the surface of the face, and are the vertices of the canonical mesh. Landmarks 468
to 477 are the irises. Left and right are from the person's point of view. A group of the left side is the
mirror image of the group of the right side, point by point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LANDMARK_COUNT: Final = 478
"""Number of landmarks of a face, including the irises."""

SURFACE_COUNT: Final = 468
"""Number of landmarks on the surface of the face. The landmarks of the irises come after them."""

# Derivation (in laboratory.triangulation; a test repeats it): the triangles of the face form a disc. One
# reflection maps the border of the disc, the face oval, onto itself and keeps the middle of the forehead
# (landmark 10) in place. To find the mirror images, walk over the triangles from the forehead to both sides
# at once. The irises have no triangles, so their mirror images are written by hand.
# fmt: off
MIRROR: Final[tuple[int, ...]] = (
    0, 1, 2, 248, 4, 5, 6, 249, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 250, 251, 252, 253, 254, 255,
    256, 257, 258, 259, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 272, 273, 274, 275, 276,
    277, 278, 279, 280, 281, 282, 283, 284, 285, 286, 287, 288, 289, 290, 291, 292, 293, 294, 295, 296, 297,
    298, 299, 300, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 311, 312, 313, 314, 315, 316, 317, 318,
    319, 320, 321, 322, 323, 94, 324, 325, 326, 327, 328, 329, 330, 331, 332, 333, 334, 335, 336, 337, 338,
    339, 340, 341, 342, 343, 344, 345, 346, 347, 348, 349, 350, 351, 352, 353, 354, 355, 356, 357, 358, 359,
    360, 361, 362, 363, 364, 365, 366, 367, 368, 369, 370, 371, 372, 373, 374, 375, 376, 377, 378, 379, 151,
    152, 380, 381, 382, 383, 384, 385, 386, 387, 388, 389, 390, 164, 391, 392, 393, 168, 394, 395, 396, 397,
    398, 399, 175, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417,
    418, 195, 419, 197, 420, 199, 200, 421, 422, 423, 424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434,
    435, 436, 437, 438, 439, 440, 441, 442, 443, 444, 445, 446, 447, 448, 449, 450, 451, 452, 453, 454, 455,
    456, 457, 458, 459, 460, 461, 462, 463, 464, 465, 466, 467, 3, 7, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
    30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55,
    56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81,
    82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106,
    107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
    128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 148,
    149, 150, 153, 154, 155, 156, 157, 158, 159, 160, 161, 162, 163, 165, 166, 167, 169, 170, 171, 172, 173,
    174, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193, 194, 196,
    198, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220,
    221, 222, 223, 224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240, 241,
    242, 243, 244, 245, 246, 247, 473, 476, 475, 474, 477, 468, 471, 470, 469, 472,
)
# fmt: on
"""For each of the 478 landmarks, the index of its mirror image."""


def _mirrored(group: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(MIRROR[index] for index in group)


MIDLINE: Final = tuple(index for index, mirror in enumerate(MIRROR) if index == mirror)
"""The landmarks that are their own mirror images."""

# The oval, from the middle of the forehead down the person's right side.
_RIGHT_OVAL = (109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148)

FACE_OVAL: Final = (10, *_mirrored(_RIGHT_OVAL), 152, *_RIGHT_OVAL[::-1])
"""The outline of the face, from the forehead down the left side and up the right side (36 landmarks)."""

UPPER_LIP_OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
"""The upper edge of the upper lip, from the right corner of the mouth to the left one (11 landmarks)."""

UPPER_LIP_INNER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
"""The lower edge of the upper lip, from right to left (11 landmarks)."""

LOWER_LIP_INNER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""The upper edge of the lower lip, from right to left (11 landmarks)."""

LOWER_LIP_OUTER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
"""The lower edge of the lower lip, from right to left (11 landmarks)."""

LIPS_OUTER: Final = UPPER_LIP_OUTER + LOWER_LIP_OUTER[-2:0:-1]
"""The ring around both lips (20 landmarks)."""

LIPS_INNER: Final = UPPER_LIP_INNER + LOWER_LIP_INNER[-2:0:-1]
"""The ring around the opening of the mouth (20 landmarks)."""

RIGHT_UPPER_LID: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133)
"""The edge of the upper lid of the right eye, from the outer corner to the inner one (9 landmarks)."""

RIGHT_LOWER_LID: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133)
"""The edge of the lower lid of the right eye, from the outer corner to the inner one (9 landmarks)."""

LEFT_UPPER_LID: Final = _mirrored(RIGHT_UPPER_LID)
LEFT_LOWER_LID: Final = _mirrored(RIGHT_LOWER_LID)

RIGHT_EYE: Final = RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1]
"""The ring around the opening of the right eye (16 landmarks)."""

LEFT_EYE: Final = _mirrored(RIGHT_EYE)

RIGHT_EYE_OUTER_CORNER: Final = 33
RIGHT_EYE_INNER_CORNER: Final = 133
LEFT_EYE_OUTER_CORNER: Final = 263
LEFT_EYE_INNER_CORNER: Final = 362

RIGHT_IRIS: Final = (468, 469, 470, 471, 472)
"""The right iris: the centre, then the edge towards the nose, up, outside and down (5 landmarks)."""

LEFT_IRIS: Final = _mirrored(RIGHT_IRIS)

RIGHT_EYEBROW_UPPER: Final = (70, 63, 105, 66, 107)
"""The upper edge of the right eyebrow, from the temple to the nose (5 landmarks)."""

RIGHT_EYEBROW_LOWER: Final = (46, 53, 52, 65, 55)
"""The lower edge of the right eyebrow, from the temple to the nose (5 landmarks)."""

RIGHT_EYEBROW: Final = RIGHT_EYEBROW_UPPER + RIGHT_EYEBROW_LOWER
LEFT_EYEBROW_UPPER: Final = _mirrored(RIGHT_EYEBROW_UPPER)
LEFT_EYEBROW_LOWER: Final = _mirrored(RIGHT_EYEBROW_LOWER)
LEFT_EYEBROW: Final = _mirrored(RIGHT_EYEBROW)

NOSE_BRIDGE: Final = (168, 6, 197, 195, 5)
"""The ridge of the nose, from between the eyes down to above the tip (5 landmarks)."""

NOSE_TIP: Final = 4
"""The landmark nearest to the camera in a frontal view."""

NOSE_BASE: Final = (98, 97, 2, 326, 327)
"""The line between the nose and the upper lip, from right to left (5 landmarks)."""

RIGHT_NOSE_WING: Final = (131, 49, 102, 129, 48, 115, 219, 64, 235, 98)
LEFT_NOSE_WING: Final = _mirrored(RIGHT_NOSE_WING)

# The bone of the nose and its slopes. Wings and tip are left out, because they move with the lips.
_RIGHT_NOSE_BONE = (193, 122, 196, 3, 245, 188, 174, 236, 51)

_RIGHT_NOSE_SIDE = (45, 220, 134, 198, 217, 126, 209, 114)

NOSE: Final = (
    *NOSE_BRIDGE,
    NOSE_TIP,
    *(1, 19, 94),
    *NOSE_BASE,
    *(*RIGHT_NOSE_WING[:-1], *LEFT_NOSE_WING[:-1]),
    *(*_RIGHT_NOSE_BONE, *_mirrored(_RIGHT_NOSE_BONE)),
    *(*_RIGHT_NOSE_SIDE, *_mirrored(_RIGHT_NOSE_SIDE)),
)
"""The whole nose."""

_RIGHT_NOSTRIL = (20, 59, 60, 75, 79, 99, 125, 141, 166, 219, 235, 237, 238, 239, 240, 241, 242)

NOSTRILS: Final = (19, 94, *_RIGHT_NOSTRIL, *_mirrored(_RIGHT_NOSTRIL))
"""The lower side of the nose, with the nostrils."""

RIGHT_CHEEK: Final = (116, 117, 118, 123, 50, 101, 36, 147, 187, 205, 207)
LEFT_CHEEK: Final = _mirrored(RIGHT_CHEEK)

RIGHT_TEMPLE: Final = (21, 162, 127, 71, 139, 34, 156, 143)
LEFT_TEMPLE: Final = _mirrored(RIGHT_TEMPLE)

_RIGHT_FOREHEAD = (109, 108, 67, 69, 103, 104, 54, 68)

FOREHEAD: Final = (10, 151, 9, *_RIGHT_FOREHEAD, *_mirrored(_RIGHT_FOREHEAD))

_RIGHT_CHIN = (148, 171, 208, 201, 176, 140, 32)

CHIN: Final = (152, 175, 199, 200, *_RIGHT_CHIN, *_mirrored(_RIGHT_CHIN))

CHIN_TIP: Final = 152
"""The lowest point of the outline of the face."""

RIGHT_JAW: Final = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
"""The outline of the face from the right ear to the tip of the chin (11 landmarks)."""

LEFT_JAW: Final = _mirrored(RIGHT_JAW)

_RIGHT_CHEEKBONE = (234, 227, 116, 111, 117, 123)

RIGID: Final = (
    *(10, 151, 9, 8),
    *NOSE_BRIDGE,
    *(*_RIGHT_FOREHEAD, *_mirrored(_RIGHT_FOREHEAD)),
    *(*RIGHT_TEMPLE, *LEFT_TEMPLE),
    *(*_RIGHT_CHEEKBONE, *_mirrored(_RIGHT_CHEEKBONE)),
    *(*_RIGHT_NOSE_BONE, *_mirrored(_RIGHT_NOSE_BONE)),
    *(RIGHT_EYE_OUTER_CORNER, RIGHT_EYE_INNER_CORNER, LEFT_EYE_OUTER_CORNER, LEFT_EYE_INNER_CORNER),
)
"""Points that speech and expressions move little: forehead, temples, cheekbones, nose bone, eye corners."""


def mirrored_landmarks(landmarks: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the landmarks of the same face in the mirror image of the picture.

    Parameters
    ----------
    landmarks : (478, 3) or (468, 3) float64
        In pixels.
    width : int
        Width of the picture in pixels. Pixel 0 maps to pixel ``width - 1``.
    """
    permuted: NDArray[np.float64] = landmarks[list(MIRROR[: len(landmarks)])]
    permuted[:, 0] = (width - 1) - permuted[:, 0]
    return permuted

"""Request and response models of Dense Facial Landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from emulator.vendors.faceplusplus.wire import (
    Base64,
    Body,
    KeyFields,
    Milliseconds,
    Point,
    Rectangle,
    RequestId,
    Upload,
)

if TYPE_CHECKING:
    from emulator.vendors.faceplusplus.dense_landmarks import Group

MOUTH, MOUTH_IN_REQUEST, ALL = "mouth", "mouse", "all"
"""The group of the mouth in a response and in a request, and the name that requests all groups."""


class ThousandLandmarkFields(KeyFields):
    """The documented fields of a request."""

    face_token: str = Field(default="", description="Id of a face, from a response of `detect`.")
    image_file: Upload = Field(
        default="",
        description="Photo: a JPEG or PNG of at most 2 MiB, sides of 100 to 4096 pixels. Ignored if "
        "`face_token` is sent.",
    )
    image_base64: Base64 = Field(
        default="", description="Photo as base64 text. Ignored if `face_token` or `image_file` is sent."
    )
    image_url: str = Field(
        default="",
        description="URL of the photo. Ignored if `face_token`, `image_file` or `image_base64` is sent.",
    )
    return_landmark: Annotated[str, Field(min_length=1)] = Field(
        description="`all`, or names of groups, separated by commas: `left_eyebrow`, `right_eyebrow`, "
        "`left_eye`, `left_eye_eyelid`, `right_eye`, `right_eye_eyelid`, `nose`, `mouse` (the mouth) and "
        "`face`."
    )


class DenseLandmark(Body):
    """The dense landmarks of a face by group. Left and right are the sides of the photo."""

    face: dict[str, Point] | None = Field(
        default=None,
        description="`face_hairline_0` to `144` from the right ear over the forehead to the left ear; "
        "`face_contour_right_0` to `63` and `face_contour_left_0` to `63` from the chin up to the ear on "
        "each side.",
    )
    left_eyebrow: dict[str, Point] | None = Field(
        default=None,
        description="`left_eyebrow_0` to `63` around the eyebrow: from the outer end along the upper edge to "
        "the inner end, and back along the lower edge.",
    )
    right_eyebrow: dict[str, Point] | None = Field(
        default=None, description="`right_eyebrow_0` to `63`, the mirror image of `left_eyebrow`."
    )
    left_eye: dict[str, Point | int] | None = Field(
        default=None,
        description="`left_eye_0` to `62` around the eye: from the outer corner along the upper lid to the "
        "inner corner, and back along the lower lid; `left_eye_pupil_center`, and the radius of the iris in "
        "pixels as `left_eye_pupil_radius`.",
    )
    left_eye_eyelid: dict[str, Point] | None = Field(
        default=None,
        description="`left_eye_eyelid_0` to `63`, a wider ring around the eye in the same direction.",
    )
    right_eye: dict[str, Point | int] | None = Field(
        default=None, description="`right_eye_0` to `62` and the pupil, the mirror image of `left_eye`."
    )
    right_eye_eyelid: dict[str, Point] | None = Field(
        default=None, description="`right_eye_eyelid_0` to `63`, the mirror image of `left_eye_eyelid`."
    )
    nose: dict[str, Point] | None = Field(
        default=None,
        description="`nose_left_0` to `62` and `nose_right_0` to `62` down each side of the nose and around "
        "the wing; `left_nostril` and `right_nostril`; `nose_midline_0` to `59` from the brows to the lip.",
    )
    mouth: dict[str, Point] | None = Field(
        default=None,
        description="`upper_lip_0` to `63` and `lower_lip_0` to `63` around each lip: from the left corner "
        "along the outer edge to the right corner, and back along the inner edge.",
    )


class DenseFace(Body):
    """A face with dense landmarks. It has no members if the photo has no face."""

    face_rectangle: Rectangle | None = Field(default=None, description="Box of the face.")
    landmark: DenseLandmark | None = Field(
        default=None,
        description="The requested groups of landmarks. Left and right are the sides of the photo.",
    )


class ThousandLandmarkResult(Body):
    """A successful response."""

    request_id: RequestId = Field(description="Id of the request: Unix time in seconds, a comma and a UUID.")
    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    face: DenseFace = Field(description="The largest face, or an empty object if the photo has no face.")


def dense_landmark(groups: dict[str, Group]) -> DenseLandmark:
    """Return the model of dense landmarks."""
    return DenseLandmark.model_validate(
        {
            name: {
                key: value if isinstance(value, int) else {"x": value[0], "y": value[1]}
                for key, value in group.items()
            }
            for name, group in groups.items()
        }
    )

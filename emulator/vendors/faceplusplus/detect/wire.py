"""Request and response models of Detect."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from emulator.vendors.faceplusplus.wire import (
    Body,
    Flag,
    HeadPose,
    ImageId,
    Milliseconds,
    PhotoFields,
    Point,
    Rectangle,
    RequestId,
    Score,
)

Percent = Annotated[int, Field(ge=0, le=100)]


class DetectFields(PhotoFields):
    """The documented fields of a request. Two of them are only on an older page."""

    return_landmark: Annotated[int, Field(json_schema_extra={"enum": [0, 1, 2], "default": 0})] = Field(
        default=0, description="`1` to get 83 landmarks, `2` to get 106, `0` to get none."
    )
    return_attributes: str = Field(
        default="none",
        description="Attributes to return, separated by commas: `gender`, `age`, `smiling`, `headpose`, "
        "`facequality`, `blur`, `eyestatus`, `emotion`, `beauty`, `mouthstatus`, `eyegaze`, `skinstatus`, "
        "`ethnicity`, or `none`.",
    )
    calculate_all: Flag = Field(
        default=0,
        description="`1` to get the landmarks and attributes of all faces, `0` to get those of the five "
        "largest faces.",
    )
    face_rectangle: str = Field(
        default="",
        description="Part of the photo to search: top, left, width and height in pixels, such as "
        "`70,80,100,100`.",
    )
    beauty_score_min: Percent = Field(default=0, description="Lowest possible score for `beauty`.")
    beauty_score_max: Percent = Field(default=100, description="Highest possible score for `beauty`.")


class Gender(Body):
    """Gender."""

    value: Literal["Male", "Female"] = Field(description="Gender, guessed from the photo.")


class Age(Body):
    """Age."""

    value: Annotated[int, Field(ge=0)] = Field(description="Age in years, made up.")


class Scored(Body):
    """A score and the threshold that the vendor recommends for it."""

    value: Score = Field(description="Score.")
    threshold: Score = Field(description="Recommended threshold.")


class Blur(Body):
    """Blur. All three scores are equal."""

    blurness: Scored = Field(description="Blur: 0 for a sharp face, above the threshold for a blurred one.")
    motionblur: Scored = Field(description="Same value as `blurness`.")
    gaussianblur: Scored = Field(description="Same value as `blurness`.")


class Eye(Body):
    """The probability of each state of an eye, in percent."""

    occlusion: Score = Field(description="Probability that something covers the eye. Always 0.")
    no_glass_eye_open: Score = Field(description="Probability that the eye is open, without glasses.")
    normal_glass_eye_close: Score = Field(description="Probability that the eye is closed, with glasses.")
    normal_glass_eye_open: Score = Field(description="Probability that the eye is open, with glasses.")
    dark_glasses: Score = Field(description="Probability that the eye is behind dark glasses.")
    no_glass_eye_close: Score = Field(description="Probability that the eye is closed, without glasses.")


class Eyes(Body):
    """The states of both eyes. Left is the left side of the photo."""

    left_eye_status: Eye = Field(description="State of the eye on the left side of the photo.")
    right_eye_status: Eye = Field(description="State of the eye on the right side of the photo.")


class Emotion(Body):
    """The probability of each emotion, in percent. It is made up from the smile and the mouth."""

    anger: Score = Field(description="Anger.")
    disgust: Score = Field(description="Disgust.")
    fear: Score = Field(description="Fear.")
    happiness: Score = Field(description="Happiness, computed from the smile.")
    neutral: Score = Field(description="No emotion.")
    sadness: Score = Field(description="Sadness.")
    surprise: Score = Field(description="Surprise, computed from an open mouth without a smile.")


class Beauty(Body):
    """Scores for beauty. They are made up."""

    male_score: Score = Field(description="Beauty as judged by men.")
    female_score: Score = Field(description="Beauty as judged by women.")


class Mouth(Body):
    """The probability of each state of the mouth, in percent."""

    surgical_mask_or_respirator: Score = Field(description="Probability that a mask covers the mouth.")
    other_occlusion: Score = Field(description="Probability that something else covers the mouth. Always 0.")
    close: Score = Field(description="Probability that the mouth is closed.")
    open: Score = Field(description="Probability that the mouth is open.")


Unit = Annotated[Decimal, WithJsonSchema({"type": "number", "minimum": -1, "maximum": 1})]
"""A number from -1 to 1, with three decimals."""


class Gaze(Body):
    """The gaze of one eye."""

    position_x_coordinate: Unit = Field(
        description="Horizontal position of the pupil, from 0 at the left corner of the eye, as seen in the "
        "photo, to 1 at the right corner."
    )
    position_y_coordinate: Unit = Field(
        description="Vertical position of the pupil, from 0 at the upper lid to 1 at the lower lid."
    )
    vector_x_component: Unit = Field(description="Component of the direction to the right of the photo.")
    vector_y_component: Unit = Field(description="Component of the direction to the bottom of the photo.")
    vector_z_component: Unit = Field(description="Component of the direction away from the camera.")


class Gazes(Body):
    """The gaze of both eyes. Left is the left side of the photo."""

    left_eye_gaze: Gaze = Field(description="Gaze of the eye on the left side of the photo.")
    right_eye_gaze: Gaze = Field(description="Gaze of the eye on the right side of the photo.")


class Skin(Body):
    """The condition of the skin. It is made up."""

    health: Score = Field(description="Health of the skin.")
    stain: Score = Field(description="Stains.")
    acne: Score = Field(description="Acne.")
    dark_circle: Score = Field(description="Dark circles below the eyes.")


class Ethnicity(Body):
    """Ethnicity."""

    value: str = Field(description="Always empty.")


class Attributes(Body):
    """The requested attributes of a face."""

    gender: Gender | None = Field(default=None, description="Gender, if `gender` is requested.")
    age: Age | None = Field(default=None, description="Age, if `age` is requested.")
    smile: Scored | None = Field(default=None, description="Smile, if `smiling` is requested.")
    headpose: HeadPose | None = Field(
        default=None, description="Orientation of the head, if `headpose` is requested."
    )
    facequality: Scored | None = Field(
        default=None, description="Quality of the picture of the face, if `facequality` is requested."
    )
    blur: Blur | None = Field(default=None, description="Blur, if `blur` is requested.")
    eyestatus: Eyes | None = Field(
        default=None, description="State of the eyes, if `eyestatus` is requested."
    )
    emotion: Emotion | None = Field(default=None, description="Emotion, if `emotion` is requested.")
    beauty: Beauty | None = Field(default=None, description="Beauty, if `beauty` is requested.")
    mouthstatus: Mouth | None = Field(
        default=None, description="State of the mouth, if `mouthstatus` is requested."
    )
    eyegaze: Gazes | None = Field(default=None, description="Gaze of the eyes, if `eyegaze` is requested.")
    skinstatus: Skin | None = Field(
        default=None, description="Condition of the skin, if `skinstatus` is requested."
    )
    ethnicity: Ethnicity | None = Field(default=None, description="Ethnicity, if `ethnicity` is requested.")


class Face(Body):
    """A face."""

    face_token: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] = Field(
        description="Id of the face for other operations."
    )
    face_rectangle: Rectangle = Field(
        description="Box of the face. If the request has a `face_rectangle`, the response has the same one."
    )
    landmark: dict[str, Point] | None = Field(
        default=None, description="Landmarks by name, if `return_landmark` is 1 or 2."
    )
    attributes: Attributes | None = Field(
        default=None, description="Attributes, if `return_attributes` requests any."
    )


class DetectResult(Body):
    """A successful response. ``faces`` is empty if the photo has no face."""

    request_id: RequestId = Field(description="Id of the request: Unix time in seconds, a comma and a UUID.")
    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    faces: list[Face] = Field(description="The faces, the largest first.")
    image_id: ImageId = Field(description="Id of the photo. The same photo has the same id.")
    face_num: Annotated[int, Field(ge=0)] = Field(description="Number of faces.")

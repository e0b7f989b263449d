"""Reshaping of a face in a picture."""

from __future__ import annotations

from emulator.clock import Stopwatch
from emulator.face.background import people_around, share_of_people
from emulator.face.detection import Face
from emulator.face.errors import FaceAngleTooLarge, FaceIndexOutOfRange, FaceTooSmall, NoFaceFound
from emulator.face.fit import fit_pose
from emulator.face.reshape import reshape_field
from emulator.face.skin import smooth_skin
from emulator.face.types import Image, Points3
from emulator.face.warp import warp_cutout, warp_image
from emulator.parallel import later
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_original
from emulator.pipelines.encoding import encode_like
from emulator.pipelines.options import ReshapedPicture, ReshapeOptions


def reshape_picture(data: bytes, options: ReshapeOptions) -> ReshapedPicture:
    """Return the picture with one face changed. Size, orientation and colour space stay the same.

    If the options change nothing, the original bytes are returned.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    NoFaceFound, FaceIndexOutOfRange, FaceTooSmall, FaceAngleTooLarge
        If there is no face, no face with that index, or the face is too small or turned too far.
    """
    total = Stopwatch()
    original = decode_original(data, options.rules)
    face, others = _found(original.image, options)
    landmarks, parameters = face.landmarks, options.parameters
    _check_angle(landmarks, options.largest_angle_deg)
    apply = Stopwatch()
    if parameters.is_zero and not (options.smoothing or options.color_evening):
        return ReshapedPicture(data, original.format, total.elapsed_ms(), apply.elapsed_ms())
    segment = detector().segment_person
    people = later(lambda: people_around(original.image, landmarks, segment))
    image, alpha = original.image, original.alpha
    if options.smoothing or options.color_evening:
        # The landmarks belong to the input, so smooth the skin before the face is warped.
        image = smooth_skin(image, landmarks, options.smoothing, options.color_evening)
    if not parameters.is_zero:
        shape = image.shape[0], image.shape[1]
        field = reshape_field(landmarks, parameters, shape, [other.landmarks for other in others])
        share = share_of_people(landmarks, field, people, later)
        if alpha is None:
            image = warp_image(image, field, share, later)
        else:
            image, alpha = warp_cutout(image, alpha, field, share)
    apply_ms = apply.elapsed_ms()
    result_format = "png" if original.format == "png" else "jpeg"
    encoded = encode_like(original, image, alpha)
    return ReshapedPicture(encoded, result_format, total.elapsed_ms(), apply_ms)


def _found(image: Image, options: ReshapeOptions) -> tuple[Face, tuple[Face, ...]]:
    """Return the requested face, and the other faces."""
    faces = tuple(detector().detect(image))
    if not faces:
        raise NoFaceFound
    if not 0 <= options.index < len(faces):
        raise FaceIndexOutOfRange(options.index, len(faces))
    face = faces[options.index]
    height, width = image.shape[:2]
    fraction = min(face.box.width / width, face.box.height / height)
    if fraction <= options.smallest_fraction:
        raise FaceTooSmall(fraction, options.smallest_fraction)
    return face, (*faces[: options.index], *faces[options.index + 1 :])


def _check_angle(landmarks: Points3, largest_deg: float) -> None:
    """Raise FaceAngleTooLarge if a face is turned too far."""
    pose = fit_pose(landmarks)
    angle_deg = max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll))
    if angle_deg >= largest_deg:
        raise FaceAngleTooLarge(angle_deg, largest_deg)

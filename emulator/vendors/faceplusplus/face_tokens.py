"""Face tokens: ids of detected faces. Other operations accept such an id instead of a photo."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, Oldest, Stateful, strictly
from emulator.clock import Moment
from emulator.deferral import DeferredAdapter
from emulator.face.landmarks import LANDMARK_COUNT
from emulator.pipelines.options import LocatedFace
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings
from emulator.world.world import World

if TYPE_CHECKING:
    from emulator.face.types import Points3

FACE = "faceplusplus/face"
"""Kind of the records of detected faces, and of the ids that become their tokens."""


Side = Annotated[int, Field(ge=1, le=100_000)]
"""A side of a picture, in pixels."""


@dataclass(frozen=True)
class StoredFace:
    """A detected face.

    Attributes
    ----------
    created_at : float
        Unix time of the detection, by the clock of the key.
    width, height : int
        Size of the picture, in pixels.
    places : str
        The landmarks as base64 of little-endian float64.
    """

    created_at: Moment
    width: Side
    height: Side
    places: str

    @property
    def landmarks(self) -> Points3:
        """The landmarks (478, 3) in pixels, as in `emulator.face.detection.Face`."""
        import numpy as np  # noqa: PLC0415 - the server starts without numpy

        places = np.frombuffer(base64.b64decode(self.places, validate=True), "<f8")
        return places.astype(np.float64).reshape(LANDMARK_COUNT, 3)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StoredFace:
        """Return a face from a JSON object.

        Raises
        ------
        ValueError
            If the JSON object is not a valid face.
        """
        import numpy as np  # noqa: PLC0415 - the server starts without numpy

        face = strictly(_STORED_FACE, document)
        if not np.isfinite(face.landmarks).all():
            raise ValueError("the landmarks of a face must be finite")
        return face


_STORED_FACE = DeferredAdapter(StoredFace)


class FaceTokens(Stateful):
    """The stored records of detected faces."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored faces."""
        return {FACE: StoredFace.from_document}

    async def purge(self, oldest: Oldest) -> None:
        """Delete old faces."""
        await delete_old(
            self._world.records,
            FACE,
            lambda record: record.document["created_at"] < oldest(record.credential),
        )


async def keep_face(world: World, api_key: str, face: LocatedFace, width: int, height: int) -> str:
    """Store a face that was detected in a picture of ``width`` x ``height`` pixels, and return its token."""
    token = (await world.ids.draw(api_key, FACE, 16)).hex()
    places = base64.b64encode(face.landmarks.astype("<f8").tobytes()).decode()
    stored = StoredFace(world.clock.now(api_key), width, height, places)
    await world.records.put(FACE, token, api_key, asdict(stored))
    return token


async def find_face(
    world: World, token: str, api_key: str, settings: FacePlusPlusSettings
) -> StoredFace | None:
    """Return the face of a token, or None if it is unknown, expired or belongs to another key.

    An expired face is deleted.
    """
    record = await world.records.get(FACE, token)
    if record is None or record.credential != api_key:
        return None
    face = StoredFace.from_document(record.document)
    hours = world.lifetimes.of("faceplusplus", api_key, settings).face_token_hours
    if world.clock.now(api_key) >= face.created_at + 3600 * hours:
        await world.records.delete(FACE, token)
        return None
    return face

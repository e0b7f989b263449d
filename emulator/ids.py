"""Reproducible ids and pseudorandom bytes. The emulator has no other source of ids.

An id depends on the seed, the credential, the kind of id, and the number of ids of this kind that were
drawn for the credential before. So the same calls with the same credential always get the same ids, even
after a reset of the credential, and regardless of other credentials. An id that is drawn before the
credential is known uses "" as the credential.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable


class SeededIds:
    """Source of reproducible ids.

    Parameters
    ----------
    seed : int
        The same seed gives the same ids.
    count_up : async (name: str, credential: str, by: int) -> int
        Atomically adds ``by`` to the counter with this name and credential, which begins at 0, and returns
        the new value. The counters are in the database, so that several servers with the same database never
        draw the same id.
    """

    def __init__(self, seed: int, count_up: Callable[[str, str, int], Awaitable[int]]) -> None:
        self._seed = seed
        self._count_up = count_up
        self._secrets: dict[str, bytes] = {}

    async def draw(self, credential: str, kind: str, length: int) -> bytes:
        """Return ``length`` bytes: the next id of ``kind`` for ``credential``, which may be ""."""
        return self.nth(credential, kind, await self.count_up(credential, kind), length)

    async def count_up(self, credential: str, kind: str, by: int = 1) -> int:
        """Draw ``by`` ids of ``kind`` for ``credential``, and return the number of the last one."""
        return await self._count_up(f"ids/{kind}", credential, by)

    def nth(self, credential: str, kind: str, number: int, length: int) -> bytes:
        """Return ``length`` bytes: the id of ``kind`` for ``credential`` with this number."""
        return self._derive(f"{kind}\0{credential}\0{number}", length)

    async def draw_uuid4(self, credential: str, kind: str) -> uuid.UUID:
        """Return a version-4 UUID: the next id of ``kind`` for ``credential``."""
        return uuid.UUID(bytes=await self.draw(credential, kind, 16), version=4)

    def secret(self, purpose: str) -> bytes:
        """Return a signing key of 32 bytes that depends only on the seed and on ``purpose``."""
        found = self._secrets.get(purpose)
        if found is None:
            found = self._secrets[purpose] = self._derive(f"secret\0{purpose}", 32)
        return found

    def _derive(self, message: str, length: int) -> bytes:
        return hashlib.shake_256(f"{self._seed}\0{message}".encode()).digest(length)


def hash_text(text: str) -> str:
    """Return a hash of ``text``: 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]

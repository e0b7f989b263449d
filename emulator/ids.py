"""The one source of identifiers and other arbitrary bytes.

Every id is a function of (seed, credential, kind, how many were drawn before): the same calls by the
same credential get the same ids, whatever other credentials do meanwhile. They get them again once
what belongs to the credential was cleared. What is drawn before a credential is known counts for ""
instead, whoever calls.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable


class SeededIds:
    """Reproducible identifiers.

    Parameters
    ----------
    seed : int
        Another seed gives another world of ids.
    count_up : async (name: str, credential: str) -> int
        Counts the draws under a name in a credential, atomically: 1, 2, 3 ... In the shared store, so
        that several servers never hand out the same id.
    """

    def __init__(self, seed: int, count_up: Callable[[str, str], Awaitable[int]]) -> None:
        self._seed = seed
        self._count_up = count_up

    async def draw(self, credential: str, kind: str, length: int) -> bytes:
        """Return ``length`` bytes, the next ones of ``kind`` in ``credential`` (a credential, or "")."""
        nth = await self._count_up(f"ids/{kind}", credential)
        return self._derive(f"{kind}\0{credential}\0{nth}", length)

    async def draw_uuid4(self, credential: str, kind: str) -> uuid.UUID:
        """Return the next version-4 UUID of ``kind`` in ``credential``."""
        return uuid.UUID(bytes=await self.draw(credential, kind, 16), version=4)

    def secret(self, purpose: str) -> bytes:
        """Return 32 bytes that stay the same for a seed and a purpose: a key to sign with."""
        return self._derive(f"secret\0{purpose}", 32)

    def _derive(self, message: str, length: int) -> bytes:
        return hashlib.shake_256(f"{self._seed}\0{message}".encode()).digest(length)


def hash_text(text: str) -> str:
    """Return 32 hexadecimal digits that stand for ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]

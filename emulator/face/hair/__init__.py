"""Hair for a complete head, as cards or as one closed surface.

Strands grow from the scalp, follow the head and fall. The style (`HairStyle`) decides how they are combed and
how long they are. Everything is drawn from fixed seeds, so the same head and style give the same hair.
"""

from __future__ import annotations

from emulator.face.hair.cards import hair_cards
from emulator.face.hair.strands import HairStyle
from emulator.face.hair.texture import strand_texture
from emulator.face.hair.volume import hair_volume

__all__ = ["HairStyle", "hair_cards", "hair_volume", "strand_texture"]

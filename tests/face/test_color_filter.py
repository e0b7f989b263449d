from __future__ import annotations

import pytest

from emulator.face.color_filter import ColorFilter


@pytest.mark.parametrize(
    ("recipe", "keeps"),
    [
        (ColorFilter(), True),
        (ColorFilter(saturation=1.5, brightness=0.5, contrast=0.5, fade=0.1, vignette=0.5), True),
        (ColorFilter(shadows=(0.1, 0.1, 0.1), highlights=(0.1, 0.1, 0.1)), True),
        (ColorFilter(warmth=0.1), False),
        (ColorFilter(saturation=0.0, shadows=(0.1, 0.0, 0.0)), False),
        (ColorFilter(highlights=(0.0, 0.1, 0.0)), False),
    ],
)
def test_warmth_and_tints_colour_a_grey_picture(recipe: ColorFilter, *, keeps: bool) -> None:
    assert recipe.keeps_grey == keeps

from __future__ import annotations

import itertools

import numpy as np

from emulator.face.color_filter import ColorFilter
from emulator.face.filters import apply_filter
from emulator.vendors.faceplusplus.beautify.filters import FILTERS

NAMES = {
    *("black_white", "calm", "sunny", "trip", "beautify", "wangjiawei", "cutie", "macaron", "new_york"),
    *("sakura", "17_years_old", "clight", "tea_time", "whiten", "chaplin", "flowers", "memory", "ice_lady"),
    *("paris", "times", "lomo", "old_times", "spring", "story", "abao", "wlight", "warm", "glitter"),
    *("lavender", "chanel", "prague", "old_dream", "blossom", "pink", "jiang_nan"),
}


def test_there_are_the_35_observed_names() -> None:
    assert len(FILTERS) == 35
    assert set(FILTERS) == NAMES


def test_every_filter_changes_a_picture_in_its_own_way() -> None:
    """On average, two filters differ by at least two grey levels."""
    values = np.arange(0, 256, 51, dtype=np.uint8)
    colors = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 12, 3)
    shown = {"": colors.astype(float)}
    for name, recipe in FILTERS.items():
        assert recipe != ColorFilter()
        shown[name] = apply_filter(colors, recipe).astype(float)
    for (one, left), (other, right) in itertools.combinations(shown.items(), 2):
        assert np.abs(left - right).mean() > 2.0, (one, other)


def test_filters_have_the_colours_that_their_names_suggest() -> None:
    assert FILTERS["black_white"].keeps_grey
    assert FILTERS["black_white"].saturation == FILTERS["chaplin"].saturation == 0.0
    assert FILTERS["warm"].warmth > 0.0 > FILTERS["clight"].warmth
    assert FILTERS["whiten"].brightness > 0.0

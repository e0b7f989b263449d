"""The vendor's names of filters, and this project's recipe for each filter.

The names are observed. The vendor does not publish what a filter does, so the recipes are guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from emulator.face.color_filter import ColorFilter

_Tint: TypeAlias = tuple[float, float, float]
_Row: TypeAlias = tuple[float, float, float, float, float, _Tint, _Tint, float]

# The fields of `ColorFilter`, in percent: saturation, warmth, brightness, contrast, fade, the tints (red,
# green, blue) of shadows and highlights, and vignette.
_TABLE: Mapping[str, _Row] = {
    "black_white":  (  0,   0,   0,  25,  0, (  0,   0,   0), (  0,   0,   0),  0),
    "calm":         ( 75, -25,   0, -15,  0, (  0,   1,   3), (  0,   0,   0),  0),
    "sunny":        (110,  45,  20,   0,  0, (  0,   0,   0), (  4,   3,  -4),  0),
    "trip":         (125,   0,   0,  30,  0, ( -1,   2,   3), (  0,   0,   0), 20),
    "beautify":     (105,   0,  22,   0,  0, (  0,   0,   0), (  2,   0,   1),  0),
    "wangjiawei":   ( 90,  35, -25,  45,  0, ( -1,   5,   2), (  3,   2, -10), 45),
    "cutie":        (100,   0,  28, -10,  0, (  5,   0,   3), (  3,   0,   1),  0),
    "macaron":      ( 85,   0,  30, -25,  8, (  3,   2,   6), (  0,   0,   0),  0),
    "new_york":     ( 65, -35,   0,  40,  0, ( -1,   1,   5), (  0,   0,   0), 25),
    "sakura":       ( 90,   0,  22,   0,  5, (  7,   0,   5), (  2,  -5,   0),  0),
    "17_years_old": ( 95, -10,  32,  -5,  0, (  0,   0,   0), (  1,   1,   3),  0),
    "clight":       (100, -40,  15,  10,  0, (  0,   0,   0), (  0,   0,   0),  0),
    "tea_time":     ( 80,  40,   0,  10,  5, (  3,   2,   0), (  0,   0,   0),  0),
    "whiten":       ( 85,   0,  38,   0,  0, (  0,   0,   0), (  0,   0,   0),  0),
    "chaplin":      (  0,   0,  -5,  60,  0, (  0,   0,   0), (  0,   0,   0), 55),
    "flowers":      (135,   0,   8,  10,  0, (  2,   0,   2), (  0,   0,   0),  0),
    "memory":       ( 50,  25,   0, -20, 10, (  0,   0,   0), (  2,   1,  -6), 25),
    "ice_lady":     ( 70, -60,  22,   0,  0, (  0,   0,   0), ( -2,   0,   4),  0),
    "paris":        ( 85,   0,  12,  15,  0, (  2,   0,   5), (  3,   1,  -3),  0),
    "times":        ( 35,  15,   0,  30,  0, (  0,   0,   0), (  0,   0,   0), 30),
    "lomo":         (130,   0,   0,  60,  0, ( -2,   1,   4), (  2,   2,  -8), 65),
    "old_times":    (  0,   0,   0, -10,  6, (  6,   2,  -4), (  0,  -5, -18), 30),
    "spring":       (112,   0,  18,   0,  0, (  0,   3,   0), ( -1,   3,  -3),  0),
    "story":        ( 80,   0,   0,  20,  7, (  0,   3,   5), (  4,   1,  -5),  0),
    "abao":         (105,  20,  12,  30,  0, (  0,   0,   0), (  3,   1,  -2),  0),
    "wlight":       (100,  40,  15,  10,  0, (  0,   0,   0), (  0,   0,   0),  0),
    "warm":         (105,  70,   0,   0,  0, (  0,   0,   0), (  0,   0,   0),  0),
    "glitter":      (115,   0,  15,  45,  0, (  0,   0,   0), (  2,   2,   2),  0),
    "lavender":     ( 85,   0,  12,   0,  0, (  5,   0,  11), (  0,  -4,   2),  0),
    "chanel":       ( 20,   0,  10,  40,  0, (  0,   0,   0), (  0,   0,   0),  0),
    "prague":       ( 75, -15,   0,  25,  4, (  0,   3,   3), (  3,   2,  -4),  0),
    "old_dream":    ( 40,  35,   5, -25, 14, (  3,   0,   2), (  0,  -3, -10), 20),
    "blossom":      (115,   0,  18,   0,  0, (  4,   0,   1), (  3,  -2,   0),  0),
    "pink":         ( 95,   0,  12,   0,  0, (  9,   0,   4), (  2,  -8,  -2),  0),
    "jiang_nan":    ( 60, -20,  12, -10,  6, (  0,   3,   3), (  0,   0,   0),  0),
}  # fmt: skip


def _recipe(row: _Row) -> ColorFilter:
    saturation, warmth, brightness, contrast, fade, shadows, highlights, vignette = row
    return ColorFilter(
        saturation / 100,
        warmth / 100,
        brightness / 100,
        contrast / 100,
        fade / 100,
        (shadows[0] / 100, shadows[1] / 100, shadows[2] / 100),
        (highlights[0] / 100, highlights[1] / 100, highlights[2] / 100),
        vignette / 100,
    )


FILTERS: Mapping[str, ColorFilter] = MappingProxyType({name: _recipe(row) for name, row in _TABLE.items()})
"""The recipe of each filter, by the vendor's name."""

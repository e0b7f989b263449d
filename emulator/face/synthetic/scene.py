"""Light and backdrop of a synthetic picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from emulator.face.synthetic.color import Singles, linear, single, smooth_noise
from emulator.face.synthetic.person import Background, Light, Person


@dataclass(frozen=True)
class _Lighting:
    """Direction of the key light (x right, y up, z towards the camera), light strengths, RGB tint."""

    key: tuple[float, float, float]
    key_strength: float
    fill_strength: float
    sky_strength: float
    warmth: tuple[float, float, float]


_LIGHTINGS: Final[dict[Light, _Lighting]] = {
    "soft": _Lighting((-0.42, 0.46, 0.78), 0.64, 0.17, 1.0, (1.06, 0.98, 0.93)),
    "left": _Lighting((-0.9, 0.3, 0.32), 0.85, 0.06, 0.75, (1.05, 0.98, 0.94)),
    "right": _Lighting((0.9, 0.3, 0.32), 0.85, 0.06, 0.75, (1.05, 0.98, 0.94)),
    "above": _Lighting((-0.1, 0.95, 0.4), 0.8, 0.1, 0.85, (1.03, 0.99, 0.96)),
    "warm": _Lighting((0.5, 0.35, 0.78), 0.66, 0.16, 0.95, (1.18, 0.96, 0.72)),
    "cold": _Lighting((-0.3, 0.5, 0.8), 0.6, 0.18, 1.05, (0.9, 0.99, 1.14)),
    "dark": _Lighting((-0.6, 0.4, 0.6), 0.0003, 0.0001, 0.0003, (1.0, 0.98, 0.96)),
}
_FILL = np.array([0.62, 0.1, 0.78])


@dataclass(frozen=True, eq=False)
class Lamps:
    """The directions (3,) of the lights as unit vectors, and their strengths."""

    key: Singles
    fill: Singles
    lighting: _Lighting


def lamps(person: Person, light: Light | None) -> Lamps:
    """Return the lights, turned about the vertical axis by a small random angle from the person's seed.

    The angle is larger if ``light`` is None.
    """
    lighting = _LIGHTINGS[light or "soft"]
    turn = person.light_turn * (1.5 if light is None else 0.3)
    around = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    key, fill = np.array(lighting.key) @ around, _FILL @ around
    return Lamps(single(key / np.linalg.norm(key)), single(fill / np.linalg.norm(fill)), lighting)


def shaded(albedo: Singles, normal: Singles, gloss: Singles, hollow: Singles, light: Lamps) -> Singles:
    """Return the reflected light (N, 3): diffuse light of two lamps, sky light, and a soft highlight."""
    lighting = light.lighting
    # Light that passes through skin becomes red, so red light reaches farther around the face.
    wrap = np.array([0.42, 0.26, 0.22], np.float32)
    key_cosine = (normal @ light.key)[:, np.newaxis]
    diffuse = np.clip((key_cosine + wrap) / (1 + wrap), 0, None) ** np.float32(1.25)
    diffuse = lighting.key_strength * diffuse + lighting.fill_strength * np.clip(
        (normal @ light.fill)[:, np.newaxis] * 0.8 + 0.2, 0, None
    )
    sky = np.float32(lighting.sky_strength) * (0.21 + 0.12 * normal[:, 1:2])
    openness = 1.0 - hollow[:, np.newaxis] * np.array([0.78, 0.95, 1.0], np.float32)
    warmth = np.array(lighting.warmth, np.float32)
    lit = albedo * warmth * (diffuse * (0.4 + 0.6 * openness) + sky * openness)
    half = light.key + np.array([0, 0, 1], np.float32)
    half = half / np.linalg.norm(half)
    facing = np.clip(normal @ half, 0, None)
    shine = gloss * np.float32(lighting.key_strength / 0.64) * (0.05 * facing**18 + 0.035 * facing**60)
    # Darken skin seen at a slant, so that the outline looks round.
    slant = np.clip(normal[:, 2:3], 0, 1)
    return single(lit * (0.72 + 0.28 * slant**0.6) + shine[:, np.newaxis])


def backdrop(
    person: Person, kind: Background | None, light: Light | None, height: int, width: int
) -> Singles:
    """Return the backdrop (height, width, 3), out of focus, in linear light."""
    lighting = _LIGHTINGS[light or "soft"]
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    rng = np.random.default_rng(person.noise_seed + 1)
    cloud = smooth_noise(rng, (height, width), max(8.0, width / 4))
    if kind in ("window", "outdoors"):
        picture = _bokeh(rng, kind, height, width)
    else:
        glow = np.exp(-((x[np.newaxis] - 0.15) ** 2 + (y[:, np.newaxis] + 0.2) ** 2) / 1.1)
        tone = 0.6 + 0.5 * glow + 0.05 * cloud
        if kind == "wall":
            tone = 0.85 + 0.12 * x[np.newaxis] + 0.02 * cloud + 0.0 * y[:, np.newaxis]
        picture = person.background * single(tone)[..., np.newaxis]
    brightness = np.float32(min(1.0, lighting.key_strength + 0.36) if light != "dark" else 0.0012)
    return single(picture * brightness * np.array(lighting.warmth, np.float32))


def _bokeh(rng: np.random.Generator, kind: Background, height: int, width: int) -> Singles:
    """Return an out-of-focus picture of bright window panes, or of foliage under a sky."""
    # Draw a small picture and enlarge it, because nothing in it is sharp.
    small = np.zeros((64, 64, 3), np.float32)
    if kind == "window":
        small[:] = linear("8d8378")
        for pane in range(3):
            left = 4 + 20 * pane + int(rng.integers(-2, 3))
            small[6:44, left : left + 15] = linear("e8eef2")
    else:
        small[:] = linear("6f8a55")
        small[:26] = linear("c6d9e8")
        for _ in range(70):
            x, y, radius = rng.integers(0, 64), rng.integers(18, 64), int(rng.integers(2, 7))
            tone = linear("4f6d3c") * np.float32(rng.uniform(0.5, 2.2))
            cv2.circle(small, (int(x), int(y)), radius, tone.tolist(), -1)
    blurred = cv2.GaussianBlur(small, (0, 0), 2.2)
    return single(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)).clip(0.0, 1.0)

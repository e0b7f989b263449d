"""Warm-up of a worker process."""

from __future__ import annotations

import cv2

from emulator.face.reshape_parameters import ReshapeParameters
from emulator.pipelines.core import keep_freed_memory, sample_photo, silenced_stderr
from emulator.pipelines.options import DescriptionOptions, ImageRules, ReshapeOptions
from emulator.pipelines.reconstruct import describe_head
from emulator.pipelines.reshape import reshape_picture


def warm_up() -> None:
    """Run the pipelines on a sample, so that the first request is not delayed. For worker processes only."""
    keep_freed_memory()
    # The other processors are for the other workers and the server.
    cv2.setNumThreads(1)
    rules = ImageRules(frozenset({"jpeg"}))
    photo = sample_photo()
    with silenced_stderr():
        describe_head(photo, DescriptionOptions(rules, texture_size=256, texture_bytes=1_000_000))
        reshape_picture(photo, ReshapeOptions(rules, 0, ReshapeParameters(jaw=0.5), 0.5, 0.5, 0.05, 89.0))

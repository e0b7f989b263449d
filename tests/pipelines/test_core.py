from __future__ import annotations

import pickle
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from emulator import parallel
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.parallel import second_thread
from emulator.pipelines.core import sample_photo
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.detect import locate_faces
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import (
    DescriptionOptions,
    ImageRules,
    LocateOptions,
    ReshapeOptions,
    WavefrontOptions,
)
from emulator.pipelines.reconstruct import describe_head, reconstruct_wavefront
from emulator.pipelines.reshape import reshape_picture

RULES = ImageRules(frozenset({"jpeg"}))
RESHAPE = ReshapeOptions(RULES, 0, ReshapeParameters(lip_size=0.5), 0.0, 0.0, 0.05, 89.0)
WAVEFRONT = WavefrontOptions(RULES, 128, 1.0, "face.mtl", "face.jpg")
DESCRIPTION = DescriptionOptions(RULES, 128, 1_000_000)

# Uses 48 MB several times, and prints how many pages Linux had to provide for the last use.
PROGRAM = """
import resource
from emulator.pipelines.core import keep_freed_memory
keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [bytes(1) * (16 << 20) for _ in range(3)]
    del arrays
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(pages)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries stay as they are")
def test_a_worker_uses_freed_memory_again() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert int(ran.stdout) < 100


def four_people() -> bytes:
    """Return a picture that shows the face of the sample four times: twice in full, twice reduced."""
    face = decode_picture(sample_photo(), RULES).image
    large = np.hstack([face, face[:, ::-1]])
    small = np.hstack([large[::2, ::2], np.zeros_like(large[::2, ::2])])
    return encode_jpeg(np.vstack([large, small]))


@pytest.mark.parametrize(
    "compute",
    [
        lambda: reshape_picture(sample_photo(), RESHAPE).data,
        lambda: reshape_picture(sample_photo(), replace(RESHAPE, parameters=ReshapeParameters(jaw=0.9))).data,
        lambda: reconstruct_wavefront([sample_photo()] * 2, WAVEFRONT),
        lambda: describe_head(sample_photo(), DESCRIPTION),
        lambda: locate_faces(four_people(), LocateOptions(RULES, 0.0, 0.0, described=None)),
    ],
    ids=["reshape-inside", "reshape-outline", "wavefront", "description", "four-faces"],
)
def test_a_second_thread_computes_a_part_of_the_same_result(
    compute: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = pickle.dumps(compute())
    with ThreadPoolExecutor(1) as thread:
        monkeypatch.setattr(parallel, "_thread", lambda: thread)
        with second_thread():
            assert pickle.dumps(compute()) == alone
        seconds = thread.submit(time.thread_time).result()
    assert seconds > 0.001

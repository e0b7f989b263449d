"""MediaPipe without the parts that take long to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

DETECT = """
import sys
import numpy as np
from emulator.face.detection import MediaPipeDetector
assert MediaPipeDetector().detect(np.zeros((64, 64, 3), np.uint8)) == ()
assert "mediapipe" in sys.modules
"""

LIGHT = f"{DETECT}\nassert 'matplotlib' not in sys.modules\n"

# A user's own code in the same process, before or after the detector.
OWN = """
import mediapipe
mesh = mediapipe.solutions.face_mesh.FaceMesh
assert mediapipe.__version__ and mediapipe.Image and mediapipe.tasks.vision
"""


@pytest.mark.parametrize("program", [LIGHT + OWN + DETECT, OWN + DETECT], ids=["after", "before"])
def test_the_detector_needs_no_matplotlib_and_leaves_mediapipe_usable(program: str) -> None:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    assert ran.returncode == 0, ran.stderr

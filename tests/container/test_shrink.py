"""What ``container/shrink`` removes from a virtual environment, and what it keeps."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile import ROOT

needs_gnu_find = pytest.mark.skipif(sys.platform != "linux", reason="the script runs in the image only")

KEPT = {
    "cv2/data/__init__.py",
    "emulator/app.py",
    "fontTools/agl.py",
    "fontTools/misc/textTools.py",
    "mediapipe/modules/hand_landmark/__init__.py",
    "mediapipe/modules/hand_landmark/hand_landmark_full.binarypb",
    "numpy/testing/__init__.py",
    "numpy.libs/libopenblas.so",
    "scipy/linalg/_fblas.so",
    "skimage/__init__.pyi",
    "skimage/measure/__init__.pyi",
}
REMOVED = {
    "cv2/data/haarcascade_eye.xml",
    "fontTools/misc/bezierTools.so",
    "fontTools/subset/__init__.py",
    "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    "numpy/core/include/numpy/arrayobject.h",
    "numpy/core/lib/libnpymath.a",
    "numpy/core/tests/test_api.py",
    "scipy/linalg/cython_lapack.pxd",
    "scipy/stats/__init__.pyi",
    "scipy/stats/tests/data/large.npz",
    "skimage/measure/tests/__init__.pyi",
}


def models() -> set[str]:
    """Return the models of the installed MediaPipe, relative to the packages."""
    spec = importlib.util.find_spec("mediapipe")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parent.parent
    return {
        path.relative_to(packages).as_posix()
        for path in packages.joinpath("mediapipe", "modules").rglob("*.tflite")
    }


def shrunk(folder: Path, files: set[str]) -> set[str]:
    """Return which of ``files`` remain, without bytecode."""
    packages = folder / "lib" / "python3.12" / "site-packages"
    for name in files:
        path = packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    folder.joinpath("bin").mkdir()
    folder.joinpath("bin", "python").symlink_to(sys.executable)
    shell = shutil.which("sh")
    assert shell is not None
    subprocess.run([shell, ROOT / "container" / "shrink", folder], check=True)  # noqa: S603 - our own script
    left = {path for path in packages.rglob("*") if path.is_file()}
    compiled = {path for path in left if path.suffix == ".pyc"}
    assert len(compiled) == len([path for path in left if path.suffix == ".py"])
    return {path.relative_to(packages).as_posix() for path in left - compiled}


@needs_gnu_find
def test_it_removes_what_the_emulator_does_not_read(tmp_path: Path) -> None:
    assert shrunk(tmp_path, KEPT | REMOVED) == KEPT


@needs_gnu_find
def test_it_keeps_the_models_of_faces_and_silhouettes(tmp_path: Path) -> None:
    found = models()
    left = shrunk(tmp_path, found | REMOVED) & found
    assert {name.split("/")[2] for name in left} == {
        "face_detection",
        "face_landmark",
        "selfie_segmentation",
    }
    assert left == {name for name in found if name.split("/")[2].startswith(("face_", "selfie_"))}

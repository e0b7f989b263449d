"""Time of each stage on one core."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from PIL import Image as PillowImage
from skimage import data as photographs

from benchmarks.accuracy.people import say
from emulator.face.attributes import face_attributes
from emulator.face.fit import camera_on, fit_head
from emulator.face.head import head_mesh, skin_places
from emulator.face.likely_shape import observed_shape
from emulator.face.mesh import vertex_normals
from emulator.face.obj import write_obj
from emulator.face.texture import TextureView, bake_texture
from emulator.pipelines.core import detector
from emulator.pipelines.encoding import encode_jpeg, encode_png
from emulator.pipelines.reconstruct import CROPS


def cost_table(_people: Sequence[int]) -> None:
    """Print the time of each stage on one core for a photograph of 1024 x 1024 pixels."""
    cv2.setNumThreads(1)
    astronaut = photographs.astronaut()  # type: ignore[no-untyped-call]
    photo = np.asarray(cv2.resize(astronaut, (1024, 1024), interpolation=cv2.INTER_CUBIC), np.uint8)
    faces = detector()
    face = faces.detect(photo, crops=CROPS)[0]
    fit = fit_head(face.landmarks)
    vertices = observed_shape([fit])
    head = head_mesh(vertices)
    points = fit.camera.project(head_mesh(fit.landmarks_cm).vertices)
    view = TextureView(points, photo)
    texture = bake_texture(head, [view], 1024, skin_places()).image
    smaller = bake_texture(head, [view], 768, skin_places()).image
    normals = vertex_normals(head.vertices, head.triangles)
    mask = faces.coarse_person(photo)
    jpeg = encode_jpeg(photo)
    # The letters mark the stages for a response of Face++ (f) and of MetaHuman (m). Decoding and encoding
    # count for neither.
    stages: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("detect", "fm", lambda: faces.detect(photo, crops=CROPS)),
        ("fit", "fm", lambda: fit_head(face.landmarks)),
        ("head, camera", "f", lambda: (camera_on(fit, observed_shape([fit])), head_mesh(vertices))),
        ("head", "m", lambda: head_mesh(fit.mesh.vertices)),
        ("projection", "fm", lambda: fit.camera.project(head_mesh(fit.landmarks_cm).vertices)),
        ("texture 1024", "f", lambda: bake_texture(head, [view], 1024, skin_places())),
        ("normals", "f", lambda: vertex_normals(head.vertices, head.triangles)),
        ("texture 768", "m", lambda: bake_texture(head, [view], 768, skin_places())),
        ("segment person", "m", lambda: faces.coarse_person(photo)),
        ("attributes", "m", lambda: face_attributes(photo, face.landmarks, mask, fit)),
        ("decode JPEG", "", lambda: np.asarray(PillowImage.open(io.BytesIO(jpeg)).convert("RGB"))),
        ("write OBJ", "", lambda: write_obj(head, normals)),
        ("encode JPEG", "", lambda: encode_jpeg(texture)),
        ("encode PNG 768", "", lambda: encode_png(smaller)),
    )
    say("Cost on one core, a photograph of 1024 x 1024 pixels, ms")
    say(f"{'':>16} {'p50':>7} {'p95':>7}")
    totals = {"f": 0.0, "m": 0.0}
    for name, counted, stage in stages:
        stage()
        times = []
        for _ in range(25):
            start = time.perf_counter()
            stage()
            times.append(1e3 * (time.perf_counter() - start))
        p50, p95 = np.percentile(times, (50, 95))
        for answer in counted:
            totals[answer] += p50
        say(f"{name:>16} {p50:7.1f} {p95:7.1f}")
    say("sum for one response with default settings, without decoding and encoding")
    say(f"{'Face++':>16} {totals['f']:7.1f}")
    say(f"{'MetaHuman':>16} {totals['m']:7.1f}")

"""The models of the MediaPipe package, on the CPU. Only this module uses MediaPipe.

Each model is a graph of MediaPipe's calculators. The graphs are built here, because the classes in
``mediapipe.python.solutions`` ignore the lowest score that is passed to them. Creating a model imports the
parts of MediaPipe that it needs. Use a model in one thread only.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emulator.face.types import Image, Mask, Points3

# With this executor, a graph runs in the thread that waits for it. Otherwise each calculator would run in
# another thread of the graph, which takes a tenth longer.
_IN_CALLER = """
executor { name: "" type: "ApplicationThreadExecutor" }
"""

_GRAPH = f"""{_IN_CALLER}
input_stream: "image"
output_stream: "found"
"""

_BOX_NODE = """
node {{
  calculator: "FaceDetection{reach}Cpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:found"
  node_options {{
    [type.googleapis.com/mediapipe.FaceDetectionOptions] {{ min_score_thresh: {score} }}
  }}
}}
"""

# The parameters are those of the model: one anchor for each 4 x 4 pixels of 192 x 192, with 6 key points.
_TWO_SCORES_GRAPH = (
    _IN_CALLER
    + """
input_stream: "image"
output_stream: "clear"
output_stream: "faint"
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:pixels"
  output_stream: "MATRIX:placement"
  options {
    [mediapipe.ImageToTensorCalculatorOptions.ext] {
      output_tensor_width: 192
      output_tensor_height: 192
      keep_aspect_ratio: true
      output_tensor_float_range { min: -1.0 max: 1.0 }
      border_mode: BORDER_ZERO
    }
  }
}
node {
  calculator: "InferenceCalculator"
  input_stream: "TENSORS:pixels"
  output_stream: "TENSORS:predictions"
  options {
    [mediapipe.InferenceCalculatorOptions.ext] {
      model_path: "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite"
      delegate { xnnpack { num_threads: THREADS } }
    }
  }
}
node {
  calculator: "SsdAnchorsCalculator"
  output_side_packet: "anchors"
  options {
    [mediapipe.SsdAnchorsCalculatorOptions.ext] {
      num_layers: 1
      min_scale: 0.1484375
      max_scale: 0.75
      input_size_width: 192
      input_size_height: 192
      anchor_offset_x: 0.5
      anchor_offset_y: 0.5
      strides: 4
      aspect_ratios: 1.0
      fixed_anchor_size: true
      interpolated_scale_aspect_ratio: 0.0
    }
  }
}
"""
)

_SCORE_NODES = """
node {{
  calculator: "TensorsToDetectionsCalculator"
  input_stream: "TENSORS:predictions"
  input_side_packet: "ANCHORS:anchors"
  output_stream: "DETECTIONS:all_{name}"
  options {{
    [mediapipe.TensorsToDetectionsCalculatorOptions.ext] {{
      num_classes: 1
      num_boxes: 2304
      num_coords: 16
      box_coord_offset: 0
      keypoint_coord_offset: 4
      num_keypoints: 6
      num_values_per_keypoint: 2
      sigmoid_score: true
      score_clipping_thresh: 100.0
      reverse_output_order: true
      x_scale: 192.0
      y_scale: 192.0
      w_scale: 192.0
      h_scale: 192.0
      min_score_thresh: {score}
    }}
  }}
}}
node {{
  calculator: "NonMaxSuppressionCalculator"
  input_stream: "all_{name}"
  output_stream: "few_{name}"
  options {{
    [mediapipe.NonMaxSuppressionCalculatorOptions.ext] {{
      min_suppression_threshold: 0.3
      overlap_type: INTERSECTION_OVER_UNION
      algorithm: WEIGHTED
    }}
  }}
}}
node {{
  calculator: "DetectionProjectionCalculator"
  input_stream: "DETECTIONS:few_{name}"
  input_stream: "PROJECTION_MATRIX:placement"
  output_stream: "DETECTIONS:{name}"
}}
"""

_SCORES = ("clear", "faint")

_MESH_GRAPH = (
    _GRAPH
    + """
input_stream: "place"
input_side_packet: "with_attention"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:place"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:found"
}
"""
)

_PERSON_GRAPH = (
    _GRAPH
    + """
node {
  calculator: "SelfieSegmentationCpu"
  input_stream: "IMAGE:image"
  output_stream: "SEGMENTATION_MASK:found"
}
"""
)


@dataclass(frozen=True)
class FoundBox:
    """A box that the detector takes for a face, in fractions of the picture's width and height.

    ``right_eye`` and ``left_eye`` are named from the person's point of view. ``score`` is 0 to 1.
    """

    left: float
    top: float
    width: float
    height: float
    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    score: float


class BoxModel:
    """MediaPipe's face detector. It reduces a picture to 192 x 192 pixels, or to 128 x 128 for close faces.

    The box of a full-range detector can be as small as a sixteenth of the picture's side. A close face fills
    a fifth of the side or more.

    Parameters
    ----------
    reach : {'FullRange', 'ShortRange'}
        'ShortRange' for close faces.
    lowest_score : float
        Boxes with a lower score are not returned.
    """

    def __init__(self, reach: Literal["FullRange", "ShortRange"], lowest_score: float) -> None:
        _package()
        from mediapipe.python import packet_getter  # noqa: PLC0415 - only a model needs it

        self._read: Any = packet_getter.get_proto_list
        self._graph = _Graph(_GRAPH + _BOX_NODE.format(reach=reach, score=lowest_score))

    def __call__(self, image: Image) -> Sequence[FoundBox]:
        """Return the boxes in ``image``, in any order."""
        found = self._graph.run(image)
        return [] if found is None else [_read_box(detection) for detection in self._read(found)]


class TwoScoresModel:
    """The full-range detector with two lowest scores and one inference.

    It is twice as fast as two `BoxModel` objects, and its results are bit-identical to theirs. Filtering the
    boxes of the lower score would not give the boxes of the higher score, because MediaPipe moves each box
    towards all boxes that overlap it, including those with a low score.

    Parameters
    ----------
    clear, faint : float
        The two scores.
    threads : int
        Number of threads of the inference. It does not change the results. With two, the inference takes two
        thirds of the time, and a quarter more CPU time, or more if the processors have other work.
    """

    def __init__(self, clear: float, faint: float, threads: int = 1) -> None:
        _package()
        from mediapipe.python import packet_getter  # noqa: PLC0415 - as above

        self._read: Any = packet_getter.get_proto_list
        nodes = (
            _SCORE_NODES.format(name=name, score=score)
            for name, score in zip(_SCORES, (clear, faint), strict=True)
        )
        inference = _TWO_SCORES_GRAPH.replace("THREADS", str(threads))
        self._graph = _Graph("".join([inference, *nodes]), outputs=_SCORES, with_gpu_type=True)

    def __call__(self, image: Image) -> tuple[Sequence[FoundBox], Sequence[FoundBox]]:
        """Return the boxes with at least the score ``clear``, and those with at least ``faint``."""
        found = self._graph.run_all(image)
        clear, faint = (
            [_read_box(detection) for detection in self._read(found[name])] if name in found else []
            for name in _SCORES
        )
        return clear, faint


class MeshModel:
    """MediaPipe's face mesh model without the search for a face. Skipping the search halves the time."""

    def __init__(self) -> None:
        _package()
        from mediapipe.framework.formats import rect_pb2  # noqa: PLC0415 - as above
        from mediapipe.python import packet_creator, packet_getter  # noqa: PLC0415 - as above

        whole: Any = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0)
        self._place: Any = packet_creator.create_proto(whole)
        self._read: Any = packet_getter.get_proto
        refined = True  # with irises
        self._graph = _Graph(_MESH_GRAPH, {"with_attention": packet_creator.create_bool(refined)})

    def __call__(self, crop: Image) -> Points3 | None:
        """Return the landmarks (478, 3) in a square, upright crop, or None if the crop shows no face.

        The crop must be 1.5 times as wide as the box of the face. The model reduces it to 192 x 192 pixels.
        The landmarks are fractions of the crop's side.
        """
        found = self._graph.run(crop, place=self._place)
        return None if found is None else _read_landmarks(self._read(found))


class PersonModel:
    """MediaPipe's selfie segmentation: a mask of people who are close to the camera."""

    def __init__(self) -> None:
        _package()
        from mediapipe.python import packet_getter  # noqa: PLC0415 - as above

        self._read: Any = packet_getter.get_image_frame
        self._graph = _Graph(_PERSON_GRAPH)

    def __call__(self, image: Image) -> Mask:
        """Return the mask (H, W) float32 of people, 0 to 1."""
        found = self._read(self._graph.run(image)).numpy_view()
        return np.clip(np.asarray(found, np.float32).reshape(image.shape[:2]), 0.0, 1.0)


class _Graph:
    """A running graph with a picture as input and packets as outputs.

    Parameters
    ----------
    config : str
        The graph as text.
    side_packets : dict, optional
        Inputs that do not change.
    outputs : tuple of str
        Names of the outputs.
    with_gpu_type : bool
        Whether the graph takes pictures of the type that can also be on a GPU.
    """

    def __init__(
        self,
        config: str,
        side_packets: dict[str, Any] | None = None,
        *,
        outputs: tuple[str, ...] = ("found",),
        with_gpu_type: bool = False,
    ) -> None:
        package = _package()
        from mediapipe.python import packet_creator  # noqa: PLC0415 - as above
        from mediapipe.python._framework_bindings import (  # noqa: PLC0415 - as above
            calculator_graph,
            image_frame,
            resource_util,
        )
        from mediapipe.python._framework_bindings import image as images  # noqa: PLC0415 - as above

        # MediaPipe finds its models relative to this folder.
        resource_util.set_resource_dir(str(Path(str(package.__file__)).parent.parent))
        self._packets: Any = packet_creator
        self._frames: Any = image_frame
        self._images: Any = images if with_gpu_type else None
        self._found: dict[str, Any] = {}
        self._timestamp_us = 0
        self._graph: Any = calculator_graph.CalculatorGraph(graph_config=config)
        for name in outputs:
            self._graph.observe_output_stream(name, self._found.__setitem__)
        self._graph.start_run(side_packets or {})

    def run(self, image: Image, **packets: Any) -> Any | None:
        """Return the output for ``image``, or None without an output. ``packets`` are the other inputs."""
        return self.run_all(image, **packets).get("found")

    def run_all(self, image: Image, **packets: Any) -> dict[str, Any]:
        """Return the outputs for ``image`` by name. ``packets`` are the other inputs."""
        # MediaPipe requires increasing timestamps; their values do not matter.
        self._timestamp_us += 1
        self._found.clear()
        pixels: Any = {"image_format": self._frames.ImageFormat.SRGB, "data": np.ascontiguousarray(image)}
        frame = (
            self._packets.create_image_frame(**pixels)
            if self._images is None
            else self._packets.create_image(self._images.Image(**pixels))
        )
        for name, packet in {"image": frame, **packets}.items():
            self._graph.add_packet_to_input_stream(name, packet.at(self._timestamp_us))
        self._graph.wait_until_idle()
        return self._found


def _package() -> ModuleType:
    """Return the package ``mediapipe``, without its solutions and tasks.

    They import matplotlib, which takes half a second of CPU time, and this module does not need them. Any
    other code in this process that uses them gets them, because they are imported at their first use.
    """
    if "mediapipe" in sys.modules:
        return sys.modules["mediapipe"]
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("No module named 'mediapipe'", name="mediapipe")
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def complete(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'mediapipe' has no attribute {name!r}")
        vars(package).pop("__getattr__", None)
        loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = complete
    sys.modules["mediapipe"] = package
    # Results can only be read if their types are known.
    for name in ("detection_pb2", "landmark_pb2"):
        importlib.import_module(f"mediapipe.framework.formats.{name}")
    return package


def _read_box(detection: Any) -> FoundBox:
    location = detection.location_data
    box = location.relative_bounding_box
    # Keypoint 0 is the person's right eye (on the viewer's left), keypoint 1 the left eye.
    right_eye, left_eye = location.relative_keypoints[0], location.relative_keypoints[1]
    return FoundBox(
        left=box.xmin,
        top=box.ymin,
        width=box.width,
        height=box.height,
        right_eye=(right_eye.x, right_eye.y),
        left_eye=(left_eye.x, left_eye.y),
        score=float(detection.score[0]),
    )


# A landmark in a serialised list: a tag and a length, then x, y and z, each after a tag.
_LANDMARK = np.dtype(
    {"names": ["x", "y", "z"], "formats": ["<f4"] * 3, "offsets": [3, 8, 13], "itemsize": 17}
)


def _read_landmarks(mesh: Any) -> Points3:
    """Return MediaPipe's landmarks (478, 3) as fractions of the crop's side."""
    # Reading the attributes of the landmarks would take a tenth of the time that the model takes.
    read = np.frombuffer(mesh.SerializeToString(), _LANDMARK)
    return np.stack([read[axis].astype(np.float64) for axis in "xyz"], axis=1)


def face_mesh_edges() -> NDArray[np.int32]:
    """Return the undirected edges (E, 2) between the landmarks of MediaPipe's face mesh, sorted.

    ``laboratory.derive`` makes the triangles of the canonical mesh from these edges. This function imports
    all of MediaPipe, which takes a second.
    """
    from mediapipe.python.solutions.face_mesh_connections import (  # noqa: PLC0415 - as above
        FACEMESH_TESSELATION,
    )

    edges = np.sort(np.array(sorted(FACEMESH_TESSELATION), np.int32), axis=1)
    return np.unique(edges, axis=0)

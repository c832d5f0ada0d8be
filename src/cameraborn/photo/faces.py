"""Faces in a picture: boxes and landmarks; networks in ONNX Runtime, everything else numpy and Pillow.

Two detectors share the work. BlazeFace full range (192 px) finds faces from about a twelfth of the frame
upwards but misses those that fill it; BlazeFace short range (128 px) finds those. `FaceFinder.find` runs the
cheapest pass first and goes on only when that did not settle the picture:

1. the whole picture, full range; a sure and large face ends the search (almost every portrait);
2. the whole picture, and the picture within a margin, short range: faces that fill the frame;
3. if nothing large was found and the picture is large, overlapping tiles, full range, from coarse to fine, so
   that a face of 60 pixels in a 12-megapixel group photograph is seen.

BlazeFace: Bazarevsky et al., CVPR workshops 2019 (arXiv 1907.05047).
Landmarks: Kartynnik et al., CVPR workshops 2019 (arXiv 1907.06724).
Weights: Google MediaPipe, Apache-2.0; tools/convert_face_models.py made the files and says how.

Shapes: H W picture, N candidates, A anchors. Boxes are x0, y0, x1, y1 in pixels of the upright full picture.
"""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.errors import CamerabornError
from cameraborn.files import Box, Pixels
from cameraborn.photo.candidates import (
    SAME_IOU,
    Candidates,
    decode_boxes,
    has_large,
    letterbox,
    overlap,
    suppress,
    tiles_of,
    uncut,
    view_of,
)
from cameraborn.photo.crops import checked, longer_side
from cameraborn.photo.onnx_session import open_session

MIN_CONFIDENCE = 0.5
MODELS = Path(__file__).resolve().parents[1] / "models" / "faces"

SURE = 0.6  # a large face this sure ends the search after one pass
MARGIN = 0.25  # of the long side, black, around the picture: for faces that the frame cuts
TILE_CONFIDENCE = 0.6  # texture at a large magnification deceives the detector more often
SECOND_LOOK, LEAST_CONFIDENCE = 4.0, 0.01  # side of its frame over the face's
TILTED = math.radians(8)  # beyond this the landmarks net is run again on an upright crop

# indices of the 478-point mesh that stand in for the 68-point scheme of 300-W
_JAW = [127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356]
_BROWS = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
_NOSE = [168, 197, 5, 4, 75, 97, 2, 326, 305]
_EYES = [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
_LIPS_OUTER = [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181]
_LIPS_INNER = [78, 82, 13, 312, 308, 317, 14, 87]
INDEX_68 = (*_JAW, *_BROWS, *_NOSE, *_EYES, *_LIPS_OUTER, *_LIPS_INNER)
_EYE_CORNERS = (33, 263)  # outer corners, left and right in the picture


@dataclass(frozen=True)
class Face:
    """One face found.

    `box` is the detector's own square, about brows to chin: x0, y0, x1, y1 in upright full-picture pixels. It
    may reach outside the picture where the frame cuts the face; `square_crop` copes with that.
    `confidence` is the detector's, in (0, 1).
    """

    box: Box
    confidence: float


class FaceFinder:
    """Finds faces and their landmarks; one instance may serve many threads.

    Networks are loaded on first use, so that constructing costs nothing. `threads` is the number of threads
    that one call may use inside ONNX Runtime.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    def find(self, pixels: Pixels, *, min_confidence: float = MIN_CONFIDENCE) -> list[Face]:
        """Faces in `pixels` [H W 3], largest first, then from left to right, then from top to bottom.

        Tiles ask for a confidence of at least `TILE_CONFIDENCE`, whatever `min_confidence`. Time on one
        thread of a shared server core: 6 ms for a 1024 x 1024 portrait, 0.5 s for 12 megapixels with small
        faces or none. Raises PictureError if `pixels` is not a colour picture of 8 bits.
        """
        image = Image.fromarray(checked(pixels))
        width, height = image.size
        frame = (0.0, 0.0, float(width), float(height))
        found = self._pass("face_full_range", image, letterbox(frame), min_confidence)
        if not has_large(found[found[:, 4] >= SURE], frame):
            for margin in (0.0, MARGIN):
                near = self._pass("face_short_range", image, letterbox(frame, margin), min_confidence)
                found = suppress(np.concatenate([found, near]))
        if not has_large(found, frame):
            found = suppress(np.concatenate([found, *self._tile_passes(image, min_confidence)]))
        faces = [Face((float(x0), float(y0), float(x1), float(y1)), float(c)) for x0, y0, x1, y1, c in found]
        return sorted(faces, key=lambda face: (-longer_side(face.box), face.box[0], face.box[1]))

    def landmarks(self, pixels: Pixels, face: Face) -> NDArray[np.float32]:
        """The face mesh of `face` [478 2]: x, y in upright full-picture pixels; 468-477 are the irises.

        The net is given 1.5 times the box, and once more turned upright if the line of the eyes is tilted.
        Raises PictureError if `pixels` [H W 3] is not a colour picture of 8 bits.
        """
        return self._upright_mesh(checked(pixels), face)[0]

    def landmarks_if_sure(self, pixels: Pixels, face: Face) -> NDArray[np.float32] | None:
        """`landmarks`, or None where the net itself finds it likelier that it was shown no whole face.

        So it is with profiles, covered mouths, faces lying on their side: the points are somewhere else then.
        """
        points, presence = self._upright_mesh(checked(pixels), face)
        return points if presence > 0 else None

    def second_look(self, pixels: Pixels, face: Face) -> float:
        """How sure the full-range detector is of `face` when shown it alone, a quarter of the frame wide: in [0, 1).

        Better than the first look at telling faces from flowers (benchmarks/doubtful_faces.py), as it sees every face
        at the size at which it is best. Raises PictureError if `pixels` [H W 3] is not a colour picture of 8 bits.
        """
        image, box = Image.fromarray(checked(pixels)), face.box
        centre, half = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), SECOND_LOOK * longer_side(box) / 2
        frame = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
        found = self._pass("face_full_range", image, frame, LEAST_CONFIDENCE)
        same = (float(c) for x0, y0, x1, y1, c in found if overlap(box, (x0, y0, x1, y1)) > SAME_IOU)
        return max(same, default=0.0)

    def _upright_mesh(self, pixels: Pixels, face: Face) -> tuple[NDArray[np.float32], float]:
        points, presence = self._mesh(pixels, face.box, 0.0)
        left, right = points[_EYE_CORNERS[0]], points[_EYE_CORNERS[1]]
        angle = math.atan2(right[1] - left[1], right[0] - left[0])
        if abs(angle) > TILTED:
            return self._mesh(pixels, face.box, angle)
        return points, presence

    def _session(self, name: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = _load(MODELS / f"{name}.onnx", self.threads)
            return self._sessions[name]

    def _pass(self, name: str, image: Image.Image, region: Box, min_confidence: float) -> Candidates:
        """One detector on one square region, which may reach outside the picture; full-picture pixels out."""
        session = self._session(name)
        entry = session.get_inputs()[0]
        size = entry.shape[1]
        unit = np.asarray(view_of(image, region, size), dtype=np.float32) * np.float32(2 / 255) - 1
        raw_boxes, raw_scores = session.run(None, {entry.name: unit[None]})
        boxes = decode_boxes(raw_boxes[0], raw_scores[0, :, 0], size, min_confidence)
        scale = (region[2] - region[0]) / size
        boxes[:, :4] = boxes[:, :4] * scale + np.array([region[0], region[1]] * 2)
        return boxes

    def _tile_passes(self, image: Image.Image, min_confidence: float) -> list[Candidates]:
        width, height = image.size
        passes = []
        for tile in tiles_of(width, height):
            found = self._pass("face_full_range", image, tile, max(min_confidence, TILE_CONFIDENCE))
            passes.append(found[uncut(found, tile, width, height)])
        return passes

    def _mesh(self, pixels: Pixels, box: Box, angle: float) -> tuple[NDArray[np.float32], float]:
        """The mesh [478 2], and the log odds that the net was shown a face."""
        session = self._session("face_landmarks")
        entry = session.get_inputs()[0]
        size = entry.shape[1]
        centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        step = 1.5 * longer_side(box) / size  # picture pixels for each pixel of the net's input
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        crop = _turned(pixels, centre, turn * step, size)
        unit = np.asarray(crop, dtype=np.float32) / 255
        mesh, presence, _ = session.run(None, {entry.name: unit[None]})
        points = mesh.reshape(478, 3)[:, :2]
        mapped: NDArray[np.float32] = ((points - size / 2) @ (turn * step).T + centre).astype(np.float32)
        return mapped, float(presence.reshape(()))


def landmarks_68(points478: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 68 points [68 2] of the 300-W scheme out of the mesh [478 2]: jaw, brows, nose, eyes 36-47, lips.

    They are the nearest points of the mesh, not the hand-marked ones: expect a few hundredths of the distance
    of the eyes between them, most on the jaw.
    """
    return points478[list(INDEX_68)]


def _load(path: Path, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    if not path.is_file():
        raise CamerabornError(
            f"{path}: this model belongs to the package and is missing; install cameraborn again"
        )
    return open_session(str(path), threads)


def _turned(
    pixels: Pixels, centre: NDArray[np.float64], matrix: NDArray[np.float64], size: int
) -> Image.Image:
    """The square of `size` whose pixel p shows the picture at centre + matrix (p - size / 2)."""
    reach = size * float(np.linalg.norm(matrix[0])) * math.sqrt(0.5) + 2
    height, width = pixels.shape[:2]
    x0, y0 = (
        max(0, min(limit - 1, int(c - reach))) for c, limit in zip(centre, (width, height), strict=True)
    )
    x1, y1 = (
        max(1, min(limit, int(c + reach) + 1)) for c, limit in zip(centre, (width, height), strict=True)
    )
    part = Image.fromarray(np.ascontiguousarray(pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]))
    # an affine transform does not average: shrink by a whole number first, or a large face would alias
    factor = max(1, int(np.linalg.norm(matrix[0])))
    matrix = matrix / factor
    offset = (centre - (x0, y0)) / factor - matrix @ np.array([size / 2, size / 2])
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    return part.reduce(factor).transform(
        (size, size), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
    )

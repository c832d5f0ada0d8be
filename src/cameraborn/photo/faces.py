"""Faces in a picture: boxes, landmarks, crops; networks in ONNX Runtime, everything else numpy and Pillow.

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
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from cameraborn.errors import CamerabornError, PictureError

MIN_CONFIDENCE = 0.5
MODELS = Path(__file__).resolve().parents[1] / "models" / "faces"

SURE = 0.6  # a large face this sure ends the search after one pass
LARGE = 0.2  # of the picture's long side
MARGIN = 0.25  # of the long side, black, around the picture: for faces that the frame cuts
TILE = 512  # smallest tile, pixels: its smallest findable face is about 40 px
TILE_GROWTH = 2.5  # a tile's side over the next finer one's
TILE_OVERLAP = 0.3  # of its side: a face up to this large lies whole in some tile
TILES_ACROSS = 8  # finest tiles along the long side at most (before overlap), so the cost is bounded
TILE_CONFIDENCE = 0.6  # texture at a large magnification deceives the detector more often
SAME_IOU = 0.3  # MediaPipe's own threshold
SAME_INSIDE = 0.7  # a box with this share of it inside a surer one is a part of the same face
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

Box = tuple[float, float, float, float]
Candidates = NDArray[np.float64]  # [N 5]: x0, y0, x1, y1, confidence


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

    def find(self, pixels: NDArray[np.uint8], *, min_confidence: float = MIN_CONFIDENCE) -> list[Face]:
        """Faces in `pixels` [H W 3], largest first, then from left to right, then from top to bottom.

        Tiles ask for a confidence of at least `TILE_CONFIDENCE`, whatever `min_confidence`. Time on one
        thread of a shared server core: 6 ms for a 1024 x 1024 portrait, 0.5 s for 12 megapixels with small
        faces or none. Raises PictureError if `pixels` is not a colour picture of 8 bits.
        """
        image = Image.fromarray(_checked(pixels))
        width, height = image.size
        frame = (0.0, 0.0, float(width), float(height))
        found = self._pass("face_full_range", image, _letterbox(frame), min_confidence)
        if not _has_large(found[found[:, 4] >= SURE], frame):
            for margin in (0.0, MARGIN):
                near = self._pass("face_short_range", image, _letterbox(frame, margin), min_confidence)
                found = _suppress(np.concatenate([found, near]))
        if not _has_large(found, frame):
            found = _suppress(np.concatenate([found, *self._tile_passes(image, min_confidence)]))
        faces = [Face((float(x0), float(y0), float(x1), float(y1)), float(c)) for x0, y0, x1, y1, c in found]
        return sorted(faces, key=lambda face: (-_side(face.box), face.box[0], face.box[1]))

    def landmarks(self, pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """The face mesh of `face` [478 2]: x, y in upright full-picture pixels; 468-477 are the irises.

        The net is given 1.5 times the box, and once more turned upright if the line of the eyes is tilted.
        Raises PictureError if `pixels` [H W 3] is not a colour picture of 8 bits.
        """
        return self._upright_mesh(_checked(pixels), face)[0]

    def landmarks_if_sure(self, pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
        """`landmarks`, or None where the net itself finds it likelier that it was shown no whole face.

        So it is with profiles, covered mouths, faces lying on their side: the points are somewhere else then.
        """
        points, presence = self._upright_mesh(_checked(pixels), face)
        return points if presence > 0 else None

    def _upright_mesh(self, pixels: NDArray[np.uint8], face: Face) -> tuple[NDArray[np.float32], float]:
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
        unit = np.asarray(_view(image, region, size), dtype=np.float32) * np.float32(2 / 255) - 1
        raw_boxes, raw_scores = session.run(None, {entry.name: unit[None]})
        boxes = _decode(raw_boxes[0], raw_scores[0, :, 0], size, min_confidence)
        scale = (region[2] - region[0]) / size
        boxes[:, :4] = boxes[:, :4] * scale + np.array([region[0], region[1]] * 2)
        return boxes

    def _tile_passes(self, image: Image.Image, min_confidence: float) -> list[Candidates]:
        width, height = image.size
        passes = []
        for tile in _tiles(width, height):
            found = self._pass("face_full_range", image, tile, max(min_confidence, TILE_CONFIDENCE))
            passes.append(found[_whole(found, tile, width, height)])
        return passes

    def _mesh(self, pixels: NDArray[np.uint8], box: Box, angle: float) -> tuple[NDArray[np.float32], float]:
        """The mesh [478 2], and the log odds that the net was shown a face."""
        session = self._session("face_landmarks")
        entry = session.get_inputs()[0]
        size = entry.shape[1]
        centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        step = 1.5 * _side(box) / size  # picture pixels for each pixel of the net's input
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


def square_crop(pixels: NDArray[np.uint8], box: Box, scale: float) -> NDArray[np.uint8]:
    """The square of side max(w, h) x `scale` around the centre of `box`, cut from `pixels` [H W 3]: [S S 3].

    No pixel is invented: a square that reaches outside is shifted in, and one that is larger than the picture
    becomes the largest square that fits, as near to the box's centre as the picture allows. Raises
    PictureError for a box without area.
    """
    height, width = _checked(pixels).shape[:2]
    x0, y0, x1, y1 = square_window(width, height, box, scale)
    return np.ascontiguousarray(pixels[y0:y1, x0:x1])


def square_window(width: int, height: int, box: Box | None, scale: float) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of `square_crop` in a picture of `width` x `height`; without a box, of the whole picture.

    Raises PictureError for a box without area.
    """
    box = box or (0.0, 0.0, float(width), float(height))
    if not (box[2] > box[0] and box[3] > box[1] and scale > 0):
        raise PictureError(
            f"face box {box} at scale {scale} has no area; give x0 < x1, y0 < y1 and a scale above 0"
        )
    side = max(1, min(round(_side(box) * scale), width, height))
    x = min(max(round((box[0] + box[2] - side) / 2), 0), width - side)
    y = min(max(round((box[1] + box[3] - side) / 2), 0), height - side)
    return x, y, x + side, y + side


def _checked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise PictureError(
            f"a picture is uint8 [H W 3]; got {pixels.dtype} {list(pixels.shape)}: convert it to RGB first"
        )
    return np.ascontiguousarray(pixels)


def _load(path: Path, threads: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    if not path.is_file():
        raise CamerabornError(
            f"{path}: this model belongs to the package and is missing; install cameraborn again"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _anchors(size: int) -> NDArray[np.float64]:
    """Centres of the anchors [A 2], in input pixels: full range one a cell, short range 2 and 6 a cell."""
    grids = [(4, 1)] if size == 192 else [(8, 2), (16, 6)]  # stride, anchors a cell
    centres = []
    for stride, repeats in grids:
        along = np.arange(size // stride) * stride + stride / 2
        y, x = np.meshgrid(along, along, indexing="ij")
        centres.append(np.stack([x.ravel(), y.ravel()], axis=1).repeat(repeats, axis=0))
    return np.concatenate(centres)


def _decode(
    raw_boxes: NDArray[np.float32], raw_scores: NDArray[np.float32], size: int, min_confidence: float
) -> Candidates:
    """Raw outputs [A 16], [A] to merged candidates [N 5] in input pixels."""
    confidence = 1 / (1 + np.exp(-np.clip(raw_scores.astype(np.float64), -80, 80)))
    keep = (confidence >= min_confidence) & (raw_boxes[:, 2:4] > 0).all(axis=1)
    centre = raw_boxes[keep, :2] + _anchors(size)[keep]
    half = raw_boxes[keep, 2:4] / 2
    return _suppress(
        np.concatenate([centre - half, centre + half, confidence[keep, None]], axis=1), average=True
    )


def _suppress(candidates: Candidates, *, average: bool = False) -> Candidates:
    """Non-maximum suppression by overlap and by containment, surest first.

    With `average` a box becomes the mean of those that it suppresses by overlap, weighted by confidence, as
    in MediaPipe: right among the anchors of one pass, which see the same pixels, and not across passes.
    """
    rest = candidates[np.argsort(-candidates[:, 4], kind="stable")]
    kept = []
    while len(rest):
        best = rest[0].copy()
        iou, inside = _overlaps(best, rest)
        if average:
            best[:4] = np.average(rest[iou > SAME_IOU, :4], axis=0, weights=rest[iou > SAME_IOU, 4])
        kept.append(best)
        same = (iou > SAME_IOU) | (inside > SAME_INSIDE)
        same[0] = True
        rest = rest[~same]
    return np.array(kept).reshape(-1, 5)


def _overlaps(one: NDArray[np.float64], many: Candidates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intersection over union, and over the smaller of the two, of one box with many [N 5]."""
    sides = np.minimum(one[2:4], many[:, 2:4]) - np.maximum(one[:2], many[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    area, areas = (one[2:4] - one[:2]).prod(), (many[:, 2:4] - many[:, :2]).prod(axis=1)
    return shared / (area + areas - shared), shared / np.minimum(area, areas)


def _side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _has_large(found: Candidates, frame: Box) -> bool:
    sides = (found[:, 2:4] - found[:, :2]).max(axis=1)
    return bool((sides >= LARGE * _side(frame)).any())


def _letterbox(frame: Box, margin: float = 0.0) -> Box:
    """The square around the picture, `margin` of the long side wider on each side."""
    half = _side(frame) * (0.5 + margin)
    return (frame[2] / 2 - half, frame[3] / 2 - half, frame[2] / 2 + half, frame[3] / 2 + half)


def _view(image: Image.Image, region: Box, size: int) -> Image.Image:
    """`region` of the picture at `size` x `size`; outside the picture it is black."""
    x0, y0, x1, y1 = (
        max(region[0], 0),
        max(region[1], 0),
        min(region[2], image.width),
        min(region[3], image.height),
    )
    scale = size / (region[2] - region[0])
    shrunk = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    # reducing_gap: whole-number box reduction first, which makes a large picture several times cheaper
    part = image.resize(shrunk, Image.Resampling.BILINEAR, box=(x0, y0, x1, y1), reducing_gap=2.0)
    if shrunk == (size, size):
        return part
    view = Image.new("RGB", (size, size))
    view.paste(part, (round((x0 - region[0]) * scale), round((y0 - region[1]) * scale)))
    return view


def _tiles(width: int, height: int) -> list[Box]:
    """Square overlapping tiles, coarse to fine; none for a picture that a tile would hardly magnify."""
    side = max(float(TILE), max(width, height) / TILES_ACROSS)
    tiles: list[Box] = []
    while side * 1.5 <= max(width, height):
        rows, columns = _starts(height, side), _starts(width, side)
        tiles = [(x, y, x + side, y + side) for y in rows for x in columns] + tiles
        side *= TILE_GROWTH
    return tiles


def _starts(length: int, side: float) -> list[float]:
    """Where tiles begin along one side of the picture: evenly, overlapping by `TILE_OVERLAP` at least."""
    if length <= side:
        return [(length - side) / 2]
    count = math.ceil((length - side) / (side * (1 - TILE_OVERLAP))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def _whole(found: Candidates, tile: Box, width: int, height: int) -> NDArray[np.bool_]:
    """Which candidates the tile does not cut: the next tile, or the coarser one, has the others whole."""
    # a tile ends at the picture's edge only to within rounding
    low = np.array([start if start > 1 else -np.inf for start in tile[:2]])
    high = np.array(
        [e if e < limit - 1 else np.inf for e, limit in zip(tile[2:], (width, height), strict=True)]
    )
    return np.asarray(np.concatenate([found[:, :2] >= low, found[:, 2:4] <= high], axis=1).all(axis=1))


def _turned(
    pixels: NDArray[np.uint8], centre: NDArray[np.float64], matrix: NDArray[np.float64], size: int
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

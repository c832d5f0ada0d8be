"""Why a picture got its score: which regions drove it, and where it lies among held-out photographs.

For networks of patches the map says how the score moves if a patch counts twice: the feature is a mean over patches, so
this is the patch's own pull. For networks of whole crops it says how much the score falls when a region is hidden
(occlusion, Zeiler and Fergus, ECCV 2014). Neither proves anything about the region: they say what this model looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cameraborn.detect.bundle import CalibrationRow
from cameraborn.detect.conformal import describe_class
from cameraborn.detect.detector import Detector, Verdict, longer_side
from cameraborn.errors import PictureError
from cameraborn.photo.decode import PictureSource, open_picture
from cameraborn.photo.patches import PATCH_SIZE, shrink_to

Pixels = NDArray[np.uint8]
Map = NDArray[np.float64]
STRIDE = 16  # of the patches behind the map, in pixels of the crop as the network sees it
OCCLUSIONS = 12  # hidden squares along each side
NEAREST = 5


@dataclass(frozen=True, eq=False)
class Explanation:
    """What can be shown of one verdict.

    Attributes:
        verdict: the verdict on the face.
        picture: the upright picture [H W 3].
        crop: what the network looked at [h w 3].
        influence: how each region moved the score, in its units, positive = less like a photograph: [h w].
        method: how the map was made, for people.
        among: held-out scores of the verdict's class of condition, sorted: [n].
        condition: what the face looks as if it had been through, in words; its class may hold more than that.
        nearest: held-out photographs of that class with the nearest scores, nearest first.
    """

    verdict: Verdict
    picture: Pixels
    crop: Pixels
    influence: Map
    method: str
    among: NDArray[np.float64]
    condition: str
    nearest: tuple[CalibrationRow, ...]


def explain(
    detector: Detector, source: PictureSource, *, face: int = 0, whole_image: bool = False
) -> Explanation:
    """Explain the verdict on one face of a picture (or on the whole of it).

    Raises:
        PictureError: the picture cannot be read, shows no such face, or the face is too small to be scored.
        BundleError: the bundle lacks a model or a calibration.
    """
    verdicts = detector.score(source, false_alarm_rate=0.5, whole_image=whole_image)
    chosen = verdicts[0 if whole_image else min(face, len(verdicts) - 1)]
    if chosen.error is not None:
        raise PictureError(chosen.error)
    if chosen.box is None:
        raise PictureError(
            f"{chosen.path}: no face in it: use --whole-image with a bundle for whole pictures"
        )
    if not whole_image and chosen.face != face:
        raise PictureError(
            f"{chosen.path}: has {len(verdicts)} face(s), numbered from 0: there is no face {face}"
        )
    if chosen.score is None:
        raise PictureError(f"{chosen.path}: the face is too small to be scored: give a larger picture")
    picture = open_picture(source)
    crop = detector.crop(picture.pixels, chosen.box, whole_image=whole_image)
    if detector.encoder.preprocessing.input == "patches":
        influence, method = patch_influence(detector, crop), "what each patch adds to the score"
    else:
        influence, method = occlusion(detector, crop), "how the score falls when a region is hidden"
    calibration = detector.bundle.calibration
    traces = detector.encoder.traces_of(crop)
    condition = detector.bundle.condition(longer_side(chosen.box), picture.jpeg_quality, traces)
    number = calibration.class_of(condition)
    cells, grid = calibration.classes[number], calibration.grid
    members = [row for row in detector.bundle.calibration_rows if grid.cell_of(row.condition) in cells]
    score = chosen.score
    nearest = sorted(members, key=lambda row: abs(row.score - score))[:NEAREST]
    return Explanation(
        chosen,
        picture.pixels,
        crop,
        influence,
        method,
        calibration.scores[number],
        describe_class((grid.cell_of(condition),), grid),
        tuple(nearest),
    )


def patch_influence(detector: Detector, crop: Pixels) -> Map:
    """How the score moves if a patch counted twice, averaged over the patches on each pixel: [h w].

    Patches are taken on a finer grid than scoring needs, at every size that the network looks at.
    """
    sides = detector.encoder.preprocessing.sides
    looks, shrunk = [], crop
    for side in sides:
        shrunk = shrink_to(shrunk, side)
        corners = _corners(*shrunk.shape[:2])
        patches = np.stack([shrunk[y : y + PATCH_SIZE, x : x + PATCH_SIZE] for y, x in corners])
        features = detector.encoder.patch_features(np.ascontiguousarray(patches.transpose(0, 3, 1, 2)))
        looks.append((shrunk.shape[:2], corners, features))
    centre = detector.encoder.feature(crop)
    D = len(centre) // len(sides)
    total = np.zeros(crop.shape[:2])
    for number, ((h, w), corners, features) in enumerate(looks):
        count = max(
            1, round(h / PATCH_SIZE) * round(w / PATCH_SIZE)
        )  # patches that scoring takes of this size
        moved = np.repeat(centre[None], len(corners), axis=0)
        part = slice(number * D, (number + 1) * D)
        moved[:, part] += (features - centre[part]) / (count + 1)
        pull = detector.bundle.scores(moved) - float(detector.bundle.scores(centre[None])[0])
        total += _spread(pull, corners, (h, w), PATCH_SIZE, crop.shape[:2])
    return total


def occlusion(detector: Detector, crop: Pixels) -> Map:
    """How much the score falls when a square of the crop is blurred away: [h w]."""
    h, w, _ = crop.shape
    side = max(2, 2 * min(h, w) // OCCLUSIONS)
    blurred = np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(side / 2)))
    corners = [
        (int(y), int(x))
        for y in np.linspace(0, h - side, OCCLUSIONS).round()
        for x in np.linspace(0, w - side, OCCLUSIONS).round()
    ]
    whole = detector.score_crop(crop)
    falls = []
    for y, x in corners:
        hidden = crop.copy()
        hidden[y : y + side, x : x + side] = blurred[y : y + side, x : x + side]
        falls.append(whole - detector.score_crop(hidden))
    return _spread(np.array(falls), corners, (h, w), side, (h, w))


def _corners(h: int, w: int) -> list[tuple[int, int]]:
    def along(length: int) -> list[int]:
        steps = max(1, round((length - PATCH_SIZE) / STRIDE) + 1)
        return [int(start) for start in np.linspace(0, length - PATCH_SIZE, steps).round()]

    return [(y, x) for y in along(h) for x in along(w)]


def _spread(
    values: Map, corners: list[tuple[int, int]], shape: tuple[int, int], side: int, wanted: tuple[int, ...]
) -> Map:
    """Each pixel gets the mean value of the squares it lies in, weighted by how near their centre is; stretched."""
    bell = np.hanning(side + 2)[1:-1]
    weight = np.outer(bell, bell)
    total, count = np.zeros(shape), np.zeros(shape)
    for value, (y, x) in zip(values, corners, strict=True):
        total[y : y + side, x : x + side] += value * weight
        count[y : y + side, x : x + side] += weight
    small = Image.fromarray((total / np.maximum(count, 1e-9)).astype(np.float32))
    size = (wanted[1], wanted[0])
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float64)

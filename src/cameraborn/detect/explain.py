"""Why a picture got its score: which regions drove it, and where it lies among held-out photographs.

For networks of patches the map says how the score moves if a patch counts twice: the feature is a mean over patches, so
this is the patch's own pull. For networks of whole crops it says how much the score falls when a region is hidden
(occlusion, Zeiler and Fergus, ECCV 2014). Neither proves anything about the region: they say what moved this model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from cameraborn.detect.describe import describe_category
from cameraborn.detect.detector import Detector
from cameraborn.detect.held_out import CalibrationRow
from cameraborn.detect.observe import Observation
from cameraborn.detect.verdict import Verdict
from cameraborn.errors import PictureError
from cameraborn.files import Array, Pixels
from cameraborn.photo.decode import Picture, PictureSource
from cameraborn.photo.patches import shrink_to

STRIDE = 16  # of the patches behind the map, in pixels of the crop as the network sees it
OCCLUSIONS = 12  # hidden squares along each side
NEAREST = 5
REACH = 0.15  # of the range of the middle 80 % of held-out scores
_RATE = 0.5  # the flag is not shown


@dataclass(frozen=True, eq=False)
class Explanation:
    """What can be shown of one verdict.

    Attributes:
        verdict: the verdict on the face.
        picture: the upright picture [H W 3].
        crop: what the network saw [h w 3].
        influence: how each region moved the score, in its units, positive = less like a photograph: [h w].
        reach: an influence that regions of held-out photographs hardly ever have; the scale of a map.
        method: how the map was made, for people.
        among: held-out scores of the verdict's category of condition, sorted: [n].
        condition: the condition that the face is in, in words.
        category: the category of conditions that it was compared with, in words; it may be merged of several.
        nearest: held-out photographs of that category with the nearest scores, nearest first.
    """

    verdict: Verdict
    picture: Pixels
    crop: Pixels
    influence: Array
    reach: float
    method: str
    among: Array
    condition: str
    category: str
    nearest: tuple[CalibrationRow, ...]


def explain(
    detector: Detector, source: PictureSource, *, face: int = 0, whole_image: bool = False
) -> Explanation:
    """Explain the verdict on one face of a picture (or on the whole of it).

    Raises:
        PictureError: the picture cannot be read, shows no such face, or the face is too small to be scored.
        BundleError: the bundle lacks a model or a calibration.
    """
    return explain_observed(
        detector,
        *detector.observe_source(source, whole_image=whole_image),
        face=face,
        whole_image=whole_image,
    )


def explain_observed(
    detector: Detector,
    picture: Picture,
    seen: Sequence[Observation],
    *,
    face: int = 0,
    whole_image: bool = False,
) -> Explanation:
    """The same of a picture whose faces (or whose whole) were observed before.

    Raises:
        PictureError: as `explain`, but for a picture that cannot be read.
        BundleError: as `explain`.
    """
    if not seen:
        raise PictureError(
            f"{picture.name}: no face in it: use --whole-image with a bundle for whole pictures"
        )
    number = 0 if whole_image else face
    if not 0 <= number < len(seen):
        raise PictureError(
            f"{picture.name}: has {len(seen)} face(s), numbered from 0: there is no face {face}"
        )
    chosen = seen[number]
    if chosen.measured is None:
        info = detector.bundle.info
        needed = (
            f"shorter side needs {info.smallest_side}" if whole_image else f"box needs {info.smallest_face}"
        )
        what = "picture" if whole_image else "face"
        raise PictureError(f"{picture.name}: the {what} is too small to be scored: its {needed} px")
    (verdict,) = detector.verdicts(picture, [chosen], path=picture.name, false_alarm_rate=_RATE)
    if _sees_whole_patches(detector):
        influence, method = patch_influence(detector, chosen.crop), "what each patch adds to the score"
    else:
        influence, method = occlusion(detector, chosen.crop), "how the score falls when a region is hidden"
    taxonomy = detector.calibration.taxonomy
    category = taxonomy.category_of(chosen.measured.condition)
    among = detector.calibration.scores[category]
    return Explanation(
        verdict,
        picture.pixels,
        chosen.crop,
        influence,
        reach_among(among),
        method,
        among,
        describe_category([taxonomy.cell_of(chosen.measured.condition)], taxonomy),
        describe_category(taxonomy.categories[category], taxonomy),
        _nearest(detector, verdict, category),
    )


def reach_among(scores: Array) -> float:
    """An influence that regions of photographs with these scores [n] hardly ever have.

    A region moves a score by a part of what photographs differ by; which part is measured (benchmarks/map_scale.py).
    """
    low, high = np.quantile(scores, [0.1, 0.9])
    return max(REACH * float(high - low), 1e-9)


def _nearest(detector: Detector, verdict: Verdict, category: int) -> tuple[CalibrationRow, ...]:
    """The held-out photographs of a category with the nearest scores, nearest first."""
    taxonomy, score = detector.calibration.taxonomy, verdict.score
    assert score is not None  # every crop that was measured is scored
    rows, evidence = detector.bundle.calibration_rows, detector.evidence
    members = [
        row if evidence is None else replace(row, score=row.surprises[evidence])
        for row in rows
        if taxonomy.category_of(row.condition) == category
    ]
    return tuple(sorted(members, key=lambda row: abs(row.score - score))[:NEAREST])


def _sees_whole_patches(detector: Detector) -> bool:
    """Whether every network takes single patches of the whole crop."""
    networks = detector.bundle.info.networks
    seen = {(one.preprocessing.input, one.preprocessing.crop_scale) for one in networks}
    return seen == {("patches", detector.bundle.info.crop_scale)}


def patch_influence(detector: Detector, crop: Pixels) -> Array:
    """How the score moves if a patch counted twice, averaged over the patches on each pixel: [h w].

    Patches are taken on a finer grid than scoring needs, at every size that a network sees.
    """
    centre = detector.observer.feature(crop)
    score = float(detector.scores(centre[None])[0])
    total = np.zeros(crop.shape[:2])
    for encoder, place in detector.observer.encoders:
        first, size, shrunk = place.start, encoder.preprocessing.patch, crop
        for side in encoder.preprocessing.sides:
            shrunk = shrink_to(shrunk, side)
            h, w, _ = shrunk.shape
            corners = _corners(h, w, size)
            patches = np.stack([shrunk[y : y + size, x : x + size] for y, x in corners])
            features = encoder.patch_features(np.ascontiguousarray(patches.transpose(0, 3, 1, 2)))
            count = max(1, round(h / size) * round(w / size))  # patches that scoring takes of this size
            moved = np.repeat(centre[None], len(corners), axis=0)
            part = slice(first, first + features.shape[1])
            moved[:, part] += (features - centre[part]) / (count + 1)
            total += _spread(detector.scores(moved) - score, corners, (h, w), size, crop.shape[:2])
            first = part.stop
    return total


def occlusion(detector: Detector, crop: Pixels) -> Array:
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


def _corners(h: int, w: int, size: int) -> list[tuple[int, int]]:
    def along(length: int) -> list[int]:
        steps = max(1, round((length - size) / STRIDE) + 1)
        return [int(start) for start in np.linspace(0, length - size, steps).round()]

    return [(y, x) for y in along(h) for x in along(w)]


def _spread(
    values: Array, corners: list[tuple[int, int]], shape: tuple[int, int], side: int, wanted: tuple[int, ...]
) -> Array:
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

"""The detector: pictures in, verdicts out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cameraborn.detect.bundle import Bundle, read_bundle
from cameraborn.detect.conformal import benjamini_hochberg
from cameraborn.detect.encoder import Encoder
from cameraborn.detect.golden import GOLDEN_TOLERANCE, golden_picture
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import BundleError, PictureError
from cameraborn.photo.crops import square_crop
from cameraborn.photo.decode import Picture, PictureSource, open_picture
from cameraborn.photo.faces import FaceFinder

Scope = Literal["ok", "no-face", "too-small", "beyond-calibration", "unreadable"]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Verdict:
    """What is said of one face, or of one picture without a face to judge.

    Attributes:
        path: what the picture was called.
        face: number of the face in its picture, from 0, largest first; None where there is no face.
        box: x0, y0, x1, y1 of the face (or of the whole picture) in upright pixels.
        width, height: of the upright picture, in pixels.
        score: higher = less like a photograph: minus the log-likelihood of the feature, in nats, or a classifier's log
            odds.
        p_value: share of held-out photographs of the same class of condition that are at least as surprising;
            small = surprising for a photograph.
        flagged: p_value is at or under the false-alarm rate; None where the detector abstains.
        scope: `ok`, or why the detector abstains.
        error: what is wrong with an unreadable picture.
        bundle: the name of the bundle that judged.
    """

    path: str
    face: int | None
    box: tuple[float, float, float, float] | None
    width: int | None
    height: int | None
    score: float | None
    p_value: float | None
    flagged: bool | None
    scope: Scope
    error: str | None
    bundle: str

    def to_mapping(self) -> dict[str, Any]:
        """The fields by name, ready for JSON or CSV."""
        return asdict(self)


class Detector:
    """Scores pictures with a bundle; thread-safe.

    Args:
        bundle: what to score with; `cameraborn.load()` gives the one that ships.
        threads: processor threads for one picture. `score_many` gets its speed from several pictures at a time.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self.bundle = bundle
        self.encoder = Encoder(bundle, threads=threads)
        self.faces = FaceFinder(threads=threads)

    def score(
        self,
        source: PictureSource,
        *,
        false_alarm_rate: float = 0.05,
        whole_image: bool = False,
        name: str | None = None,
    ) -> list[Verdict]:
        """Judge every face of a picture: path, bytes, file object, Pillow picture or uint8 array [H W 3].

        A picture without a face, or one that cannot be read, gives one verdict whose scope says so.

        Raises:
            CalibrationError: the bundle's calibration cannot support the rate.
            BundleError: the bundle lacks a mixture or a calibration.
        """
        self.bundle.calibration.check_rate(false_alarm_rate)
        blank = self._blank(name or _name_of(source))
        try:
            picture = open_picture(source, name=name)
        except PictureError as error:
            return [replace(blank, error=str(error))]
        blank = replace(blank, width=picture.pixels.shape[1], height=picture.pixels.shape[0], scope="no-face")
        boxes = self.boxes(picture.pixels, whole_image=whole_image)
        if not boxes:
            return [blank]
        return [
            self._judge(
                picture, box, replace(blank, face=None if whole_image else index, box=box), false_alarm_rate
            )
            for index, box in enumerate(boxes)
        ]

    def score_many(
        self,
        sources: Iterable[PictureSource],
        *,
        false_alarm_rate: float = 0.05,
        whole_image: bool = False,
        jobs: int | None = None,
    ) -> Iterator[Verdict]:
        """Judge many pictures, `jobs` at a time (default: one a processor); verdicts come in the order of the sources.

        A generator: at most a few pictures a job are in memory, however many there are.
        """
        self.bundle.calibration.check_rate(false_alarm_rate)

        def judge(source: PictureSource) -> list[Verdict]:
            return self.score(source, false_alarm_rate=false_alarm_rate, whole_image=whole_image)

        for verdicts in map_in_order(Call(judge), sources, jobs):
            yield from verdicts

    def score_crop(self, pixels: Pixels) -> float:
        """The score of pixels [H W 3], whatever is on them."""
        return float(self.bundle.scores(self.encoder.feature(pixels)[None])[0])

    def verify(self) -> None:
        """Score the golden pictures, and see that this machine computes what the bundle's maker did.

        Raises:
            BundleError: a score differs by more than rounding.
        """
        for name, expected in self.bundle.golden.items():
            score = self.score_crop(golden_picture(name))
            if not abs(score - expected) <= GOLDEN_TOLERANCE * max(1.0, abs(expected)):
                raise BundleError(
                    f"{self.bundle.origin}: golden picture {name} scores {score:.3f} here "
                    f"and {expected:.3f} at the maker's: "
                    "get the bundle again, or try another release of ONNX Runtime"
                )

    def boxes(self, pixels: Pixels, *, whole_image: bool) -> list[tuple[float, float, float, float]]:
        """The boxes to judge: the faces, largest first, or the whole picture."""
        if whole_image:
            H, W, _ = pixels.shape
            return [(0.0, 0.0, float(W), float(H))]
        return [face.box for face in self.faces.find(pixels)]

    def crop(self, pixels: Pixels, box: tuple[float, float, float, float], *, whole_image: bool) -> Pixels:
        """What the network looks at."""
        return pixels if whole_image else square_crop(pixels, box, self.encoder.preprocessing.crop_scale)

    def _judge(
        self, picture: Picture, box: tuple[float, float, float, float], blank: Verdict, rate: float
    ) -> Verdict:
        crop = self.crop(picture.pixels, box, whole_image=blank.face is None)
        if min(crop.shape[:2]) < self.encoder.preprocessing.smallest_side:
            return replace(blank, scope="too-small")
        feature, traces = self.encoder.look(crop)
        score = float(self.bundle.scores(feature[None])[0])
        if not self._covered(picture, crop, whole_image=blank.face is None):
            return replace(blank, scope="beyond-calibration", score=score)
        condition = self.bundle.condition(longer_side(box), picture.jpeg_quality, traces)
        p = self.bundle.calibration.p_value(score, condition)
        return replace(blank, scope="ok", score=score, p_value=p, flagged=bool(p <= rate))

    def _covered(self, picture: Picture, crop: Pixels, *, whole_image: bool) -> bool:
        """Has the calibration seen photographs that had been through what this picture has?"""
        coverage = self.bundle.coverage
        low, high = coverage.jpeg_quality
        quality = picture.jpeg_quality
        return (
            whole_image == coverage.whole_image
            and (quality is None or low <= quality <= high)
            and (not coverage.colour or has_colour(crop))
        )

    def _blank(self, name: str) -> Verdict:
        return Verdict(
            name, None, None, None, None, None, None, None, "unreadable", None, self.bundle.info.name
        )


def load(bundle: str | os.PathLike[str] | None = None, *, verify: bool = False, threads: int = 1) -> Detector:
    """Load a detector from a bundle's folder or zip; without one, the bundle that ships with this package.

    Args:
        bundle: folder or zip.
        verify: also score the golden pictures and compare.
        threads: processor threads for one picture.

    Raises:
        BundleError: the bundle is missing, foreign or damaged, or (with `verify`) computes something else here.
    """
    detector = Detector(
        read_bundle(Path(bundle) if bundle is not None else default_bundle()), threads=threads
    )
    if verify:
        detector.verify()
    return detector


def default_bundle() -> Path:
    """Where the bundle that ships lies: inside the installed package, or in the source tree."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models" / "default"
    return inside if inside.exists() else package.parents[1] / "models" / "default"


def control_discoveries(verdicts: Iterable[Verdict], rate: float) -> list[Verdict]:
    """Flag anew, so that of all that is flagged in this set at most `rate` are photographs, on average.

    The flags then depend on the whole set: few if it holds only photographs, more if many pictures are surprising
    (Benjamini-Hochberg on the p-values). Verdicts that abstain stay as they are.

    Raises:
        CalibrationError: the rate is not in (0, 1).
    """
    verdicts = list(verdicts)
    judged = [verdict.p_value for verdict in verdicts if verdict.p_value is not None]
    flags = iter(benjamini_hochberg(judged, rate))
    return [
        verdict if verdict.p_value is None else replace(verdict, flagged=bool(next(flags)))
        for verdict in verdicts
    ]


def longer_side(box: tuple[float, float, float, float]) -> float:
    """The longer side of a box x0, y0, x1, y1: what is meant by a face's size."""
    return max(box[2] - box[0], box[3] - box[1])


def has_colour(pixels: Pixels) -> bool:
    """Whether a picture has colour at all: channels that differ by more than compression's rounding."""
    red, green, blue = np.moveaxis(
        pixels[::4, ::4].astype(np.int16), 2, 0
    )  # apart: reducing an axis of 3 is slow
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return bool((highest - lowest).mean() > 2.0)


def _name_of(source: PictureSource) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "filename", "") or getattr(source, "name", "") or f"<{type(source).__name__}>")

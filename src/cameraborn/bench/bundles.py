"""Bundles as the benchmark uses them: the one file here that knows how `detect` works inside.

A bundle scores through `Detector.score`, on bytes, as any user does. Its encoder is put in one that remembers features
in the cache, so that the same network behind another mixture is not run again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cameraborn.bench.cache import FeatureCache, Looked
from cameraborn.bench.scorers import DetectorSection, Scored
from cameraborn.detect.bundle import Bundle, read_bundle
from cameraborn.detect.detector import Detector, default_bundle
from cameraborn.detect.encoder import Encoder
from cameraborn.errors import PictureError
from cameraborn.photo.decode import open_picture

Features = NDArray[np.floating]
_SEEN_DIGITS = 16  # of a SHA-256 in a bundle's seen.txt


class _RememberingEncoder(Encoder):
    """An encoder that asks the cache first, and knows which crops this thread has looked at."""

    def __init__(self, bundle: Bundle, key: str, cache: FeatureCache) -> None:
        super().__init__(bundle, threads=1)
        self.key = key
        self._cache = cache
        self._thread = threading.local()

    def begin(self) -> None:
        """Forget which crops this thread has looked at."""
        self._thread.crops, self._thread.computed = [], 0

    @property
    def crops(self) -> list[str]:
        """Crops that this thread has looked at since `begin`."""
        crops: list[str] = self._thread.crops
        return crops

    @property
    def computed(self) -> int:
        """For how many of them the network had to run."""
        computed: int = self._thread.computed
        return computed

    def feature(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature of a crop, from the cache if it is there."""
        digest = hashlib.sha256(repr(crop.shape).encode() + np.ascontiguousarray(crop).tobytes()).hexdigest()
        self._thread.crops.append(digest)
        known = self._cache.crop(self.key, digest)
        if known is not None:
            return known
        self._thread.computed += 1
        feature = super().feature(crop)
        self._cache.put_crop(self.key, digest, feature)
        return feature


class BundleScorer:
    """A bundle as a detector: scores the largest face of a picture, or the whole picture.

    Attributes:
        name: in tables.
        key: of its content and settings; what was scored under another key is no result of this detector.
        sources: photograph sources that it has learnt from or was calibrated with.
        calibration_size: how many photographs its p-values rest on.
    """

    def __init__(self, section: DetectorSection, cache: FeatureCache) -> None:
        self.section = section
        bundle = read_bundle(default_bundle() if section.which == "default" else Path(section.which))
        self.name = section.name or bundle.info.name
        self.key = _digest(
            *(hashlib.sha256(bundle.files[name]).hexdigest() for name in sorted(bundle.files)),
            bundle.info.model_dump_json(exclude={"name", "versions", "licences"}),
            section.whole_image,
            sorted(section.sources),
        )
        calibration = bundle.files.get("calibration.csv", b"").decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(calibration)))
        self.sources = frozenset({row["source"] for row in rows} | set(section.sources))
        self.calibration_size = len(rows)
        self._seen = set(bundle.files.get("seen.txt", b"").decode().split())
        self._cache = cache
        self._detector = Detector(bundle)
        self._encoder = _RememberingEncoder(bundle, encoder_key(bundle), cache)
        self._detector.encoder = self._encoder

    def check(self, false_alarm_rate: float) -> None:
        """See that the bundle can decide at this rate.

        Raises:
            BundleError: it has no mixture or calibration.
            CalibrationError: its calibration is too small for the rate.
        """
        self._encoder.begin()
        self._detector.score(b"", false_alarm_rate=false_alarm_rate)

    def has_seen(self, sha256: str) -> bool:
        """Has the bundle learnt from this file?"""
        return sha256[:_SEEN_DIGITS] in self._seen

    def score(self, data: bytes, name: str, false_alarm_rate: float) -> Scored:
        """Score an encoded picture."""
        self._encoder.begin()
        verdict, *_ = self._detector.score(
            data, false_alarm_rate=false_alarm_rate, whole_image=self.section.whole_image, name=name
        )
        crops = self._encoder.crops
        if verdict.scope != "unreadable":
            self._remember(hashlib.sha256(data).hexdigest(), verdict.scope, crops[0] if crops else None)
        return Scored(
            scope=verdict.scope,
            score=verdict.score,
            p_value=verdict.p_value,
            flagged=verdict.flagged,
            error=verdict.error or "",
            remembered=bool(crops) and not self._encoder.computed,
        )

    def look(self, file: Path, sha256: str) -> Looked:
        """The feature of the largest face of a file (or the whole picture), from the cache if it is there.

        Needs neither a mixture nor a calibration: any encoder can be looked through.

        Raises:
            PictureError: the file cannot be read, or is another than it was.
        """
        known = self._cache.picture(self._encoder.key, sha256, whole=self.section.whole_image)
        if known is not None:
            return known
        picture = open_picture(file)
        if picture.sha256 != sha256:
            raise PictureError(
                f"{file}: not the file that was imported (its SHA-256 differs): import it again"
            )
        self._encoder.begin()
        whole = self.section.whole_image
        scope, feature = "no-face", None
        for box in self._detector.boxes(picture.pixels, whole_image=whole)[:1]:
            crop = self._detector.crop(picture.pixels, box, whole_image=whole)
            scope = "too-small"
            if min(crop.shape[:2]) >= self._encoder.preprocessing.smallest_side:
                scope, feature = "ok", self._encoder.look(crop)[0]  # as it is judged: one entry in the cache
        self._remember(sha256, scope, None if feature is None else self._encoder.crops[0])
        return Looked(scope, feature)

    def look_or_none(self, file: Path, sha256: str) -> Features | None:
        """`look`, with None for a file without a feature or that cannot be read."""
        try:
            return self.look(file, sha256).feature
        except PictureError:
            return None

    def _remember(self, sha256: str, scope: str, crop: str | None) -> None:
        self._cache.put_picture(
            self._encoder.key, sha256, whole=self.section.whole_image, scope=scope, crop=crop
        )

    @property
    def encoder_key(self) -> str:
        """Of the network and how pictures are laid before it."""
        return self._encoder.key


def encoder_key(bundle: Bundle) -> str:
    """Of what decides a feature: the network, its preprocessing, and the release that finds the faces."""
    return _digest(
        hashlib.sha256(bundle.network).hexdigest(),
        bundle.info.preprocessing.model_dump_json(),
        metadata.version("cameraborn"),
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

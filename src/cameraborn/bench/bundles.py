"""Bundles as the benchmark uses them: the one file here that knows how `detect` works inside.

A bundle observes and judges through `Detector`, on bytes, as for any user. Its features are kept in the cache, so that
the same network behind other evidence is not run again.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from cameraborn.bench.cache import CachedFeatures, FeatureCache, Observed, digest
from cameraborn.bench.scorers import ERROR_SCOPE, DetectorSection
from cameraborn.data.manifest import not_as_listed
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import Detector, default_bundle
from cameraborn.detect.observe import Observation
from cameraborn.detect.store import read_bundle
from cameraborn.detect.verdict import Scored
from cameraborn.errors import PictureError
from cameraborn.photo.decode import Picture, open_listed, open_picture


class BundleScorer:
    """A bundle as a detector: scores the largest face of a picture, or the whole picture.

    Attributes:
        name: in tables.
        key: of its content and settings; what was scored under another key is no result of this detector.
        sources: photograph sources that it has learnt from or was calibrated with.
        encoder_key: of the network and how pictures are laid before it.
        calibration_size: how many photographs its p-values rest on.
    """

    def __init__(self, section: DetectorSection, cache: FeatureCache) -> None:
        self.section = section
        bundle = read_bundle(default_bundle() if section.which == "default" else Path(section.which))
        evidence = section.evidence or None
        self.name = section.name or " ".join(filter(None, (bundle.info.name, evidence)))
        self.key = digest(
            *(hashlib.sha256(bundle.files[name]).hexdigest() for name in sorted(bundle.files)),
            bundle.info.model_dump_json(exclude={"name", "versions", "licences"}),
            section.whole_image,
            sorted(section.sources),
            *([evidence] if evidence else []),
        )
        rows = () if bundle.info.coverage is None else bundle.calibration_rows
        self.sources = frozenset({row.source for row in rows} | set(section.sources))
        self.calibration_size = len(rows)
        self.encoder_key = encoder_key(bundle)
        self._cache = cache
        self._detector = Detector(bundle, evidence=evidence, features=CachedFeatures(cache, self.encoder_key))

    def check(self, false_alarm_rate: float) -> None:
        """See that the bundle can decide at this rate.

        Raises:
            BundleError: it has no evidence or calibration.
            CalibrationError: its calibration is too small for the rate.
        """
        self._detector.check_rate(false_alarm_rate)

    def has_seen(self, sha256: str) -> bool:
        """Has the bundle learnt from this file?"""
        return self._detector.bundle.has_seen(sha256)

    def score(self, data: bytes, name: str, false_alarm_rate: float) -> Scored:
        """Score an encoded picture."""
        try:
            picture = open_picture(data, name=name)
        except PictureError as error:
            return Scored(ERROR_SCOPE, error=str(error))
        seen = self._observe(picture, hashlib.sha256(data).hexdigest())
        (verdict,) = self._detector.verdicts(
            picture, seen, path=name, false_alarm_rate=false_alarm_rate, face_notes=False
        )
        return Scored(
            scope=verdict.scope,
            score=verdict.score,
            p_value=verdict.p_value,
            flagged=verdict.flagged,
            remembered=any(one.measured is not None and one.measured.remembered for one in seen),
        )

    def observe(self, file: Path, sha256: str) -> Observed:
        """The feature of the largest face of a file (or the whole picture), from the cache if it is there.

        Needs neither evidence nor a calibration: a bundle with a network alone will do.

        Raises:
            PictureError: the file cannot be read, or is another than it was.
        """
        known = self._cache.picture(self.encoder_key, sha256, whole=self.section.whole_image)
        if known is not None:
            return known
        picture = open_listed(file)
        if picture.sha256 != sha256:
            raise not_as_listed(file)
        seen = self._observe(picture, sha256)
        if not seen or seen[0].measured is None:
            return Observed(seen[0].scope if seen else "no-face", None)
        return Observed(seen[0].scope, seen[0].measured.feature)

    def _observe(self, picture: Picture, sha256: str) -> list[Observation]:
        """The largest face of a picture, if it shows one; the cache then knows it by the file's content."""
        whole = self.section.whole_image
        seen = self._detector.observe(picture, whole_image=whole, most=1)
        scope = seen[0].scope if seen else "no-face"
        crop = seen[0].measured.digest if seen and seen[0].measured is not None else None
        self._cache.put_picture(self.encoder_key, sha256, whole=whole, scope=scope, crop=crop)
        return seen


def encoder_key(bundle: Bundle) -> str:
    """Of what decides a feature: the networks, their preprocessing, and the release that finds the faces."""
    return digest(
        *(hashlib.sha256(bundle.graph(one)).hexdigest() for one in bundle.info.networks),
        *(one.preprocessing.model_dump_json() for one in bundle.info.networks),
        metadata.version("cameraborn"),
    )

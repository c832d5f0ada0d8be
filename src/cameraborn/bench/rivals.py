"""Rivals and encoders of others as the benchmark uses them: on the faces that bundles see, or on whole pictures.

A rival decides by held-out photographs, as every detector here, so that rates can be compared; the same scores decided
on by its own threshold, even odds, are one more row. An encoder has no score: its features go into the papers' mixture.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from cameraborn.bench.cache import FeatureCache, Observed, digest
from cameraborn.bench.scorers import ERROR_SCOPE, OWN_THRESHOLD, DetectorSection
from cameraborn.data.manifest import not_as_listed, sha256_of
from cameraborn.detect.conformal import check_rate, p_values
from cameraborn.detect.verdict import Scored, Scorer
from cameraborn.errors import PictureError, RecipeError
from cameraborn.files import Array
from cameraborn.photo.crops import square_crop
from cameraborn.photo.decode import Picture, open_listed, open_picture
from cameraborn.photo.faces import FaceFinder
from cameraborn.rivals.published import ENCODERS, RIVALS, Published, missing_weights, without_memory
from cameraborn.rivals.scoring import compute, one_thread_a_picture, open_encoder, open_rival
from cameraborn.rivals.weights import load_weights
from cameraborn.train.export import CROP_SCALE
from cameraborn.train.run_folder import RECORD, read_record

EVEN_ODDS = 0.0  # log-odds of a probability of one half


def lacking_weights(section: DetectorSection) -> str:
    """One line for a rival or encoder that has not all its weights: what to get where, and what to do with it.

    Files that are there are read, into names and shapes alone, and must fit. Empty: nothing is missing.

    Raises:
        RecipeError: no such rival or encoder, or a file is damaged or of another network.
    """
    names = RIVALS if section.kind == "rival" else ENCODERS
    names[section.which]  # refuses what is not known
    published = deepcopy(without_memory(section.which))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "for .*: copying from a non-meta parameter")
        load_weights(published, filter(Path.is_file, section.weights))
    lines = [
        missing_weights(network) for part, network in published.parts.items() if part not in published.loaded
    ]
    absent = [str(file) for file in section.weights if not file.is_file()]
    if lines and absent:
        lines.append(f"not there: {', '.join(absent)}")
    return f"{section.which}: {'; '.join(lines)}" if lines else ""


def _refuse_absent(section: DetectorSection) -> None:
    """Say of a file that is not there what would be in it, and where to get that."""
    if not all(map(Path.is_file, section.weights)) and (line := lacking_weights(section)):
        raise RecipeError(line)


class PublishedFeatures:
    """A published network on the largest face of a picture, or on the whole picture; thread-safe.

    Attributes:
        name: in tables.
        note: where each part's weights come from.
        encoder_key: of its weights and the release that finds and cuts the faces.
    """

    def __init__(self, section: DetectorSection, cache: FeatureCache, published: Published) -> None:
        one_thread_a_picture()
        self.section = section
        self.name = section.name or section.which
        self.encoder_key = digest(
            section.which, sorted(map(sha256_of, section.weights)), metadata.version("cameraborn")
        )
        self._published, self._cache, self._finder = published, cache, FaceFinder()
        self.note = ", ".join(f"{part}: {sha256}" for part, sha256 in published.loaded.items())
        records = [file.parent for file in section.weights if (file.parent / RECORD).is_file()]
        self._seen = frozenset(sha256 for folder in records for sha256 in read_record(folder).seen)

    @property
    def key(self) -> str:
        """Of its content and settings."""
        return digest(self.encoder_key, self.section.whole_image)

    def has_seen(self, sha256: str) -> bool:
        """Has the training of these weights seen the file?"""
        return sha256 in self._seen

    def observe(self, file: Path, sha256: str) -> Observed:
        """The numbers [D] of a file, from the cache if they are there.

        Raises:
            PictureError: the file cannot be read, or is another than it was.
        """
        known = self._known(sha256)
        if known is not None:
            return known
        picture = open_listed(file)
        if picture.sha256 != sha256:
            raise not_as_listed(file)
        return self._measured(picture, sha256)

    def _known(self, sha256: str) -> Observed | None:
        return self._cache.picture(self.encoder_key, sha256, whole=self.section.whole_image)

    def _measured(self, picture: Picture, sha256: str) -> Observed:
        whole = self.section.whole_image
        shown = picture if whole else self._face(picture)
        if shown is None:
            self._cache.put_picture(self.encoder_key, sha256, whole=whole, scope="no-face", crop=None)
            return Observed("no-face", None)
        numbers = np.atleast_1d(compute(self._published, [shown])[0]).astype(np.float32)
        crop = f"{sha256} {'whole' if whole else 'face'}"
        self._cache.put_crop(self.encoder_key, crop, numbers)
        self._cache.put_picture(self.encoder_key, sha256, whole=whole, scope="ok", crop=crop)
        return Observed("ok", numbers)

    def _face(self, picture: Picture) -> Picture | None:
        """The largest face, cut as for a bundle; None where there is none."""
        faces = self._finder.find(picture.pixels)
        if not faces:
            return None
        return replace(picture, pixels=square_crop(picture.pixels, faces[0].box, CROP_SCALE))


class EncoderFeatures(PublishedFeatures):
    """An encoder, whose features the papers' protocol takes.

    Raises:
        RecipeError: no such encoder, or weights that are missing or do not fit.
    """

    def __init__(self, section: DetectorSection, cache: FeatureCache) -> None:
        _refuse_absent(section)
        super().__init__(section, cache, open_encoder(section.which, section.weights))


class RivalScorer(PublishedFeatures):
    """A rival as a detector.

    Raises:
        RecipeError: no such rival, or weights that are missing or do not fit.
    """

    def __init__(self, section: DetectorSection, cache: FeatureCache) -> None:
        _refuse_absent(section)
        rival = open_rival(section.which, section.weights)
        super().__init__(section, cache, rival)
        self.sources: frozenset[str] = frozenset(section.sources)
        self._has_threshold = bool(rival.trained_parts())
        self._held_out: Array | None = None
        self._held_out_key = ""

    @property
    def key(self) -> str:
        """Of its content, its settings, and the photographs that it was calibrated with."""
        return digest(super().key, sorted(self.sources), self._held_out_key)

    @property
    def calibration_size(self) -> int:
        """How many photographs its p-values rest on."""
        return 0 if self._held_out is None else len(self._held_out)

    @property
    def by_own_threshold(self) -> Scorer | None:
        """The same scores by its own threshold, where both differ."""
        if self._held_out is None or not self._has_threshold:
            return None
        return OwnThreshold(self)

    def calibrate(self, scores: Array, photographs: Collection[str], sources: Collection[str]) -> None:
        """Decide from now on by the scores [n] of held-out photographs."""
        self._held_out, self._held_out_key = scores, digest(sorted(photographs))
        self.sources = self.sources | set(sources)

    def check(self, false_alarm_rate: float) -> None:
        """See that there are photographs enough for this rate.

        Raises:
            CalibrationError: there are too few.
        """
        if self._held_out is not None:
            check_rate(false_alarm_rate, len(self._held_out))

    def score(self, data: bytes, name: str, false_alarm_rate: float) -> Scored:
        """Score an encoded picture; without held-out photographs its own threshold decides."""
        if self._held_out is None:
            return self.scored(data, name, self.own_decision)
        held_out = self._held_out

        def decide(score: float) -> tuple[float | None, bool | None]:
            p_value = float(p_values(np.array([score]), held_out)[0])
            return p_value, p_value <= false_alarm_rate

        return self.scored(data, name, decide)

    def own_decision(self, score: float) -> tuple[float | None, bool | None]:
        """No p-value, and whether it is likelier generated than not; None where nothing was trained to say that."""
        return None, score > EVEN_ODDS if self._has_threshold else None

    def scored(
        self, data: bytes, name: str, decide: Callable[[float], tuple[float | None, bool | None]]
    ) -> Scored:
        """The score, with the p-value and the decision that `decide` makes of it."""
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._known(sha256)
        try:
            looked = known or self._measured(open_picture(data, name=name), sha256)
        except PictureError as error:
            return Scored(ERROR_SCOPE, error=str(error))
        if looked.feature is None:
            return Scored(looked.scope, remembered=known is not None)
        score = float(looked.feature[0])
        if not np.isfinite(score):
            return Scored(ERROR_SCOPE, error=f"{name}: {self.name} gives {score}: check its weights")
        return Scored("ok", score, *decide(score), remembered=known is not None)


class OwnThreshold:
    """A rival's scores, decided on as its authors do."""

    calibration_size = 0

    def __init__(self, rival: RivalScorer) -> None:
        self.name, self.key = f"{rival.name} ({OWN_THRESHOLD})", digest(rival.key, OWN_THRESHOLD)
        self.sources, self.note = frozenset(rival.section.sources), rival.note
        self._rival = rival

    def check(self, false_alarm_rate: float) -> None:
        """Pass at every rate: it promises none."""

    def has_seen(self, sha256: str) -> bool:
        """As the rival."""
        return self._rival.has_seen(sha256)

    def score(self, data: bytes, name: str, false_alarm_rate: float) -> Scored:
        """The rival's score, flagged above even odds."""
        return self._rival.scored(data, name, self._rival.own_decision)

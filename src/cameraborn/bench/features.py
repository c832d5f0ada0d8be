"""Features, or rivals' scores, of many pictures; and held-out photographs, which rivals are calibrated with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cameraborn.bench.config import BenchConfig
from cameraborn.bench.detectors import Detectors
from cameraborn.bench.scorers import Observer
from cameraborn.bench.sets import Sample, read_photographs, refuse_overlap
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Jobs, Stage
from cameraborn.errors import BenchError, PictureError

T = TypeVar("T")
Features = NDArray[np.floating]
Advance = Callable[[int, int], None]  # how many pictures of how many are done


@dataclass
class OnPictures(Stage[Sample, T]):
    """Work on pictures with the detector of a key, which is opened where the work is done."""

    detectors: Detectors
    key: str

    def setup(self) -> None:
        """Find the detector."""
        self.detectors.open()
        self._source = self.detectors.source(self.key)


class Encode(OnPictures[Features | None]):
    """The feature [D] of a picture; None where it has no usable face or cannot be read."""

    def work(self, item: Sample) -> Features | None:
        """The feature, from the cache if it is there."""
        try:
            return self._source.observe(item.file, item.sha256).feature
        except PictureError:
            return None


def features_of(
    detectors: Detectors,
    source: Observer,
    samples: Sequence[Sample],
    *,
    jobs: Jobs = None,
    advance: Advance = lambda done, total: None,
) -> list[Features | None]:
    """The features [D] of pictures by one detector, None for those without a usable face."""
    found = []
    for done, feature in enumerate(map_in_order(Encode(detectors, source.key), samples, jobs), 1):
        found.append(feature)
        advance(done, len(samples))
    return found


def stacked(features: Sequence[Features | None], what: str) -> Features:
    """Features that there are, as one array [N D].

    Raises:
        BenchError: there are none.
    """
    usable = [feature for feature in features if feature is not None]
    if not usable:
        raise BenchError(f"none of the {what} shows a usable face: give others, or set whole_image")
    return np.stack(usable)


def refuse_seen(source: Observer, held_out: Sequence[Sample]) -> None:
    """See that no held-out photograph is one that the detector has learnt from.

    Raises:
        BenchError: one is; the message names it.
    """
    for sample in held_out:
        if any(map(source.has_seen, sample.hashes)):
            raise BenchError(
                f"{sample.path}: {source.name} has learnt from this photograph, so it is not held out: "
                "take it out of [calibration] or [protocol.held_out]"
            )


def calibrate_rivals(
    detectors: Detectors,
    config: BenchConfig,
    tested: Sequence[Sample],
    *,
    jobs: Jobs = None,
    advance: Advance = lambda done, total: None,
) -> None:
    """Give rivals the photographs that the configuration holds out, so that they decide as every detector here.

    Without such photographs they decide by their own thresholds.

    Raises:
        BenchError: a photograph is also tested, or was learnt from, or none shows a usable face.
    """
    section = config.calibration
    if section is None and config.protocol is not None:
        section = config.protocol.held_out
    if section is None or not detectors.uncalibrated:
        return
    photographs = read_photographs(section)
    refuse_overlap(photographs, tested, "this picture is both calibrated with and tested")
    for rival in detectors.uncalibrated:
        refuse_seen(rival, photographs)
        scores = features_of(detectors, rival, photographs, jobs=jobs, advance=advance)
        rival.calibrate(
            stacked(scores, "held-out photographs")[:, 0].astype(np.float64),
            [photograph.sha256 for photograph in photographs],
            {photograph.source for photograph in photographs},
        )

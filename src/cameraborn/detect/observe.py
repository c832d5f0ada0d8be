"""From a picture to observations: box, crop, feature, residual statistics and condition of each face.

Scoring, fitting, calibrating, benchmarks and explanations all go through here, so that they measure one thing. Features
can be kept in a store and asked for by the digest of the crop, so that a network need not run twice on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cameraborn.degrade.residual_statistics import ResidualStatistics, residual_statistics
from cameraborn.detect.abstain import SURE_FACE
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.condition import Condition
from cameraborn.detect.encoder import Encoder
from cameraborn.detect.evidence.channel import Columns
from cameraborn.detect.schema import Preprocessing
from cameraborn.detect.verdict import Scope
from cameraborn.files import Box, Pixels
from cameraborn.photo.crops import face_crop
from cameraborn.photo.decode import Picture
from cameraborn.photo.faces import FaceFinder
from cameraborn.photo.patches import shrink_to

Feature = NDArray[np.float32]  # [D]


class FeatureStore(Protocol):
    """Features of a bundle's networks that were computed before; thread-safe."""

    def find(self, crop: str) -> Feature | None:
        """The feature of the crop of this digest, if it is known."""
        ...

    def keep(self, crop: str, feature: Feature) -> None:
        """Keep the feature of the crop of this digest."""
        ...


@dataclass(frozen=True, eq=False)
class Measurement:
    """What is measured of a crop that is large enough.

    Attributes:
        feature: the networks' feature [D].
        statistics: residual statistics, which tell what the crop went through.
        condition: size, JPEG quality, noise and operation.
        colour: whether the crop has colour at all.
        digest: SHA-256 of the crop; empty without a store of features.
        remembered: the feature comes from the store.
    """

    feature: Feature
    statistics: ResidualStatistics
    condition: Condition
    colour: bool
    digest: str = ""
    remembered: bool = False


@dataclass(frozen=True, eq=False)
class Observation:
    """What is observed of one face, or of a whole picture.

    Attributes:
        face: number of the face in its picture, from 0, largest first; None for a whole picture.
        box: x0, y0, x1, y1 in upright pixels.
        crop: the pixels around the face [h w 3], as they were in the picture.
        measured: None if the crop is too small.
        confidence: how sure the face finder is at a second look, in [0, 1); None for a whole picture.
    """

    face: int | None
    box: Box
    crop: Pixels
    measured: Measurement | None
    confidence: float | None = None

    @property
    def scope(self) -> Scope:
        """`ok` as far as can be seen before judging, `doubtful-face` or `too-small`."""
        if self.confidence is not None and self.confidence < SURE_FACE:
            return "doubtful-face"
        return "too-small" if self.measured is None else "ok"


class Observer:
    """Observes pictures with a bundle's networks; thread-safe.

    Args:
        bundle: with networks; it need not be fitted.
        threads: processor threads for one picture.
        features: a store of these networks' features, where all of them are kept.
        columns: of the features that are asked for; None: all. A network that gives none of these is not loaded, and
            zeros stand in its places.

    Attributes:
        encoders: of each network that is loaded, and the columns of its features, in the order of the bundle.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        features: FeatureStore | None = None,
        columns: Columns | None = None,
    ) -> None:
        self.bundle = bundle
        self.encoders = tuple(
            (
                Encoder(
                    bundle.graph(network),
                    network.preprocessing,
                    name=f"{bundle.origin}: {network.file}",
                    threads=threads,
                ),
                place,
            )
            for network, place in zip(bundle.info.networks, bundle.info.places, strict=True)
            if columns is None or features is not None or _share_any(place, columns)
        )
        self.faces = FaceFinder(threads=threads)
        self._store = features

    def observe(
        self, picture: Picture, *, whole_image: bool = False, most: int | None = None
    ) -> list[Observation]:
        """Observe the faces of a picture, largest first, or the picture as a whole.

        Args:
            picture: a decoded picture.
            whole_image: take the whole picture; look for no faces.
            most: number of faces at most.
        """
        if whole_image:
            return [self._observe(picture, box, None) for box in self.boxes(picture.pixels, whole_image=True)]
        faces = self.faces.find(picture.pixels)[:most]
        return [
            replace(
                self._observe(picture, face.box, number),
                confidence=self.faces.second_look(picture.pixels, face),
            )
            for number, face in enumerate(faces)
        ]

    def measure(self, crop: Pixels, size: float, jpeg_quality: int | None) -> Measurement:
        """Measure a crop [h w 3] of a face whose box had this longer side, in pixels.

        Raises:
            ValueError: the crop is smaller than a patch, if the network takes patches.
        """
        shrunk = self._shrunk(crop)
        statistics = residual_statistics(crop, shrunk)
        condition = self.bundle.condition(size, jpeg_quality, statistics)
        if self._store is None:
            return Measurement(self._feature(crop, shrunk), statistics, condition, has_colour(crop))
        digest = hashlib.sha256(repr(crop.shape).encode() + np.ascontiguousarray(crop).tobytes()).hexdigest()
        known = self._store.find(digest)
        feature = self._feature(crop, shrunk) if known is None else known
        if known is None:
            self._store.keep(digest, feature)
        return Measurement(feature, statistics, condition, has_colour(crop), digest, known is not None)

    def feature(self, crop: Pixels) -> Feature:
        """The features that all networks give of a crop [h w 3], one after the other: [D].

        Raises:
            ValueError: the crop is smaller than a patch, if a network takes patches.
        """
        return self._feature(crop, self._shrunk(crop))

    def statistics(self, crop: Pixels) -> ResidualStatistics:
        """The residual statistics of a crop alone; the network does not run."""
        return residual_statistics(crop, self._shrunk(crop))

    def is_large_enough(self, crop: Pixels) -> bool:
        """Whether a crop can be judged."""
        smallest: int = min(crop.shape[:2])
        return smallest >= self.bundle.info.smallest_side

    def boxes(self, pixels: Pixels, *, whole_image: bool) -> list[Box]:
        """The boxes of the faces, largest first, or of the whole picture."""
        if whole_image:
            H, W, _ = pixels.shape
            return [(0.0, 0.0, float(W), float(H))]
        return [face.box for face in self.faces.find(pixels)]

    def crop(self, pixels: Pixels, box: Box, *, whole_image: bool) -> Pixels:
        """The crop that the networks see, before it is shrunk."""
        if whole_image:
            return pixels
        info = self.bundle.info
        return face_crop(pixels, box, info.crop_scale, info.preprocessing.crop_rule)

    def _observe(self, picture: Picture, box: Box, face: int | None) -> Observation:
        crop = self.crop(picture.pixels, box, whole_image=face is None)
        measured = None
        if self.is_large_enough(crop):
            measured = self.measure(crop, longer_side(box), picture.jpeg_quality)
        return Observation(face, box, crop, measured)

    def _feature(self, crop: Pixels, shrunk: Pixels) -> Feature:
        feature = np.zeros(self.bundle.info.width, np.float32)
        for encoder, place in self.encoders:
            feature[place] = encoder.feature(self._shown(encoder.preprocessing, crop, shrunk))
        return feature

    def _shrunk(self, crop: Pixels) -> Pixels:
        """The crop at the largest size that the first network sees."""
        return shrink_to(crop, self.bundle.info.preprocessing.sides[0])

    def _shown(self, preprocessing: Preprocessing, crop: Pixels, shrunk: Pixels) -> Pixels:
        """What a network is given: the crop, or its middle where the network is of narrower crops.

        Most networks begin with the size that it was `shrunk` to already; one of whole crops resizes in a way of its
        own.
        """
        share = preprocessing.crop_scale / self.bundle.info.crop_scale
        if share == 1:
            same = (
                preprocessing.input != "crop"
                and preprocessing.sides[0] == self.bundle.info.preprocessing.sides[0]
            )
            return shrunk if same else crop
        H, W, _ = crop.shape
        h, w = round(H * share), round(W * share)
        y, x = (H - h) // 2, (W - w) // 2
        return crop[y : y + h, x : x + w]


def _share_any(place: slice, columns: Columns) -> bool:
    return any(first < place.stop and place.start < end for first, end in columns)


def longer_side(box: Box) -> float:
    """The longer side of a box: what is meant by a face's size."""
    return max(box[2] - box[0], box[3] - box[1])


def has_colour(pixels: Pixels) -> bool:
    """Whether a picture has colour at all: channels that differ by more than compression's rounding."""
    # Apart: reducing an axis of 3 is slow.
    red, green, blue = np.moveaxis(pixels[::4, ::4].astype(np.int16), 2, 0)
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return bool((highest - lowest).mean() > 2.0)

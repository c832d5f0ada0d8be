"""Figures of merit, with draws of the bootstrap as a matrix of weights; scores are higher for less like a photograph.

Legend: B draws, P photographs, G generated pictures. Each figure is computed for all draws at once: a picture's weight
is how often a draw holds it, so weights of ones are the figure itself. Both classes count alike in every figure that
mixes them (accuracy, average precision): none depends on how many of each a test set happens to hold.

- AUC: the share of pairs in which the generated picture scores higher, ties half (Mann and Whitney 1947).
- Average precision: sum over thresholds of precision times the gain in recall.
- DeLong's test of two AUCs on the same pictures: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), 837.
- Exact interval of a share: Clopper and Pearson, Biometrika 26 (1934), 404.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.files import Array

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Ranked:
    """Pictures in the order of their scores, weighted: what AUC, average precision and rates are read from.

    Attributes:
        photos: [B U], share of the photographs' weight at each of U distinct scores, rising.
        generated: [B U], the same of generated pictures.
    """

    photos: Array
    generated: Array

    def auc(self) -> Array:
        """Area under the ROC curve: [B]."""
        below = np.cumsum(self.photos, axis=1) - 0.5 * self.photos
        result: Array = (self.generated * below).sum(axis=1)
        return result

    def average_precision(self, positive: str) -> Array:
        """With `generated` or `photo` as the positive class, both classes weighted alike: [B]."""
        if positive == "generated":
            gain, other = self.generated[:, ::-1], self.photos[:, ::-1]
        else:
            gain, other = self.photos, self.generated
        hits, misses = np.cumsum(gain, axis=1), np.cumsum(other, axis=1)
        total = hits + misses
        precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
        result: Array = (gain * precision).sum(axis=1)
        return result

    def tpr_at(self, rate: float) -> Array:
        """Share of generated pictures found by the threshold that flags at most `rate` of these photographs: [B]."""
        false_alarms = np.cumsum(self.photos[:, ::-1], axis=1)
        found = np.cumsum(self.generated[:, ::-1], axis=1)
        best = np.where(false_alarms <= rate + _ROUNDING, found, 0.0).max(axis=1)
        return np.where(np.isfinite(false_alarms[:, -1]), best, np.nan)


def rank(
    photos: NDArray[np.floating],
    generated: NDArray[np.floating],
    photo_weights: NDArray[np.number] | None = None,
    generated_weights: NDArray[np.number] | None = None,
) -> Ranked:
    """Rank scores of photographs [P] and generated pictures [G] under weights [B P] and [B G] (None: ones)."""
    values, place = np.unique(np.concatenate([photos, generated]).astype(np.float64), return_inverse=True)
    parts = ((place[: len(photos)], photo_weights), (place[len(photos) :], generated_weights))
    return Ranked(*(_shares(index, weights, len(values)) for index, weights in parts))


def _shares(place: NDArray[np.integer], weights: NDArray[np.number] | None, count: int) -> Array:
    """Weights [B N] at places [N] of `count`, summed by place and divided by their total: [B count].

    NaN where a draw holds none of the pictures.
    """
    if weights is None:
        weights = np.ones((1, len(place)))
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(place[order]) > 0])
    shares = np.zeros((len(weights), count))
    shares[:, place[order][starts]] = np.add.reduceat(weights[:, order].astype(np.float64), starts, axis=1)
    total = shares.sum(axis=1, keepdims=True)
    result: Array = np.divide(shares, total, out=np.full_like(shares, np.nan), where=total > 0)
    return result


def share(flags: NDArray[np.bool_], weights: NDArray[np.number] | None = None) -> Array:
    """Weighted share of what is flagged, of flags [N] under weights [B N]: [B]; NaN where nothing has weight."""
    if weights is None:
        weights = np.ones((1, len(flags)))
    total = weights.sum(axis=1, dtype=np.float64)
    hit = (weights * flags).sum(axis=1, dtype=np.float64)
    result: Array = np.divide(hit, total, out=np.full(len(weights), np.nan), where=total > 0)
    return result


def auc(photos: NDArray[np.floating], generated: NDArray[np.floating]) -> float:
    """Area under the ROC curve of scores [P] and [G]."""
    return float(rank(photos, generated).auc()[0])


def clopper_pearson(hits: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share of which `hits` of n were seen."""
    from scipy.stats import beta  # a while to import

    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return low, high


@dataclass(frozen=True)
class Difference:
    """How far two detectors' AUCs are apart on the same pictures, and whether that can be chance."""

    value: float  # AUC of the first minus AUC of the second
    standard_error: float
    p: float  # two-sided


def delong(
    photos: tuple[NDArray[np.floating], NDArray[np.floating]],
    generated: tuple[NDArray[np.floating], NDArray[np.floating]],
) -> Difference:
    """DeLong's test: scores of the same photographs ([P], [P]) and generated pictures ([G], [G]) by two detectors."""
    areas, of_photos, of_generated = [], [], []
    for ours, theirs in zip(photos, generated, strict=True):
        area, by_photo, by_generated = _placements(np.asarray(ours, float), np.asarray(theirs, float))
        areas.append(area)
        of_photos.append(by_photo)
        of_generated.append(by_generated)
    value = areas[0] - areas[1]
    variance = sum(
        float(np.var(first - second, ddof=1)) / len(first) if len(first) > 1 else math.nan
        for first, second in (of_photos, of_generated)
    )
    error = math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else math.nan
    if not error > 0:
        same = all(np.array_equal(first, second) for first, second in (of_photos, of_generated))
        return Difference(value, error, 1.0 if same else math.nan)
    return Difference(value, error, math.erfc(abs(value) / error / math.sqrt(2)))


def _placements(photos: Array, generated: Array) -> tuple[float, Array, Array]:
    """AUC; for each photograph the share of generated above it [P]; for each generated of photographs below it [G]."""
    by_photo = 1 - _below(np.sort(generated), photos)
    by_generated = _below(np.sort(photos), generated)
    return float(by_generated.mean()), by_photo, by_generated


def _below(ordered: Array, values: Array) -> Array:
    """For each value the share of `ordered` below it, ties half."""
    less = np.searchsorted(ordered, values, side="left")
    at_most = np.searchsorted(ordered, values, side="right")
    return (less + at_most) / (2 * len(ordered))


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, so that all verdicts hold together (Holm 1979); NaN stays, uncounted."""
    valid = sorted((value, index) for index, value in enumerate(p) if not math.isnan(value))
    adjusted = [math.nan] * len(p)
    worst = 0.0
    for place, (value, index) in enumerate(valid):
        worst = max(worst, min(1.0, value * (len(valid) - place)))
        adjusted[index] = worst
    return adjusted

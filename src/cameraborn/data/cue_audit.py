"""How well each trivial cue tells generated pictures from photographs: an AUC with its interval.

`all together` says what a classifier makes of all cues. A number's AUC is read in the direction that the whole set
shows; a category becomes the share of generated pictures that it had in the other folds. Pictures of one group share
camera and editor, so a group is never divided between folds, and the bootstrap draws groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameraborn.data.cues import CATEGORIES, NUMBERS, Cues
from cameraborn.files import Array

LEVEL = 0.95  # of the intervals, for all cues at once
FOLDS = 5
TOGETHER = "all together"
_RESAMPLES = 400
_FEW_GROUPS = 10
_MOST_CATEGORIES = 50  # rarer ones are taken together
_SMOOTHING = 5.0  # pictures' worth of the overall share, added to each category's

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CueAudit:
    """One cue, and what it says of the label.

    Attributes:
        name: one of `cues.CATEGORIES` and `cues.NUMBERS`, or `TOGETHER`.
        pictures: how many have it.
        auc: AUC of telling generated (positive) from photographs, None where that cannot be measured.
        low, high: the interval of `auc`, at `LEVEL` for all cues at once.
        direction: for numbers, whether those of generated pictures are `higher` or `lower`.
        photo, generated: a summary of each label: median, or the category most typical of it and its share.
    """

    name: str
    pictures: int
    auc: float | None
    low: float | None
    high: float | None
    direction: str
    photo: str
    generated: str

    @property
    def leaks(self) -> bool:
        """Whether the cue tells the labels apart by more than chance."""
        return self.low is not None and self.low > 0.5


def audit_cues(
    cues: Sequence[Cues], positive: NDArray[np.bool_], groups: Sequence[str], *, seed: int
) -> tuple[list[CueAudit], CueAudit, list[str]]:
    """Measure what each cue says of the label.

    Args:
        cues: the cues of N pictures.
        positive: which are generated, [N].
        groups: the group of each.
        seed: random seed of the folds and the bootstrap.

    Returns:
        Each cue alone, all of them together, and what limits the figures, a line each.
    """
    sample = _Sample(positive, np.unique(groups, return_inverse=True)[1].astype(np.int64), seed)
    folds = sample.folds()
    numbers = np.array([item.numbers for item in cues])  # [N numbers]
    columns = list(zip(*(item.categories for item in cues), strict=True))
    codes = np.stack([_codes(words) for words in columns], axis=1)  # [N categories]
    features = np.concatenate([codes, numbers], axis=1)
    varying = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in features.T])
    # With a dozen cues, one interval of 95 % would often leave chance out by chance.
    z = sample.quantile(int(varying.sum()))
    audits = []
    for name, words, code in zip(CATEGORIES, columns, codes.T, strict=True):
        scores = _shares(code, sample.positive, folds)
        typical = (_typical(words, here) for here in sample.labels)
        audits.append(sample.cue(name, scores, folds, z, "", *typical))
    for k, (name, values) in enumerate(zip(NUMBERS, numbers.T, strict=True), len(CATEGORIES)):
        rising = _auc(values, sample.positive)
        sign = -1.0 if rising is not None and rising < 0.5 else 1.0
        direction = ("higher" if sign > 0 else "lower") if varying[k] else ""
        summaries = [_median(values[here]) for here in sample.labels]
        audits.append(sample.cue(name, sign * values, np.zeros_like(folds), z, direction, *summaries))
    categorical = np.arange(len(varying)) < len(CATEGORIES)
    scores = _together(features[:, varying], categorical[varying], sample.positive, folds, seed)
    return audits, sample.cue(TOGETHER, scores, folds, sample.quantile(1), "", "", ""), sample.notes


class _Sample:
    """The labels and groups of the pictures, and how uncertainty is drawn from them."""

    def __init__(self, positive: NDArray[np.bool_], groups: Integers, seed: int) -> None:
        self.positive = positive  # [N] generated
        self.labels = (~positive, positive)
        self.seed = seed
        self.notes: list[str] = []
        # What is drawn as one: groups; but a label that is one group is drawn picture by picture, or could not be.
        units = groups.copy()
        for name, here in zip(("photographs", "generated pictures"), self.labels, strict=True):
            if here.sum() > 1 and len(np.unique(groups[here])) == 1:
                units[here] = units.max() + 1 + np.arange(int(here.sum()))
                self.notes.append(
                    f"the {name} are one group: the figures say nothing of other groups of them"
                )
        self.units = np.unique(units, return_inverse=True)[1].astype(np.int64)  # [N] 0..U-1
        self.independent = min(len(np.unique(self.units[here])) for here in self.labels)
        if 0 < self.independent < _FEW_GROUPS:
            self.notes.append(f"a label has only {self.independent} independent pictures or groups")

    def folds(self) -> Integers:
        """A fold for each picture; all -1 if there is nothing to divide."""
        from sklearn.model_selection import StratifiedGroupKFold

        folds = np.full(len(self.positive), -1)
        if self.independent < 2:
            return folds
        splitter = StratifiedGroupKFold(min(FOLDS, self.independent), shuffle=True, random_state=self.seed)
        for number, (_, test) in enumerate(splitter.split(folds, self.positive, self.units)):
            folds[test] = number
        return folds

    def quantile(self, figures: int) -> float:
        """How many standard errors an interval reaches, if all of so many figures shall lie in theirs (Bonferroni)."""
        from scipy.stats import t

        return float(t.ppf(1 - (1 - LEVEL) / 2 / max(1, figures), max(1, self.independent - 1)))

    def cue(
        self, name: str, scores: Array, folds: Integers, z: float, direction: str, photo: str, generated: str
    ) -> CueAudit:
        """The AUC of scores [N] (nan: the picture has none) within folds, with its interval."""
        has = ~np.isnan(scores)
        ranking = _Ranking(scores[has], self.positive[has], folds[has])
        auc = ranking.auc(np.ones(int(has.sum())))
        low = high = auc
        if auc is not None and not ranking.flat:
            drawn = [ranking.auc(weights[has]) for weights in self._resampled()]
            # A perfect ranking stays perfect in every bootstrap sample, however few pictures it is of.
            spread = max(
                float(np.std([value for value in drawn if value is not None])), 0.5 / self.independent
            )
            low, high = max(0.0, auc - z * spread), min(1.0, auc + z * spread)
        return CueAudit(name, int(has.sum()), auc, low, high, direction, photo, generated)

    def _resampled(self) -> Iterable[Array]:
        """How often each picture is drawn, in each bootstrap sample of groups; groups of one make-up stay as many."""
        U = int(self.units.max()) + 1
        makeup = np.zeros(U, np.int64)
        for bit, here in enumerate(self.labels):
            makeup[np.unique(self.units[here])] += 1 + bit
        rng = np.random.default_rng(self.seed)
        strata = [np.flatnonzero(makeup == kind) for kind in np.unique(makeup)]
        for _ in range(_RESAMPLES):
            times = np.zeros(U)
            for stratum in strata:
                times[stratum] = np.bincount(
                    rng.integers(len(stratum), size=len(stratum)), minlength=len(stratum)
                )
            yield times[self.units]


class _Ranking:
    """The weighted AUC over pairs of one fold: scores of different folds come from different models."""

    def __init__(self, scores: Array, positive: NDArray[np.bool_], folds: Integers) -> None:
        self.order = np.lexsort([scores, folds])
        self.positive = positive[self.order]
        scores, folds = scores[self.order], folds[self.order]
        new_fold = np.diff(folds, prepend=np.nan) != 0
        self.ties = np.flatnonzero(new_fold | (np.diff(scores, prepend=np.nan) != 0))
        self.fold_of_tie = np.cumsum(new_fold)[self.ties] - 1 if len(self.ties) else self.ties
        self.flat = len(self.ties) == new_fold.sum()  # every score is the same as all others of its fold

    def auc(self, weights: Array) -> float | None:
        """The share of pairs (photograph, generated) with the higher score at the generated one; ties count half."""
        if not len(self.ties):
            return None
        weights = weights[self.order]
        positive = np.add.reduceat(weights * self.positive, self.ties)
        negative = np.add.reduceat(weights * ~self.positive, self.ties)
        folds = self.fold_of_tie
        totals = np.bincount(folds, negative)
        before = np.cumsum(negative) - negative - (np.cumsum(totals) - totals)[folds]
        pairs = float((np.bincount(folds, positive) * totals).sum())
        return float((positive * (before + negative / 2)).sum()) / pairs if pairs else None


def _auc(scores: Array, positive: NDArray[np.bool_]) -> float | None:
    has = ~np.isnan(scores)
    ranking = _Ranking(scores[has], positive[has], np.zeros(int(has.sum()), np.int64))
    return ranking.auc(np.ones(int(has.sum())))


def _codes(words: Sequence[str]) -> Integers:
    """A number for each category, the most frequent first; rare ones share the last."""
    frequent = [word for word, _ in Counter(words).most_common(_MOST_CATEGORIES)]
    numbers = {word: number for number, word in enumerate(frequent)}
    return np.array([numbers.get(word, len(frequent)) for word in words])


def _shares(codes: Integers, positive: NDArray[np.bool_], folds: Integers) -> Array:
    """For each picture, the share of generated ones that its category has in the other folds; nan without folds."""
    scores = np.full(len(codes), np.nan)
    for fold in np.unique(folds[folds >= 0]):
        learnt = folds != fold
        size = int(codes.max()) + 1
        generated = np.bincount(codes[learnt], positive[learnt], size)
        share = (generated + _SMOOTHING * positive[learnt].mean()) / (
            np.bincount(codes[learnt], minlength=size) + _SMOOTHING
        )
        scores[~learnt] = share[codes[~learnt]]
    return scores


def _together(
    features: Array, categorical: NDArray[np.bool_], positive: NDArray[np.bool_], folds: Integers, seed: int
) -> Array:
    """For each picture, what gradient boosting on the other folds makes of all its cues; nan without folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    scores = np.full(len(features), np.nan)
    if not features.shape[1]:
        return np.where(folds < 0, np.nan, 0.0)
    for fold in np.unique(folds[folds >= 0]):
        learnt = folds != fold
        model = HistGradientBoostingClassifier(
            max_iter=100,
            max_leaf_nodes=8,
            min_samples_leaf=max(2, min(20, int(learnt.sum()) // 20)),
            categorical_features=categorical,
            early_stopping=False,
            random_state=seed,
        )
        model.fit(features[learnt], positive[learnt])
        scores[~learnt] = model.decision_function(features[~learnt])
    return scores


def _typical(words: Sequence[str], here: NDArray[np.bool_]) -> str:
    """The category that is more frequent here than elsewhere by most, and its share here."""
    inside = Counter(word for word, is_here in zip(words, here, strict=True) if is_here)
    outside = Counter(word for word, is_here in zip(words, here, strict=True) if not is_here)
    if not inside:
        return ""
    total, others = inside.total(), max(1, outside.total())
    # Rounded, so that of equal excesses the most frequent is named.
    word, count = max(
        inside.items(), key=lambda item: (round(item[1] / total - outside[item[0]] / others, 2), item[1])
    )
    return f"{word} {100 * count / total:.0f} %"


def _median(values: Array) -> str:
    values = values[~np.isnan(values)]
    return f"{np.median(values):.4g}" if len(values) else ""

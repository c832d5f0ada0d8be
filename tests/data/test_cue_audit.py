"""The AUC of a cue, against a literal count of pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.data.cue_audit import _Ranking


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3), st.integers(0, 2)), max_size=25)
)
def test_auc_counts_pairs_of_one_fold(items):
    scores, positive, weights, folds = (np.array([item[k] for item in items]) for k in range(4))
    won = pairs = 0.0
    for i, j in np.ndindex(len(items), len(items)):
        if positive[i] and not positive[j] and folds[i] == folds[j]:
            weight = float(weights[i] * weights[j])
            pairs += weight
            won += weight * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
    got = _Ranking(scores.astype(float), positive.astype(bool), folds.astype(int)).auc(weights.astype(float))
    assert got == (pytest.approx(won / pairs) if pairs else None)

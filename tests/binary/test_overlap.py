"""Overlap weights on classes whose weights are known."""

import numpy as np
import pytest

from cameraborn.binary.overlap import overlap_weights


def test_overlap_weights_make_covariates_alike():
    """Logistic classes: the weighted means of what tells them are the same in both, and little is told any more."""
    rng = np.random.default_rng(0)
    fakes = np.arange(800) % 2 == 1
    features = rng.normal(0, 1, (800, 6))
    features[fakes, 0] += 1.2
    found = overlap_weights(features, fakes, np.ones(800), [f"{n:064x}" for n in range(800)], covariates=6)
    weights = np.array(found.weights)
    before = features[fakes, 0].mean() - features[~fakes, 0].mean()
    after = np.average(features[fakes, 0], weights=weights[fakes]) - np.average(
        features[~fakes, 0], weights=weights[~fakes]
    )
    assert before > 1
    assert abs(after) < 0.1
    assert found.auc > 0.75
    assert found.balanced_auc == pytest.approx(0.5, abs=0.06)
    assert all(100 < n < 400 for n in found.effective)
    assert ((weights > 0) & (weights < 1)).all()

"""Plans do not tell the class: neither by one covariate nor by all of them, however far the classes lie apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from cameraborn.binary.plans import Plans, covariates_of
from cameraborn.degrade.history import SIDE
from cameraborn.errors import RecipeError

N = 60  # rows of each class


@pytest.fixture(scope="module")
def plans():
    """Photographs of small, noisy faces, and generated ones that are large and clean; they overlap."""
    rng = np.random.default_rng(0)
    sides = np.r_[rng.integers(110, 420, N), rng.integers(180, 640, N)]
    noise = np.r_[rng.normal(-0.4, 0.5, N), rng.normal(-0.9, 0.5, N)]
    covariates = np.stack([noise, rng.normal(6, 1, 2 * N)], axis=1)
    return Plans(
        lambda rng: int(rng.integers(N)),
        lambda rng: int(rng.integers(N, 2 * N)),
        lambda number, rng: int(sides[number] * rng.uniform(0.9, 1.0)),
        covariates,
        native=0.5,
    )


def drawn(plans, rng, count=700):
    found = [draw(rng) for draw in (plans.of_photograph, plans.of_fake) for _ in range(count)]
    return found, np.repeat([0, 1], count), np.array([plan.covariates for plan in found])


def test_plans_do_not_tell_the_class(plans):
    rng = np.random.default_rng(1)
    raw = [plans._drawn(draw, rng) for draw in (plans.photograph, plans.fake) for _ in range(700)]
    labels = np.repeat([0, 1], 700)
    unbalanced = np.array([plan.covariates for plan in raw])
    assert roc_auc_score(labels, -unbalanced[:, 2]) > 0.7  # noise
    _, labels, x = drawn(plans, rng)
    for column in x.T:
        assert 0.43 < roc_auc_score(labels, column) < 0.57
    trees = HistGradientBoostingClassifier(max_depth=2, max_iter=20, min_samples_leaf=60)
    for of, most in ((unbalanced, 1.0), (x, 0.68)):
        told = cross_val_predict(trees, of[:, :2], labels, method="predict_proba", cv=3)[:, 1]
        assert roc_auc_score(labels, told) < most


def test_classes_that_lie_wholly_apart_are_refused():
    covariates = np.repeat([[0.0, 5.0], [9.0, 5.0]], N, axis=0)
    with pytest.raises(
        RecipeError, match=r"history\.balanced: .* of (9\d\.\d|100\.0)% of pictures there are none"
    ):
        Plans(
            lambda rng: int(rng.integers(N)),
            lambda rng: int(rng.integers(N, 2 * N)),
            lambda number, rng: 200,
            covariates,
            native=0.5,
        )


def test_a_plan_is_of_its_class_and_says_what_it_does(plans):
    found, labels, _ = drawn(plans, np.random.default_rng(2), 100)
    for plan, label in zip(found, labels, strict=True):
        assert (plan.number >= N) == label
        own = plans.side_of(plan.number, np.random.default_rng(plan.seed))
        last = plan.side if plan.native or plan.side <= SIDE else SIDE
        assert plan.covariates[:2] == pytest.approx((np.log(own / last), np.log(last)))
        assert plan.side >= min(own, 96)
        assert plan.side <= own * 1.6


def test_the_same_numbers_give_the_same_plans(plans):
    one, other = (drawn(plans, np.random.default_rng(3), 20)[0] for _ in range(2))
    assert one == other


@given(st.integers(16, 400))
def test_covariates_are_finite_whatever_the_size(side):
    square = np.random.default_rng(side).integers(0, 256, (side, side, 3)).astype(np.uint8)
    assert np.isfinite(covariates_of(square)).all()


def test_noise_and_sharpness_are_measured_as_the_detector_sees_the_face():
    rng = np.random.default_rng(0)
    flat = np.full((512, 512, 3), 128.0)
    quiet, loud = (np.clip(flat + rng.normal(0, s, flat.shape), 0, 255).astype(np.uint8) for s in (2, 12))
    assert covariates_of(quiet) < covariates_of(loud)
    large, small = covariates_of(loud), covariates_of(loud[:SIDE, :SIDE])
    assert large[1] < small[1]  # shrinking takes noise away

"""The two-layer head: what it learns, and that its tensors mean what scoring takes them for."""

import numpy as np
import pytest
import torch

from cameraborn.binary.perceptron import PerceptronOptions, fit_perceptron, least_likely
from cameraborn.errors import CalibrationError

D = 6
FAST = PerceptronOptions(epochs=60, batch=64, pseudo_outliers=0.0)


def score(tensors, x):
    """As scoring does, in NumPy: logit(generated) - logit(photograph)."""
    hidden = np.maximum(x @ tensors["0.weight"].T + tensors["0.bias"], 0)
    logits = hidden @ tensors["2.weight"].T + tensors["2.bias"]
    return logits[:, 1] - logits[:, 0]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pictures(n, towards, seed):
    """Features of unit length around one direction, far from the origin as a network's are."""
    rng = np.random.default_rng(seed)
    return unit(5 + 0.3 * rng.normal(size=(n, D)) + 0.6 * np.eye(D)[towards])


def likelihood(x):
    return -((x - x.mean(axis=0)) ** 2).sum(axis=1)


def test_it_tells_new_pictures_apart():
    photos, fakes = pictures(300, 0, seed=1), pictures(100, 1, seed=2)
    head = fit_perceptron(photos, fakes, likelihood(photos), FAST)
    assert {name: (value.shape, value.dtype) for name, value in head.items()} == {
        "0.weight": ((2 * D, D), np.float32),
        "0.bias": ((2 * D,), np.float32),
        "2.weight": ((2, 2 * D), np.float32),
        "2.bias": ((2,), np.float32),
    }
    new_photos, new_fakes = score(head, pictures(400, 0, seed=3)), score(head, pictures(400, 1, seed=4))
    assert (new_fakes[:, None] > new_photos[None, :]).mean() > 0.95  # the AUC
    # Both classes weigh the same although one has three times the samples: zero lies between them.
    wrong_photos, wrong_fakes = (new_photos > 0).mean(), (new_fakes < 0).mean()
    assert abs(wrong_photos - wrong_fakes) < 0.1


def test_the_standardisation_is_folded_exactly():
    photos, fakes = pictures(100, 0, seed=1), pictures(100, 1, seed=2)
    photos[:, 3] = fakes[:, 3] = 0.25  # a feature that never changes
    plain = fit_perceptron(photos, fakes, likelihood(photos), FAST)
    shift, stretch = np.array([3.0, -1, 2, 0, 5, 1]), np.array([10.0, 0.1, 3, 1, 2, 7])
    moved = fit_perceptron(photos * stretch + shift, fakes * stretch + shift, likelihood(photos), FAST)
    x = pictures(50, 0, seed=3)
    x[:, 3] = 0.25
    np.testing.assert_allclose(score(moved, x * stretch + shift), score(plain, x), rtol=1e-2, atol=1e-2)


def test_scores_are_torchs():
    photos, fakes = pictures(60, 0, seed=1), pictures(60, 1, seed=2)
    tensors = fit_perceptron(photos, fakes, likelihood(photos), FAST)
    network = torch.nn.Sequential(torch.nn.Linear(D, 2 * D), torch.nn.ReLU(), torch.nn.Linear(2 * D, 2))
    network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    x = pictures(20, 0, seed=3)
    with torch.no_grad():
        logits = network(torch.from_numpy(x).float())
    np.testing.assert_allclose(score(tensors, x), (logits[:, 1] - logits[:, 0]).numpy(), atol=1e-4)


def test_pseudo_outliers_guard_the_side_where_no_generator_was():
    """A few photographs stray in a direction of their own; pictures further along it are taken for generated."""
    strays = pictures(30, 2, seed=5)
    photos, fakes = np.concatenate([pictures(300, 0, seed=1), strays]), pictures(100, 1, seed=2)
    far = unit(pictures(100, 2, seed=6) + 0.1 * np.eye(D)[2])
    likely = np.r_[np.zeros(300), np.full(30, -1.0)]
    without = fit_perceptron(photos, fakes, likely, FAST)
    with_them = fit_perceptron(
        photos, fakes, likely, PerceptronOptions(epochs=60, batch=64, pseudo_outliers=30.5 / 330)
    )
    assert (score(without, far) > 0).mean() < 0.2
    assert (score(with_them, far) > 0).mean() > 0.8


def test_the_same_seed_gives_the_same_bits_and_no_one_elses_numbers_move():
    photos, fakes = pictures(60, 0, seed=1), pictures(60, 1, seed=2)
    before = torch.get_rng_state()
    one, two = (fit_perceptron(photos, fakes, likelihood(photos), FAST) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    other = fit_perceptron(photos, fakes, likelihood(photos), PerceptronOptions(epochs=15, batch=64, seed=1))
    assert not np.array_equal(one["0.weight"], other["0.weight"])


@pytest.mark.parametrize(("share", "expected"), [(0.0, []), (0.39, [2]), (0.4, [0, 2]), (0.99, [0, 2, 3, 4])])
def test_the_least_likely_are_those_of_lowest_likelihood(share, expected):
    likely = np.array([1.0, 9.0, -3.0, 2.0, 2.0])
    assert np.flatnonzero(least_likely(likely, share)).tolist() == expected


def test_of_equal_likelihoods_the_first_are_taken():
    assert least_likely(np.zeros(4), 0.5).tolist() == [True, True, False, False]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(CalibrationError, match=r"not in \[0, 1\)"):
        least_likely(np.zeros(4), share)


def test_too_few_or_broken_features_are_refused():
    photos = pictures(10, 0, seed=1)
    with pytest.raises(CalibrationError, match="10 photographs and 0 generated pictures"):
        fit_perceptron(photos, photos[:0], likelihood(photos), FAST)
    with pytest.raises(CalibrationError, match="not finite"):
        fit_perceptron(photos, photos * np.nan, likelihood(photos), FAST)

"""Channels read the columns that they declare; every kind goes to tensors and back."""

import numpy as np
import pytest
import safetensors.numpy

from cameraborn.detect.evidence.channel import check_width, repeated, select
from cameraborn.detect.evidence.density import Density, fit_mixture
from cameraborn.detect.evidence.kinds import KINDS
from cameraborn.detect.evidence.known_generators import BinaryClassifier
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.errors import BundleError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8))
COLUMNS = ((1, 3), (5, 7))
MIXTURE = fit_mixture(select(X, COLUMNS), components=2, dimensions=3)
EXAMPLES = {
    "density": Density("a", COLUMNS, MIXTURE),
    "pseudo-fake classifier": PseudoFakeClassifier("a", COLUMNS, RNG.normal(size=4), 0.25),
    "binary classifier": BinaryClassifier("a", COLUMNS, ((RNG.normal(size=(2, 4)), RNG.normal(size=2)),)),
}


def test_every_kind_has_an_example():
    assert set(EXAMPLES) == set(KINDS)
    with pytest.raises(BundleError, match="did you mean 'density'"):
        KINDS["densty"]


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_go_round(kind):
    evidence = EXAMPLES[kind]
    tensors = safetensors.numpy.load(safetensors.numpy.save(dict(evidence.tensors())))
    again = KINDS[kind].from_tensors("a", COLUMNS, tensors)
    np.testing.assert_array_equal(again.surprise(X), evidence.surprise(X))
    with pytest.raises(BundleError, match=r"reads 4 features and its columns are 5: fit it again"):
        KINDS[kind].from_tensors("a", ((0, 5),), tensors)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_declared_columns_are_read(kind):
    evidence, other = EXAMPLES[kind], X.copy()
    other[:, [0, 3, 4, 7]] += 9
    np.testing.assert_array_equal(evidence.surprise(other), evidence.surprise(X))
    other[:, 1] += 9
    assert (evidence.surprise(other) != evidence.surprise(X)).all()


def test_columns():
    x = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(select(x, ((0, 2), (3, 5))), x[:, [0, 1, 3, 4]])
    assert repeated(((0, 2),), 3, 2) == ((0, 2), (3, 5))
    assert repeated(((0, 3),), 3, 2) == ((0, 6),)
    check_width("mixture", 4, ((0, 2), (3, 5)))
    with pytest.raises(BundleError, match="the mixture reads 5 features and its columns are 4"):
        check_width("mixture", 5, ((0, 2), (3, 5)))

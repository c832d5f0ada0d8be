"""Views as JSON: everything comes back, to the bit."""

import json

import numpy as np
import pytest

from cameraborn.data.duplicates import Fingerprint
from cameraborn.degrade.residual_statistics import N_STATISTICS
from cameraborn.detect.condition import Condition
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.view import View, Viewed

WIDTH = 5
LOOKS = Fingerprint(bytes(range(16)), bytes(range(64)) * 5 + bytes(4))


@pytest.fixture
def viewed():
    rng = np.random.default_rng(0)

    def statistics():
        return rng.normal(size=N_STATISTICS).astype(np.float32)

    photograph = Photograph("a.jpg", "source")
    views = [
        View(
            photograph,
            "ab",
            "cd",
            feature,
            Condition(100 + n, 80 if n else None, 0.1 * n, n),
            statistics(),
            bool(n),
        )
        for n, feature in enumerate([rng.normal(size=WIDTH).astype(np.float32), None])
    ]
    return Viewed("a.jpg", "ab", "cd", views, [(statistics(), 3)], None, LOOKS)


def test_what_is_kept_is_read_back_to_the_bit(viewed):
    photograph = viewed.views[0].photograph
    again = Viewed.of_json(json.loads(json.dumps(viewed.to_json())), photograph, WIDTH)
    assert (again.path, again.sha256, again.shown, again.problem) == ("a.jpg", "ab", "cd", None)
    for one, other in zip(again.views, viewed.views, strict=True):
        assert (one.condition, one.colour, one.hashes) == (other.condition, other.colour, ("cd", "ab"))
        assert one.photograph is photograph
        np.testing.assert_array_equal(one.statistics, other.statistics)
    np.testing.assert_array_equal(again.views[0].feature, viewed.views[0].feature)
    assert again.views[1].feature is None
    ((statistics, operation),) = again.examples
    np.testing.assert_array_equal(statistics, viewed.examples[0][0])
    assert operation == 3
    assert again.looks == LOOKS


def test_a_photograph_that_gave_nothing_says_why(viewed):
    kept = Viewed("b.jpg", None, None, [], [], "no face").to_json()
    again = Viewed.of_json(kept, Photograph("b.jpg", "source"), WIDTH)
    assert (again.views, again.examples, again.problem, again.sha256, again.looks) == (
        [],
        [],
        "no face",
        None,
        None,
    )


@pytest.mark.parametrize("lost", ["features", "conditions", "statistics", "example_operations", "looks"])
def test_a_damaged_record_is_refused(viewed, lost):
    fields = viewed.to_json()
    photograph = viewed.views[0].photograph
    with pytest.raises((ValueError, LookupError, TypeError)):
        Viewed.of_json({name: value for name, value in fields.items() if name != lost}, photograph, WIDTH)
    shorter = fields | {lost: fields[lost][:-1]}
    with pytest.raises((ValueError, LookupError, TypeError)):
        Viewed.of_json(shorter, photograph, WIDTH)


def test_a_record_that_does_not_tell_pixels_is_refused(viewed):
    fields = {name: value for name, value in viewed.to_json().items() if name != "shown"}
    with pytest.raises(LookupError):
        Viewed.of_json(fields, viewed.views[0].photograph, WIDTH)

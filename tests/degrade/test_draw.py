"""Numbers of which every factor is as likely as any other."""

import numpy as np
import pytest

from cameraborn.degrade.draw import log_uniform


def test_the_logarithm_is_uniform_between_the_bounds():
    rng = np.random.default_rng(0)
    drawn = np.array([log_uniform(rng, 0.5, 8.0) for _ in range(4000)])
    assert 0.5 <= drawn.min() < 0.51
    assert 7.8 < drawn.max() <= 8.0
    quarters = np.histogram(np.log2(drawn), bins=4, range=(-1, 3))[0] / len(drawn)
    assert quarters == pytest.approx([0.25] * 4, abs=0.03)


def test_exactly_one_number_is_drawn():
    rng, twin = (np.random.default_rng(3) for _ in "ab")
    assert log_uniform(rng, 2.0, 2.0) == pytest.approx(2.0)
    twin.random()
    assert rng.random() == twin.random()

"""Names of manipulations, which rooms without torch and OpenCV say too."""

from typing import get_args

import pytest

from cameraborn.errors import CamerabornError
from cameraborn.pseudo.manipulate import KINDS, PAPER_KINDS, Kind
from cameraborn.pseudo.names import MANIPULATIONS, REGIONS


def test_every_kind_has_a_name_and_the_paper_numbers_the_first_four():
    assert tuple(MANIPULATIONS) == KINDS
    assert set(get_args(Kind)) - {""} == set(KINDS)
    assert tuple(MANIPULATIONS)[:4] == PAPER_KINDS


def test_a_manipulation_acts_on_known_regions():
    for name, done in MANIPULATIONS.items():
        assert done.words
        assert set(done.regions) <= set(REGIONS), name
    assert MANIPULATIONS["affine"].regions == REGIONS


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(CamerabornError, match="no manipulation is called 'eyes': did you mean 'eye'"):
        MANIPULATIONS["eyes"]

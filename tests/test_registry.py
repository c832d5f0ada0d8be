"""A registry: a name is taken once, and a wrong one is answered with the nearest."""

import pytest

from cameraborn.errors import RecipeError
from cameraborn.registry import Registry


@pytest.fixture
def tasks():
    registry = Registry("task", RecipeError)
    registry.add("aperture", 1)
    registry.add("exposure", 2)
    return registry


def test_things_come_back_by_name_and_in_order(tasks):
    assert tasks["exposure"] == 2
    assert dict(tasks) == {"aperture": 1, "exposure": 2}
    assert list(tasks) == ["aperture", "exposure"]
    assert "aperture" in tasks
    assert "apertura" not in tasks
    assert tasks.get("aperture") == 1


def test_a_taken_name_is_refused(tasks):
    with pytest.raises(ValueError, match="task 'aperture' is registered twice"):
        tasks.add("aperture", 3)
    assert tasks["aperture"] == 1


@pytest.mark.parametrize(
    ("name", "advice"), [("apertur", "did you mean 'aperture'"), ("zzz", "choose from aperture, exposure")]
)
def test_a_wrong_name_is_answered_with_the_nearest(tasks, name, advice):
    with pytest.raises(RecipeError, match=advice):
        tasks[name]

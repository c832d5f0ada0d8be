"""A registry: a name is taken once, and a wrong one is answered with the nearest."""

import pytest

from cameraborn.errors import RecipeError
from cameraborn.registry import Registry, unknown_name


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
    ("name", "advice"),
    [
        ("apertur", "did you mean 'aperture'?"),
        ("zzz", "choose from aperture, exposure"),
        ("APERTURE", "did you mean 'aperture'?"),
        ("shutter/exposure", "did you mean 'exposure'?"),
        ("expo", "did you mean 'exposure'?"),
        ("ur", "choose from aperture, exposure"),
        ("", "choose from aperture, exposure"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(tasks, name, advice):
    with pytest.raises(RecipeError) as caught:
        tasks[name]
    assert str(caught.value) == f"no task is called {name!r}: {advice}"


def test_separators_and_capitals_do_not_count_and_several_are_offered():
    known = ["two-words", "two-parts", "other"]
    assert unknown_name("thing", "Two_Words", known).endswith("did you mean 'two-words'?")
    assert unknown_name("thing", "TwoWords", known).endswith("did you mean 'two-words'?")
    assert unknown_name("thing", "two", known).endswith("did you mean 'two-words' or 'two-parts'?")


def test_what_stands_in_another_registry_is_said():
    registry = Registry("task", RecipeError, lambda name: "it is a head" if name == "head" else "")
    registry.add("heap", 1)
    with pytest.raises(RecipeError, match=r"^it is a head$"):
        registry["head"]
    with pytest.raises(RecipeError, match="did you mean 'heap'"):
        registry["heal"]

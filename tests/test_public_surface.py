"""The public names are a checked-in list, so that none is lost or changed unnoticed.

After a change that is meant: python -m tests.test_public_surface
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import cameraborn

LIST = Path(__file__).with_name("public_surface.txt")


def surface() -> Iterator[str]:
    """Every name and signature, a line each."""
    yield from (f"cameraborn.{name}" for name in cameraborn.__all__)
    yield f"cameraborn.load{signature(cameraborn.load)}"
    yield f"cameraborn.Detector{signature(cameraborn.Detector)}"
    for name, method in inspect.getmembers(cameraborn.Detector, inspect.isfunction):
        if not name.startswith("_"):
            yield f"cameraborn.Detector.{name}{signature(method)}"
    for field in dataclasses.fields(cameraborn.Verdict):
        yield f"cameraborn.Verdict.{field.name}: {field.type}"


def signature(function: Callable[..., object]) -> str:
    return str(inspect.signature(function)).replace("'", "")  # annotations are kept as text


def test_public_surface_is_the_one_that_was_agreed():
    assert list(surface()) == LIST.read_text(encoding="utf-8").splitlines()


def test_every_public_name_exists_and_is_described():
    for name in cameraborn.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(cameraborn, name)), name


if __name__ == "__main__":
    LIST.write_text("".join(line + "\n" for line in surface()), encoding="utf-8")

"""A short run of fuzzing, the same each time; `python -m fuzz` runs longer: docs/reliability.md."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from fuzz.targets import TARGETS

from .command import ROOT

EXAMPLES = {"bundle": 15, "checkpoint": 15}  # of slow targets; others have more
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["replace", "insert", "remove", "cut"]),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def edited(seed, edits):
    """A seed with some bytes changed, at places given as shares of its length."""
    for place, edit, found in edits:
        at = int(place * len(seed))
        rest = {"replace": at + len(found), "insert": at, "remove": at + len(found), "cut": len(seed)}[edit]
        seed = seed[:at] + (b"" if edit == "remove" else found) + seed[rest:]
    return seed


def test_without_atheris_one_line_says_what_to_install():
    code = "import runpy, sys; sys.modules['atheris'] = None; runpy.run_module('fuzz', run_name='__main__')"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == "python -m fuzz needs atheris: pip install -c constraints.txt -e '.[test,fuzz]'\n"


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_read(name):
    target = TARGETS[name]
    for seed in target.seeds():
        target(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_gives_a_result_or_our_own_error(name):
    target = TARGETS[name]
    seeds = target.seeds()

    @settings(
        max_examples=EXAMPLES.get(name, 100),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(range(len(seeds))), EDITS)
    def check(place, edits):
        target(edited(seeds[place], edits))

    check()


def test_a_parser_that_fails_is_found():
    target = type(TARGETS["exif"])(lambda data: data.decode("ascii"), (), lambda: [])
    with pytest.raises(UnicodeDecodeError):
        target(b"\xff")


@pytest.mark.parametrize("path", ["a" * 300 + ".jpg", "a\0b.jpg", "a\nb.jpg"])
def test_a_listed_name_that_no_file_can_have(path):
    import json

    for name in ("manifest", "table"):
        TARGETS[name](
            json.dumps({"path": path}).encode() if name == "manifest" else f'path\n"{path}"\n'.encode()
        )

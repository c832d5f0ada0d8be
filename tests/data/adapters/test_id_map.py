"""The authors' pickle is read without being run: every protocol, and every way to smuggle something in."""

import collections
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.data.adapters import id_map
from cameraborn.data.adapters.id_map import read_id_map
from cameraborn.errors import ManifestError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
MAPS = (
    {},
    {"0": "10000004756"},
    {str(n): str(10**9 + n // 2) for n in range(2500)},  # beyond one batch of SETITEMS, values shared
    {1: 2, 300: 70_000, 5_000_000_000: 2**63},
    {"ü\n\\": "日本", "": "x"},
)


def written(folder, data, name="id_vs_fdfName.pkl"):
    (folder / name).write_bytes(data)
    return folder / name


def refusal(file):
    with pytest.raises(ManifestError) as caught:
        read_id_map(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("found", MAPS, ids=len)
def test_every_protocol(tmp_path, found, protocol):
    file = written(tmp_path, pickle.dumps(found, protocol))
    assert read_id_map(file) == {str(face): str(photo) for face, photo in found.items()}


def test_a_pickle_of_python_2(tmp_path):
    assert read_id_map(written(tmp_path, b"(dp0\nS'12'\np1\nS'777'\np2\ns.")) == {"12": "777"}


def test_json(tmp_path):
    assert read_id_map(written(tmp_path, json.dumps({"1": "77", "2": 78}).encode(), "m.json")) == {
        "1": "77",
        "2": "78",
    }
    for broken in (b"{", b"[1]", b'{"1": null}', b'{"1": [2]}', b"[" * 100_000, b'{"1": true}'):
        refusal(written(tmp_path, broken, "m.json"))


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_would_run_something_is_refused_and_does_not(tmp_path, protocol):
    target = tmp_path / "was-run"
    for found in (Evil(target), {"1": Evil(target)}, [{"1": "2"}, Evil(target)]):
        message = refusal(written(tmp_path, pickle.dumps(found, protocol)))
        assert "more than texts and numbers" in message
        assert "convert it to JSON" in message
    assert not target.exists()
    pickle.loads(pickle.dumps(Evil(target), protocol)).close()  # noqa: S301
    assert target.exists()  # so it would have


@pytest.mark.parametrize(
    "found",
    [
        collections.OrderedDict(a="b"),
        {"a": None},
        {"a": 1.5},
        {"a": {1}},
        {"a": b"b"},
        {"a": True},
        {"a": -1},
    ],
)
def test_other_values_are_refused(tmp_path, found):
    refusal(written(tmp_path, pickle.dumps(found)))


@pytest.mark.parametrize("found", [["a"], "a", 3, ("a", "b"), {"a": ["b"]}, {("a",): "b"}, {"a" * 1000: "b"}])
def test_plain_values_that_are_no_map_are_refused(tmp_path, found):
    assert "give the right file" in refusal(written(tmp_path, pickle.dumps(found)))


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b".",
            b"}",
            b"\x80\x04}",
            b"}}.",
            b"u.",
            b"(u.",
            b"}K\x01s.",
            b"]K\x01K\x02s.",
            b"h\x05.",
            b"garbage",
        ),
        *(b"}]K\x01s.", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"((((u.", b"I" + b"9" * 5000 + b"\n."),
    ],
)
def test_damaged_pickles(tmp_path, data):
    message = refusal(written(tmp_path, data))
    assert "copy or download it again" in message or "right file" in message


def test_a_list_in_itself_is_refused_and_ends(tmp_path):
    found = []
    found.append(found)
    refusal(written(tmp_path, pickle.dumps(found)))
    refusal(written(tmp_path, pickle.dumps({"a": found})))


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(id_map, "LARGEST", 10)
    assert "larger than" in refusal(written(tmp_path, pickle.dumps({"1": "2" * 100})))


@settings(max_examples=80, deadline=None)
@given(
    data=st.binary(max_size=60),
    flips=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
def test_any_bytes_give_a_map_or_one_line(tmp_path_factory, data, flips):
    damaged = bytearray(pickle.dumps({"1": "77", "2": "77", "3": "78"}))
    for place, value in flips:
        damaged[place % len(damaged)] = value
    for number, content in enumerate((data, bytes(damaged))):
        file = written(tmp_path_factory.getbasetemp(), content, f"any{number}.pkl")
        try:
            found = read_id_map(file)
        except ManifestError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
        else:
            assert all(isinstance(item, str) for pair in found.items() for item in pair)

"""A large JSON object read in pieces gives what json.loads gives, or one line of error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.data.adapters import json_stream
from cameraborn.data.adapters.json_stream import stream_object
from cameraborn.errors import ManifestError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    found=st.dictionaries(st.text(max_size=6), VALUES, max_size=6),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 3]),
    ascii=st.booleans(),
)
def test_it_agrees_with_json(tmp_path_factory, found, chunk, indent, ascii):
    file = tmp_path_factory.getbasetemp() / "object.json"
    file.write_text(f"{json.dumps(found, indent=indent, ensure_ascii=ascii)}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert dict(stream_object(file)) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"a": 1, "b": {"c": 2', 'after entry "a"'),
        ('{"a": 1', "in its first entry"),
        ('{"a": 1} {"b": 2}', 'after entry "a"'),
        ('{"a": 1, b: 2}', 'after entry "a"'),
        ('{"a": 1, "b\t": 2}', 'after entry "a"'),  # found by fuzzing
        ('{"a": ' + "[" * 100_000, "in its first entry"),
    ],
)
def test_what_is_broken_is_said(tmp_path, text, says):
    (tmp_path / "o.json").write_text(text)
    with pytest.raises(ManifestError) as caught:
        list(stream_object(tmp_path / "o.json"))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_endless_entry_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    monkeypatch.setattr(json_stream, "LARGEST", 1000)
    (tmp_path / "o.json").write_text('{"a": 1, "b": "' + "x" * 100_000 + '"}')
    with pytest.raises(ManifestError, match='after entry "a"'):
        list(stream_object(tmp_path / "o.json"))

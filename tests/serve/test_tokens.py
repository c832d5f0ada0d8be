"""Tokens: known by their hashes, in the files that sha256sum writes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameraborn.errors import CamerabornError
from cameraborn.serve.tokens import hash_of, is_known, read_tokens
from tests.command import pipe, posix
from tests.serve.running import TOKEN

NO_HASH = "holds no hash of a token: write what sha256sum says of one"
NOT_HEX = "does not begin with a SHA-256 in hex: write what sha256sum says of a token"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", NO_HASH),
        (b"# nobody\n\n  \n", NO_HASH),
        (b"0" * 64 + b"\nsecret\n", f"line 2: {NOT_HEX}"),
        (b"\n# a\n" + b"0" * 63, f"line 3: {NOT_HEX}"),
        (b"0" * 65, f"line 1: {NOT_HEX}"),
        (b"0" * 63 + b"g  -", f"line 1: {NOT_HEX}"),
        (b"\xff" * 64, "cannot be read (not text): give a file of hashes of tokens"),
        (None, "cannot be read (No such file or directory): give a file of hashes of tokens"),
    ],
)
def test_a_file_of_tokens_that_cannot_be_used(tmp_path, data, problem):
    path = tmp_path / "t.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CamerabornError) as caught:
        read_tokens(path)
    assert str(caught.value) == f"{path}: {problem}"


@posix
def test_a_pipe_is_not_waited_for(tmp_path):
    with pipe(tmp_path / "t.txt") as opened, pytest.raises(CamerabornError, match="a pipe, socket or device"):
        read_tokens(tmp_path / "t.txt")
    assert not opened.is_set()


def test_what_sha256sum_says_is_known_and_nothing_else(tokens):
    hashes = read_tokens(tokens)
    assert hashes == {hashlib.sha256(TOKEN.encode()).digest(), bytes(32)}
    assert is_known(TOKEN, hashes)
    for other in (
        "",
        TOKEN + "\n",
        TOKEN.upper(),
        TOKEN[:-1],
        hashlib.sha256(TOKEN.encode()).hexdigest(),
        "0" * 64,
    ):
        assert not is_known(other, hashes)


@pytest.mark.parametrize("line", ["{}", "{}  -", "{} *tokens/a b.txt", "  {}\t-\r"])
@pytest.mark.parametrize("spelt", [str.lower, str.upper])
def test_a_line_may_name_its_token_and_be_spelt_either_way(tmp_path, line, spelt):
    (tmp_path / "t.txt").write_text(line.format(spelt(hash_of("a token").hex())) + "\n")
    assert read_tokens(tmp_path / "t.txt") == {hash_of("a token")}


@given(st.lists(st.text(), min_size=1, max_size=4), st.text())
def test_a_token_is_known_where_it_is_one_of_them(tokens, other):
    hashes = frozenset(map(hash_of, tokens))
    assert all(is_known(token, hashes) for token in tokens)
    assert is_known(other, hashes) == (other in tokens)


def test_a_token_of_no_letters_is_hashed_as_it_came():
    """A header's bytes beyond UTF-8 are lone surrogates."""
    assert hash_of("\udcff") == hashlib.sha256(b"\xff").digest()

"""CLIP's tokenizer against a slow, literal version, and what must hold of any text."""

import gzip
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cameraborn.networks.tokenizer import (
    END,
    MERGES,
    START,
    VOCABULARY,
    Tokenizer,
    parse_merges,
    split_words,
)

# A small made-up table; a symbol that ends a word carries </w>, as in CLIP's file.
TABLE = [
    ("t", "h"),
    ("th", "e</w>"),
    ("a", "a"),
    ("aa", "aa"),
    ("p", "h"),
    ("ph", "o"),
    ("t", "o</w>"),
    ("pho", "to</w>"),
    ("aa", "a</w>"),
    ("Ã", "©</w>"),  # the two bytes of é
]
TEXT = st.text(st.characters(codec="utf-8"), max_size=30) | st.text("thepo a'1!é", max_size=20)


def literal_merge(word, table):
    """Sennrich et al., ACL 2016, as in their Algorithm 1: look through the whole table again after every merge."""
    symbols = [*word[:-1], word[-1] + "</w>"]
    while True:
        for left, right in table:
            pairs = [(symbols[i], symbols[i + 1]) for i in range(len(symbols) - 1)]
            if (left, right) in pairs:
                at, out = 0, []
                while at < len(symbols):
                    if at + 1 < len(symbols) and (symbols[at], symbols[at + 1]) == (left, right):
                        out.append(left + right)
                        at += 2
                    else:
                        out.append(symbols[at])
                        at += 1
                symbols = out
                break
        else:
            return symbols


def byte_names():
    """GPT-2's map of bytes to visible characters, by its rule."""
    shown = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    names = {b: chr(b) for b in shown}
    for b in range(256):
        if b not in names:
            names[b] = chr(256 + len(names) - len(shown))
    return names


BYTES = byte_names()


def visible(word):
    return "".join(BYTES[b] for b in word.encode())


@settings(max_examples=200, deadline=None)
@given(word=st.text("aehopt", min_size=1, max_size=12) | st.text("é1!", min_size=1, max_size=4))
@example("aaaaa")
@example("the")
@example("photo")
def test_merging_is_the_literal_algorithm(word):
    bytes_in_order = [*range(33, 127), *range(161, 173), *range(174, 256), *range(33), *range(127, 161), 173]
    alphabet = [BYTES[byte] for byte in bytes_in_order]
    names = [*alphabet, *(c + "</w>" for c in alphabet), *(left + right for left, right in TABLE)]
    symbols = [symbol for part in split_words(word) for symbol in literal_merge(visible(part), TABLE)]
    assert Tokenizer(TABLE).encode(word) == [names.index(symbol) for symbol in symbols]


def test_known_tokens():
    tokenizer = Tokenizer(TABLE)
    assert tokenizer.encode("The photo") == [512 + 1, 512 + 7]
    assert tokenizer.encode("aaaaa") == [512 + 3, 256 + ord("a") - 33]
    assert tokenizer.encode("aaa") == [512 + 8]
    assert Tokenizer().encode("a!") == [320, 256]  # as CLIP's own
    assert tokenizer.encode("é") == [512 + 9]
    assert tokenizer.batch(["the"], 5).tolist() == [[START, 513, END, 0, 0]]
    assert (START, END, VOCABULARY) == (49406, 49407, 49408)


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_no_byte_is_lost(text):
    for tokenizer in (Tokenizer(), Tokenizer(TABLE)):
        words = list(split_words(text.lower()))
        assert tokenizer.decode(tokenizer.encode(text)) == " ".join(words)
        assert "".join(words) == "".join(c for c in text.lower() if not c.isspace())
        assert all(0 <= token < 512 + len(TABLE) for token in tokenizer.encode(text))


@settings(max_examples=200, deadline=None)
@given(text=st.text("abz 059'!?-_std.\n", max_size=20))
def test_words_are_those_of_clips_pattern(text):
    """On ASCII the published pattern can be written with Python's own module."""
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+"
    assert list(split_words(text)) == re.findall(pattern, text)


def test_words_of_other_scripts():
    assert list(split_words("日本語 ½²x приве́т")) == ["日本語", "½", "²", "x", "приве", "\u0301", "т"]


def test_a_text_that_is_too_long_is_refused():
    assert Tokenizer().batch(["a" * 75])[0, -1] == END
    with pytest.raises(ValueError, match="78 tokens long and the context holds 77"):
        Tokenizer().batch(["a" * 76])


def test_a_table_is_read_gzipped_or_plain():
    text = b"#version: 0.2\n" + b"".join(f"{a} {b}\n".encode() for a, b in TABLE)
    assert parse_merges(text) == parse_merges(gzip.compress(text)) == TABLE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"#version\na b\nc\n", "line 3 holds 1 symbols"),
        (gzip.compress(b"#version\na b\n", mtime=0)[:-5], "not a table"),
        (b"\x1f\x8bnonsense", "not a table"),
        (b"#version\n\xff\xff\n", "not a table"),
    ],
)
def test_a_damaged_table_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        parse_merges(data)


def test_only_as_many_merges_as_clip_has_are_used():
    many = [(f"a{n}", "b") for n in range(MERGES + 5)]
    tokenizer = Tokenizer(many)
    assert tokenizer.complete
    assert not Tokenizer(many[:-6]).complete
    assert not Tokenizer().complete
    lines = "#version\n" + "".join(f"{a} {b}\n" for a, b in many) + "the_rest_is_not_read\n"
    assert parse_merges(lines.encode()) == many[:MERGES]

"""CLIP's tokenizer: text to byte pairs (Sennrich et al., ACL 2016), as Radford et al. (arXiv 2103.00020) train on.

The merges are data that cannot be derived: CLIP publishes them as `bpe_simple_vocab_16e6.txt.gz`, a line of header,
then two symbols a line, the most frequent pair first. Without them every byte is a token of its own; those 512 tokens
are in CLIP's table too, so a tower that starts from random weights learns as well, but weights trained on merged
tokens would read letters where they know words: `complete` tells the two apart.

CLIP also repairs broken encodings (ftfy) and HTML entities first; the prompts need neither, so that is left out.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 49408  # of CLIP: 256 bytes, the same at the end of a word, the merges, start and end of text
MERGES = VOCABULARY - 2 * 256 - 2
START, END = VOCABULARY - 2, VOCABULARY - 1  # END is the largest: a tower finds it as the argmax
_WORD_END = "</w>"
_CONTRACTION = re.compile("'(?:s|t|re|ve|m|ll|d)")


class Tokenizer:
    """Text to token numbers and back.

    Args:
        merges: pairs of symbols in the order they are merged; those beyond CLIP's 48,894 are left out, as there.
    """

    def __init__(self, merges: Iterable[tuple[str, str]] = ()) -> None:
        pairs = list(merges)[:MERGES]
        symbols = list(_BYTE_SYMBOLS.values())
        symbols += [symbol + _WORD_END for symbol in symbols] + [left + right for left, right in pairs]
        self._ranks = {pair: rank for rank, pair in enumerate(pairs)}
        self._numbers = {symbol: number for number, symbol in enumerate(symbols)}
        self._symbols = dict(enumerate(symbols))
        self.complete = len(pairs) == MERGES

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without start and end; case and the kind of white space are lost."""
        return [
            self._numbers[symbol]
            for word in split_words(text.lower())
            for symbol in self._merged(_symbols(word))
        ]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens: its words with one space between; start, end and padding are left out."""
        symbols = "".join(self._symbols[token] for token in tokens if token in self._symbols)
        words = symbols.removesuffix(_WORD_END).split(_WORD_END)
        return " ".join(bytes(_SYMBOL_BYTES[c] for c in word).decode("utf-8", "replace") for word in words)

    def batch(self, texts: Sequence[str], context: int = 77) -> NDArray[np.int64]:
        """Texts as a tower takes them: start, tokens, end, zeros: [texts context].

        Raises:
            ValueError: a text has more tokens than the context holds.
        """
        out = np.zeros((len(texts), context), np.int64)
        for row, text in zip(out, texts, strict=True):
            tokens = [START, *self.encode(text), END]
            if len(tokens) > context:
                raise ValueError(
                    f"{text!r} is {len(tokens)} tokens long and the context holds {context}: shorten it"
                )
            row[: len(tokens)] = tokens
        return out

    def _merged(self, symbols: list[str]) -> list[str]:
        """Merge the pair of the lowest rank, wherever it stands, until none is in the table."""
        while len(symbols) > 1:
            rank, pair = min((self._ranks.get(pair, MERGES), pair) for pair in pairwise(symbols))
            if rank == MERGES:
                break
            merged: list[str] = []
            for symbol in symbols:  # from the left: of three equal symbols the first two become one
                if merged and (merged[-1], symbol) == pair:
                    merged[-1] += symbol
                else:
                    merged.append(symbol)
            symbols = merged
        return symbols


def parse_merges(data: bytes) -> list[tuple[str, str]]:
    """The merges of a vocabulary file, gzipped or plain: a line of header, then two symbols a line.

    Raises:
        ValueError: the file is damaged, or a line does not hold two symbols.
    """
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"not a table of merges ({error})") from error
    merges = []
    for number, line in enumerate(text.splitlines()[1 : MERGES + 1], 2):
        pair = line.split()
        if len(pair) != 2:
            raise ValueError(f"line {number} holds {len(pair)} symbols instead of two")
        merges.append((pair[0], pair[1]))
    return merges


def split_words(text: str) -> Iterator[str]:
    """What merges never cross: runs of letters, single digits, runs of other signs, and English contractions."""
    place = 0
    while place < len(text):
        kind, end = _kind(text[place]), place + 1
        contraction = _CONTRACTION.match(text, place)
        if contraction:
            end = contraction.end()
        elif kind != "number":
            while end < len(text) and _kind(text[end]) == kind:
                end += 1
        if kind != "space":
            yield text[place:end]
        place = end


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(character)[0], "sign")


def _symbols(word: str) -> list[str]:
    symbols = [_BYTE_SYMBOLS[byte] for byte in word.encode("utf-8")]
    return [*symbols[:-1], symbols[-1] + _WORD_END]


def _byte_symbols() -> dict[int, str]:
    """A visible character for each byte: Latin-1's own where it has one, else the next from U+0100 on.

    The order is that of the token numbers: the visible ones come first.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


_BYTE_SYMBOLS = _byte_symbols()
_SYMBOL_BYTES = {symbol: byte for byte, symbol in _BYTE_SYMBOLS.items()}

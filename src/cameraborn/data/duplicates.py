"""Near-duplicates among many pictures: the same picture in another size, format or compression.

A difference hash (the signs of the gradients of a 9 x 9 thumbnail, across and down, 128 bits) proposes pairs, and a
finer thumbnail confirms them. Not all pairs are compared: the pictures are sorted by their hash 16 times, each time
beginning at another byte, and each is compared with its next neighbours (the idea of Manku et al., Detecting
near-duplicates for web crawling, WWW 2007). 100,000 pictures take seconds. Crops by more than a few percent, and mirror
images, are not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameraborn.files import Pixels

HASH_BYTES = 16
NEIGHBOURS = 16  # in each sorting
# Over 998 portraits and every standard degradation but the crop: copies differ in at most 12 bits and correlate by .96;
# different pictures differ in at least 19 bits and correlate by at most .92, faces in the same pose among them.
FARTHEST = 16  # bits
LEAST_CORRELATION = 0.95
# Over 800 portraits and photographs: copies that were recompressed or shrunk correlate by .9989 at least, different
# pictures by .97 at most; crops by 1 % of the width by .997 in the median.
SAME_CORRELATION = 0.998
_GRID, _THUMBNAIL = 9, 18  # both divide 72, the side of the picture that they are averaged from
_ROUNDING = 1 / 12  # the variance that it adds to grey levels
_LEAST_CONTRAST = 2.0  # grey levels: a blank picture is like every other


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a picture to recognise it by."""

    hash: bytes  # HASH_BYTES
    thumbnail: bytes  # luma, 18 x 18

    def __bytes__(self) -> bytes:
        return self.hash + self.thumbnail

    @staticmethod
    def of(data: bytes) -> Fingerprint:
        """What `bytes` made of a fingerprint.

        Raises:
            ValueError: it did not.
        """
        if len(data) != HASH_BYTES + _THUMBNAIL**2:
            raise ValueError(f"{len(data)} bytes are no fingerprint")
        return Fingerprint(data[:HASH_BYTES], data[HASH_BYTES:])


def fingerprint(pixels: Pixels) -> Fingerprint:
    """The fingerprint of pixels [H W 3]."""
    luma = Image.fromarray(pixels).convert("L").resize((72, 72), Image.Resampling.BILINEAR)
    grid, thumbnail = _averaged(luma, _GRID), _averaged(luma, _THUMBNAIL)
    across, down = grid[:8, 1:] > grid[:8, :-1], grid[1:, :8] > grid[:-1, :8]
    # Row by row in turn, so that each byte and its neighbours tell of one region in both directions.
    bits = np.packbits(np.stack([across, down], axis=1).ravel())
    return Fingerprint(bits.tobytes(), np.rint(thumbnail).astype(np.uint8).tobytes())


def near_duplicates(fingerprints: Sequence[Fingerprint]) -> list[list[int]]:
    """Sets of pictures that are copies of each other (or of a copy), as sorted indices; no picture is in two."""
    if len(fingerprints) < 2:
        return []
    hashes = np.frombuffer(b"".join(item.hash for item in fingerprints), np.uint8).reshape(-1, HASH_BYTES)
    thumbnails = np.frombuffer(b"".join(item.thumbnail for item in fingerprints), np.uint8)
    thumbnails = thumbnails.reshape(len(hashes), -1)
    pairs = _confirmed(thumbnails, _candidates(hashes))
    return _connected(len(hashes), pairs)


class FirstShown:
    """Tells of pictures that come one after another whether an earlier one was the same, saved again or resized."""

    def __init__(self) -> None:
        self._hashes = np.empty((64, HASH_BYTES // 8), np.uint64)
        self._thumbnails = np.empty((64, _THUMBNAIL**2), np.uint8)
        self._count = 0

    def same_as(self, one: Fingerprint) -> int | None:
        """The number of the first that shows the same, counted from 0; None, and it counts itself, if none does.

        All earlier ones are compared with: a millisecond for 300,000.
        """
        words, thumbnail = np.frombuffer(one.hash, np.uint64), np.frombuffer(one.thumbnail, np.uint8)
        distance = np.bitwise_count(self._hashes[: self._count] ^ words).sum(axis=1)
        near = np.flatnonzero(distance <= FARTHEST)
        alike = _correlated(self._thumbnails[near], thumbnail[None], SAME_CORRELATION)
        if alike.any():
            return int(near[alike][0])
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._thumbnails = np.concatenate([self._thumbnails, np.empty_like(self._thumbnails)])
        self._hashes[self._count], self._thumbnails[self._count] = words, thumbnail
        self._count += 1
        return None


def _averaged(luma: Image.Image, side: int) -> NDArray[np.float32]:
    block = luma.width // side
    values: NDArray[np.float32] = np.asarray(luma, np.float32).reshape(side, block, side, block).mean((1, 3))
    return values


def _candidates(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pairs [P 2] of at most `FARTHEST` differing bits among neighbours in each of the sortings."""
    words = hashes.view(np.uint64)  # [N 2]
    found = []
    for first in range(HASH_BYTES):
        order = np.lexsort(np.roll(hashes, -first, axis=1).T[::-1])
        for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            one, other = order[:-step], order[step:]
            distance = np.bitwise_count(words[one] ^ words[other]).sum(axis=1)
            near = distance <= FARTHEST
            found.append(np.stack([one[near], other[near]], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    return np.unique(pairs, axis=0)


def _confirmed(thumbnails: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs whose thumbnails correlate."""
    kept = []
    for start in range(0, len(pairs), 8192):  # bounds the memory
        some = pairs[start : start + 8192]
        one, other = (thumbnails[some[:, side]] for side in (0, 1))
        kept.append(some[_correlated(one, other, LEAST_CORRELATION)])
    return np.concatenate(kept) if kept else pairs


def _correlated(thumbnails: NDArray[np.uint8], others: NDArray[np.uint8], least: float) -> NDArray[np.bool_]:
    """Whether thumbnails [N T] and others [N T] correlate by that, and are not blank: [N]."""
    one, other = _centred(thumbnails), _centred(others)
    spread = np.sqrt((one**2).mean(axis=1) * (other**2).mean(axis=1))
    # Of dark pictures, rounding is a good part of what their thumbnails differ by.
    high = (one * other).mean(axis=1) >= least * (spread - _ROUNDING)
    alike: NDArray[np.bool_] = high & (spread >= _LEAST_CONTRAST**2)
    return alike


def _centred(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = thumbnails.astype(np.float32)
    centred: NDArray[np.float32] = values - values.mean(axis=1, keepdims=True)
    return centred


def _connected(count: int, pairs: NDArray[np.int64]) -> list[list[int]]:
    """The connected components of more than one member, in the order of their first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    labels = connected_components(links, directed=False)[1]
    order = np.argsort(labels, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return sorted([int(index) for index in members] for members in sets if len(members) > 1)

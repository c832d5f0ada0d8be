"""Photographs reconstructed by autoencoders and published decoders, on disk: what the task `reconstructed` learns from.

    FOLDER/originals/ID-0.png       the photograph, its sides cut to multiples of 8; ID-1.png, ... shrunk
    FOLDER/manipulated/ID-0.png     the same, reconstructed
    FOLDER/manifest.jsonl           their rows; `generator` says by what

An original and its reconstruction have been through the same up to the autoencoder. Autoencoders leave nothing of
JPEG's blocks, so a reconstruction that was not shrunk is recompressed as its file was: else blocks would tell the two
apart. Half of the shrunk copies go through a random post-processing operation as well, original and reconstruction
alike: else what is soft would look reconstructed. What is drawn for a photograph depends on the seed, its SHA-256 and
the copy's number alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cameraborn.data.manifest import Row, group_of
from cameraborn.degrade.named import recompressed
from cameraborn.degrade.random import INTERPOLATING, random_operations, shrink_randomly
from cameraborn.errors import PictureError
from cameraborn.files import Pixels
from cameraborn.networks.autoencoder import Autoencoder
from cameraborn.photo.crops import square_crop
from cameraborn.photo.decode import open_listed
from cameraborn.pseudo.decoders import Reconstruct
from cameraborn.pseudo.names import RECONSTRUCTED
from cameraborn.pseudo.variants import MANIPULATED, ORIGINALS, named, write_png

_FACE_SCALE = (1.3, 1.5)  # side of the square around a face over the longer side of its box


@dataclass(frozen=True)
class ReconstructOptions:
    """How photographs are reconstructed.

    Attributes:
        autoencoders: names of the autoencoders and decoders; each copy is by one of them, drawn at random.
        copies: copies of each photograph; the first at its own size, each further one shrunk at random.
        operations: share of the shrunk copies that go through a random operation after the autoencoder.
        smallest_side: smallest side of a copy, pixels.
        largest_side: largest side of a copy, pixels; a larger photograph is cut to its middle.
        noise: largest strength of the noise on the autoencoder's latents.
        seed: random seed of the copies.
        around_faces: a photograph with a face's box is first cut to a square around the face.
    """

    autoencoders: tuple[str, ...]
    copies: int = 2
    smallest_side: int = 96
    largest_side: int = 512
    noise: float = 0.15
    operations: float = 0.5
    seed: int = 0
    around_faces: bool = False


def one_thread_a_picture() -> None:
    """Several pictures at a time are faster than several threads a picture."""
    torch.set_num_threads(1)


def copies_of(rows: Iterable[Row], copies: int) -> Iterator[tuple[str, int, Row]]:
    """The ID of each copy, its number, and its photograph's row."""
    for name, row in named(rows):
        for number in range(copies):
            yield f"{name}-{number}", number, row


def write_reconstructed(
    row: Row,
    name: str,
    number: int,
    folder: Path,
    decoders: Mapping[str, Reconstruct],
    options: ReconstructOptions,
) -> list[Row]:
    """Write one copy of a photograph and its reconstruction; return both rows, paths relative to `folder`.

    Raises:
        PictureError: the picture cannot be read, was manipulated already, or is too small.
        CamerabornError: a file cannot be written.
    """
    if row.manipulation or row.label != "photo":
        raise PictureError(
            f"{row.path}: not an untouched photograph: leave the row out, autoencoders reconstruct photographs alone"
        )
    picture = open_listed(row.path)
    rng = np.random.default_rng([options.seed, int(row.sha256[:16], 16), number])
    decoder = options.autoencoders[rng.integers(len(options.autoencoders))]
    pixels = picture.pixels
    if options.around_faces and row.box is not None:
        pixels = square_crop(pixels, row.box, float(rng.uniform(*_FACE_SCALE)))
    original = _prepared(pixels, number, options, rng)
    if original is None:
        raise PictureError(f"{row.path}: under {options.smallest_side} pixels: too small to reconstruct")
    noise, seed = float(rng.uniform(0.0, options.noise)), int(rng.integers(2**31))
    reconstructed = decoders[decoder](original, noise, seed)
    if number == 0 and picture.jpeg_quality is not None:
        reconstructed = recompressed(reconstructed, "JPEG", picture.jpeg_quality)
    if number and rng.random() < options.operations:
        original, reconstructed = _same_operation(
            original, reconstructed, int(rng.integers(2**31)), options.smallest_side
        )
    rows = []
    for pixels, place, done in ((original, ORIGINALS, ""), (reconstructed, MANIPULATED, RECONSTRUCTED)):
        path = f"{place}/{name}.png"
        changes: dict[str, object] = {
            "path": path,
            "sha256": write_png(pixels, folder / path),
            "original": row.first,
            "group": group_of(row),
            "manipulation": done,
            "box": None,
            "landmarks": None,
            "points": {},
        }
        rows.append(row.model_copy(update=changes | ({"exif": {}, "generator": decoder} if done else {})))
    return rows


@torch.no_grad()
def reconstruct(autoencoder: Autoencoder, pixels: Pixels, noise: float, seed: int) -> Pixels:
    """A photograph [H W 3] by an autoencoder, of the same size; sides must be divisible by the autoencoder's factor."""
    batch = (
        torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float().sub(127.5).div(127.5)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reconstructed = autoencoder(batch.contiguous(memory_format=torch.channels_last), noise)[0]
    levels = reconstructed.clamp(-1, 1).mul(127.5).add(127.5).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())


def _same_operation(one: Pixels, other: Pixels, seed: int, smallest_side: int) -> tuple[Pixels, Pixels]:
    """Both pictures after the same random post-processing operation."""
    first, second = (
        random_operations(pixels, np.random.default_rng(seed), smallest_side=smallest_side)[0]
        for pixels in (one, other)
    )
    return first, second


def _prepared(
    pixels: Pixels, number: int, options: ReconstructOptions, rng: np.random.Generator
) -> Pixels | None:
    """The photograph as the autoencoder is given it: its middle, further copies shrunk, sides divisible by 8."""
    H, W = (min(side, options.largest_side) for side in pixels.shape[:2])
    y, x = (pixels.shape[0] - H) // 2 // 8 * 8, (pixels.shape[1] - W) // 2 // 8 * 8  # on JPEG's grid
    pixels = pixels[y : y + H, x : x + W]
    side = min(H, W)
    if number and side > options.smallest_side:
        pixels = shrink_randomly(pixels, rng, max(0.4, options.smallest_side / side), INTERPOLATING)
    H, W = pixels.shape[0] // 8 * 8, pixels.shape[1] // 8 * 8
    return np.ascontiguousarray(pixels[:H, :W]) if min(H, W) >= options.smallest_side else None

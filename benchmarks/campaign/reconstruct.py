"""Photographs drawn anew by decoders that others made, once and offline: pseudo-fakes with a photograph as their pair.

Decoders: the TAESD family (distilled autoencoders of the latent spaces of SD 1/2, SDXL, SD 3, FLUX.1, FLUX.2; MIT,
madebyollin/taesd) and super-resolution by SPAN (Apache-2.0), waifu2x (MIT) and Real-ESRGAN (BSD-3) on ncnn. The
photograph keeps its size or is shrunk first; noise is added to latents; super-resolution is given the photograph at
half size.

    WORK/redrawn/pixels.bin, index.jsonl      each row: the pair's photograph and its redrawing, same geometry
Appends until it is stopped; each pass is another painter, size and noise for every training photograph.

    python benchmarks/campaign/reconstruct.py --shared SHARED --work WORK --passes 4
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from cache import Cache, Pixels
from PIL import Image

from cameraborn.pseudo.decoders import ncnn_network, tiny_autoencoder

AUTOENCODERS = ("taesd", "taesdxl", "taesd3", "taef1", "taef2")
ESRGAN = "realesrgan-x4plus"  # Wang et al. 2021 (arXiv 2107.10833): trained against a discriminator; seconds a picture
SMALL_ESRGAN = 288  # px: of a larger photograph this much of its corner, or it takes half a minute
LARGEST = 416  # px: a larger photograph is shrunk first, or takes seconds
SMALLEST = 128
FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)


def super_resolution(weights: Path, name: str) -> Callable[[Pixels], Pixels]:
    """A function that doubles the sides of pixels [H W 3]; Real-ESRGAN's makes them four times as long."""
    network = ncnn_network(weights / f"{name}.param")
    waifu = name.startswith("waifu2x")

    def enlarge(pixels: Pixels) -> Pixels:
        x = pixels.astype(np.float32).transpose(2, 0, 1) / 255
        if waifu:
            x = np.pad(x, ((0, 0), (7, 7), (7, 7)), mode="reflect")
        levels = network(x).clip(0, 1).transpose(1, 2, 0) * 255
        return np.ascontiguousarray(levels.round().astype(np.uint8))

    return enlarge


def centred(pixels: Pixels, box: list[float] | None, rng: np.random.Generator) -> Pixels:
    """A square around the face (1.3 times its box, and a little more), or anywhere."""
    H, W, _ = pixels.shape
    if box is None:
        side = min(H, W, int(rng.integers(160, 353)))
        y, x = rng.integers(H - side + 1), rng.integers(W - side + 1)
    else:
        side = min(H, W, round((box[2] - box[0]) * rng.uniform(1.3, 1.5)))
        x = min(max(round((box[0] + box[2] - side) / 2), 0), W - side)
        y = min(max(round((box[1] + box[3] - side) / 2), 0), H - side)
    return pixels[y : y + side, x : x + side]


def prepared(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """As a painter is given it: as it is, or shrunk; a multiple of 16."""
    side = pixels.shape[0]
    target = min(side, LARGEST)
    if rng.random() < 0.6 and target > SMALLEST:
        target = int(np.exp(rng.uniform(np.log(SMALLEST), np.log(target))))
    if target < side:
        filter = FILTERS[rng.integers(len(FILTERS))]
        pixels = np.asarray(Image.fromarray(pixels).resize((target, target), filter))
    keep = pixels.shape[0] // 16 * 16
    return np.ascontiguousarray(pixels[:keep, :keep])


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument(
        "--esrgan", type=Path, help="folder of realesrgan-x4plus (BSD-3), for a share of --share-esrgan"
    )
    parser.add_argument("--share-esrgan", type=float, default=0.15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cache = Cache(options.work / "cache")
    folder = options.work / "redrawn"
    folder.mkdir(exist_ok=True)
    weights = options.shared / "weights"
    painters = {
        name: tiny_autoencoder(*(weights / f"{name}_{part}.safetensors" for part in ("encoder", "decoder")))
        for name in AUTOENCODERS
    }
    enlargers = {name: super_resolution(weights, name) for name in ("spanx2_ch48", "waifu2x_photo_x2")}
    names = [*painters, *enlargers]
    if options.esrgan is not None:
        enlargers[ESRGAN] = super_resolution(options.esrgan, ESRGAN)
    held_out = set(json.loads((options.work / "held_out.json").read_text()))
    photographs = [
        n
        for n, row in enumerate(cache.rows)
        if row["trains"] and row["label"] == "photo" and n not in held_out
    ]
    for number in range(options.first, options.passes):
        order = np.random.default_rng([7, number]).permutation(photographs)
        for photograph in map(int, order):
            row = cache.rows[photograph]
            rng = np.random.default_rng([11, number, photograph])
            if row["box"] is None and rng.random() > 0.3:
                continue
            original = prepared(centred(cache.pixels(photograph), row["box"], rng), rng)
            if original.shape[0] < 96:
                continue
            name = names[rng.integers(len(names))]
            noise = float(rng.uniform(0, 0.3)) if rng.random() < 0.7 else 0.0
            if options.esrgan is not None and rng.random() < options.share_esrgan:
                name, original = ESRGAN, original[:SMALL_ESRGAN, :SMALL_ESRGAN]
                small = int(original.shape[0] * rng.uniform(0.25, 0.36))
                filter = FILTERS[rng.integers(len(FILTERS))]
                drawn = enlargers[name](np.asarray(Image.fromarray(original).resize((small, small), filter)))
                size = (original.shape[1], original.shape[0])
                redrawn = np.asarray(Image.fromarray(drawn).resize(size, Image.Resampling.BICUBIC))
            elif name in painters:
                redrawn = painters[name](original, noise, int(rng.integers(2**31)))
            else:
                half = (original.shape[1] // 2, original.shape[0] // 2)
                filter = FILTERS[rng.integers(len(FILTERS))]
                redrawn = enlargers[name](np.asarray(Image.fromarray(original).resize(half, filter)))
            if redrawn.shape != original.shape:
                raise ValueError(f"{name}: {redrawn.shape} of {original.shape}")
            with (folder / "pixels.bin").open("ab") as out:
                at = out.tell()
                out.write(original.tobytes() + redrawn.tobytes())
            entry = {
                "at": at,
                "side": original.shape[0],
                "painter": name,
                "noise": noise,
                "photograph": photograph,
            }
            with (folder / "index.jsonl").open("a") as out:
                out.write(json.dumps(entry | {"path": row["path"], "set": row["set"]}) + "\n")


if __name__ == "__main__":
    main()

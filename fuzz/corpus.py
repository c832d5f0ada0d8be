"""Inputs that fuzzing begins with: small, sound, one a variant of each format; all made by formula.

Pictures are made of one of the repository's own, so nothing is stored and nobody else's file is given away.
"""

from __future__ import annotations

import csv
import io
import json
import pickle
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import safetensors.torch
import torch
from PIL import ExifTags, Image, ImageCms

from cameraborn.bench.scores import COLUMNS, ScoreRow, format_row
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.detector import default_bundle
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.engine.journal import Journal, Mark
from cameraborn.networks.resnet import ResNet
from cameraborn.photo.decode import heic_available
from cameraborn.photo.jpeg_xl import jpeg_xl_available

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPH = ROOT / "tests" / "pictures" / "photo-1.jpg"
SIDES = (56, 40)  # of the pictures: several units of every format's compression


def pictures() -> list[bytes]:
    """A picture in every format that is read, and in the variants that a decoder has code of its own for."""
    with Image.open(PHOTOGRAPH) as opened:
        photograph = opened.convert("RGB").resize(SIDES)
    grey, small = photograph.convert("L"), photograph.resize((24, 18))
    exif = exif_block("<")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = photograph.rotate(180)
    saved: list[tuple[Image.Image, str, dict[str, object]]] = [
        (photograph, "JPEG", {"quality": 80, "exif": exif}),
        (photograph, "JPEG", {"quality": 60, "progressive": True, "icc_profile": icc}),
        (photograph, "JPEG", {"quality": 95, "subsampling": 0, "restart_marker_blocks": 3}),
        (grey, "JPEG", {"quality": 70}),
        (photograph.convert("CMYK"), "JPEG", {"quality": 70}),
        (photograph, "MPO", {"save_all": True, "append_images": [small]}),
        (small, "PNG", {"exif": exif, "icc_profile": icc}),
        (small.convert("P"), "PNG", {}),
        (small.convert("LA"), "PNG", {}),
        (Image.new("I;16", (24, 18), 40_000), "PNG", {}),
        (small, "PNG", {"save_all": True, "append_images": [small.rotate(180)]}),
        (photograph, "WEBP", {"quality": 60, "exif": exif}),
        (small, "WEBP", {"lossless": True}),
        (photograph, "WEBP", {"save_all": True, "append_images": [turned], "quality": 40}),
        (small, "TIFF", {"exif": exif, "icc_profile": icc}),
        (small, "TIFF", {"compression": "tiff_lzw"}),
        (small, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (photograph, "TIFF", {"compression": "jpeg"}),
        (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (small, "BMP", {}),
        (small.convert("P"), "BMP", {}),
        (small, "GIF", {"save_all": True, "append_images": [small.rotate(180)], "loop": 0}),
        (photograph, "AVIF", {"quality": 50, "exif": exif}),
    ]
    found = [_saved(image, format, options) for image, format, options in saved]
    if heic_available():
        found.append(_heic(photograph.resize((64, 64)), exif))
    if jpeg_xl_available():
        found.append(_jpeg_xl(small, exif))
    return found


def _jpeg_xl(image: Image.Image, exif: bytes) -> bytes:
    from pillow_jxl import Encoder

    encode = Encoder("RGB", lossless=True, use_container=True)
    file: bytes = encode(
        image.tobytes(), *image.size, jpeg_encode=False, exif=bytes(4) + exif.removeprefix(b"Exif\0\0")
    )
    return file


def _heic(image: Image.Image, exif: bytes) -> bytes:
    from pillow_heif import from_pillow  # and nothing registered with Pillow, which is the host's

    stream = io.BytesIO()
    from_pillow(image).save(stream, quality=50, exif=exif)
    return stream.getvalue()


def _saved(image: Image.Image, format: str, options: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def exif_block(order: str) -> bytes:
    """An EXIF block with every tag that is read, in little ("<") or big (">") endian."""
    exif = Image.Exif()
    exif.endian = order
    base = ExifTags.Base
    exif[base.Make], exif[base.Model], exif[base.Orientation] = "Maker", "Model 1", 6
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            base.ISOSpeedRatings: 65535,
            0x8830: 2,
            0x8832: 102_400,
            base.FNumber: 2.8,
            base.ExposureTime: 1 / 250,
            base.ApertureValue: 2.97,
            base.FocalLength: 50.0,
            base.ExposureBiasValue: -0.33,
            base.Flash: 16,
            base.MeteringMode: 5,
            base.MakerNote: b"Maker\0\1\2\3",
            base.UserComment: b"ASCII\0\0\0steps: 20, sampler: Euler",
        }
    )
    return exif.tobytes()


def manifests() -> list[bytes]:
    """Manifests: a row with all fields, rows with few, and rows of an import."""
    full = {
        "path": "a.jpg",
        "sha256": "0" * 64,
        "split": "train",
        "label": "generated",
        "generator": "one",
        "source": "s",
        "group": "g",
        "kind": "face",
        "box": [1.5, 2, 30, 40],
        "landmarks": [[x, 2 * x] for x in range(68)],
        "points": {"nose": [3, 4]},
        "manipulation": "eye",
        "exif": {"iso": 100.0, "make": "Maker", "flash": 16},
        "licence": "CC0-1.0",
        "original": "1" * 64,
        "research_only": True,
    }
    plain = {"path": "a.jpg", "sha256": "0" * 64}
    listed = {"path": "a.jpg", "track": "web", "exif": {"exposure_time_s": "1/250", "iso": 0}}
    return [*(json.dumps(row).encode() for row in (full, plain, listed)), b'\n{"path": "b.jpg"}\n\n']


def metadata() -> list[bytes]:
    """Metadata of published data sets: a JSON object of entries, a map as JSON and as a pickle, a table of EXIF."""
    entries = {str(number): {"box": [1, 2, 3, 4], "license": "CC", "owner": "é"} for number in range(3)}
    ids = {"0": "123", "1": 456, "2": "789"}
    pairs = "12\tExif+IFD0.Make:Maker,Exif+SubIFD.ISO+Speed+Ratings:100,Exif+SubIFD.F-Number:f%2F2.8\n"
    return [
        json.dumps(entries).encode(),
        json.dumps(ids).encode(),
        *(pickle.dumps(ids, protocol) for protocol in (0, 2, 4)),
        pairs.encode(),
        json.dumps({"EXIF": {"ISO": "100", "Exposure Time": "1/60 sec"}}).encode(),
    ]


def recipes() -> list[bytes]:
    """The recipes and configurations of benchmarks that ship."""
    return [path.read_bytes() for path in sorted((ROOT / "configs").rglob("*.toml"))]


def tables() -> list[bytes]:
    """Lists of pictures as spreadsheets write them."""
    rows = [
        ["path", "label", "split", "box", "iso", "exposure_time_s", "research_only"],
        ["a.jpg", "real", "train", "1 2 30 40", "100", "1/250", "no"],
        ["sub\\a.jpg", "1", "", "", "F2.8", "", "true"],
    ]
    written = []
    for delimiter in ",;\t":
        stream = io.StringIO()
        csv.writer(stream, delimiter=delimiter).writerows(rows)
        written.append(stream.getvalue().encode("utf-8-sig"))
    return written


def scores() -> list[bytes]:
    """A benchmark's table of scores."""
    numbers: dict[str, object] = {
        "in_source": True,
        "flagged": None,
        "score": 1.25,
        "p_value": 0.5,
        "seconds": 0.1,
        "error": "",
    }
    row = ScoreRow(**{name: numbers.get(name, name) for name in COLUMNS})  # type: ignore[arg-type]
    return [(",".join(COLUMNS) + "\n" + format_row(row) + format_row(row)).encode()]


def journals() -> list[bytes]:
    """The journal of an interrupted run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        with Journal(path, {"rate": 0.05}) as journal:
            journal.add(Mark(1, 2, 3), {"scope": "ok"})
            journal.add(Mark(2**63, 5, 6), [1, None])
        return [path.read_bytes()]


@cache
def small_bundle() -> Bundle:
    """The bundle that ships, without its networks and with one held-out photograph a category."""
    whole = read_bundle(default_bundle())
    taxonomy = whole.coverage.taxonomy
    rows = {taxonomy.category_of(row.condition): row for row in whole.calibration_rows}
    bundle = whole.with_calibration(whole.coverage, list(rows.values())).with_golden(whole.golden)
    large = [name for network in bundle.info.networks for name in (network.file, *network.weights)]
    return Bundle(bundle.info, bundle.files | dict.fromkeys(large, b""), "fuzz")


def bundle_files() -> dict[str, bytes]:
    """The files of `small_bundle` as they are written, in the order of their names, less those that are empty."""
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(small_bundle(), Path(folder) / "bundle")
        files = {path.name: path.read_bytes() for path in sorted((Path(folder) / "bundle").iterdir())}
    return {name: data for name, data in files.items() if data and not name.endswith(".md")}


def bundles() -> list[bytes]:
    """Each file of a bundle, behind a byte that says which it is."""
    return [bytes([place]) + data for place, data in enumerate(bundle_files().values())]


def checkpoints() -> list[bytes]:
    """The smallest ResNet in the layouts of published checkpoints, from torch and as safetensors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = ResNet(layers=[1, 1, 1, 1], width=1, features=2).state_dict()
    return [data for tensors in _layouts(state) for data in _checkpoint_files(tensors)]


def _layouts(state: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    visual = {f"model.visual.{name}": value for name, value in state.items()}
    head = {"fc_joint.weight": torch.ones(2, 2), "fc_joint.bias": torch.zeros(2)}
    yield visual | head
    yield visual | {"sink_temp": torch.ones(1)}
    yield {f"encoder.{name}": value for name, value in state.items()}
    yield {f"module.{name}": value for name, value in state.items()}


def _checkpoint_files(tensors: dict[str, torch.Tensor]) -> Iterator[bytes]:
    for new in (True, False):
        stream = io.BytesIO()
        torch.save({"model": tensors}, stream, _use_new_zipfile_serialization=new)
        yield stream.getvalue()
    yield safetensors.torch.save(tensors, {"layout": "aigfd"})

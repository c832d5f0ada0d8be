"""What fuzzing calls: for each parser a function of bytes, its errors, and its corpus.

The only outcomes that are allowed: a result, or the package's own error in one line that can be printed.
"""

from __future__ import annotations

import atexit
import io
import itertools
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from cameraborn.bench.config import read_config
from cameraborn.bench.scores import read_scores
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.binary.recipe import BinaryRecipe
from cameraborn.data.adapters.entry import Options
from cameraborn.data.adapters.flickr import ExifFolder, ExifTable
from cameraborn.data.adapters.id_map import read_id_map
from cameraborn.data.adapters.json_stream import stream_object
from cameraborn.data.adapters.rows import rows_entries
from cameraborn.data.adapters.table import csv_entries
from cameraborn.data.manifest import read_manifest, write_manifest
from cameraborn.degrade.residual_statistics import N_STATISTICS
from cameraborn.detect.store import read_bundle
from cameraborn.engine.journal import Journal, Mark
from cameraborn.errors import (
    BenchError,
    BundleError,
    CamerabornError,
    JournalError,
    ManifestError,
    PictureError,
    RecipeError,
)
from cameraborn.photo.exif import Exif, read_exif, read_orientation
from cameraborn.photo.exif_text import tags_of_texts
from cameraborn.photo.frames import frames
from cameraborn.photo.provenance import read_provenance
from cameraborn.pretext.recipe import Recipe
from cameraborn.pseudo.autoencoders import AutoencodersRecipe
from cameraborn.rivals.recipe import RivalRecipe
from cameraborn.train.recipe import WholeRecipe, kind_of
from cameraborn.train.weights import import_checkpoint
from fuzz import corpus

MAX_PIXELS = 250_000  # a header may promise any size; what a picture costs is not the question here
_FRAMES = 3
_RECIPES: dict[str, type[WholeRecipe]] = {
    "binary": BinaryRecipe,
    "autoencoders": AutoencodersRecipe,
    "generators": GeneratorsRecipe,
    "rival": RivalRecipe,
}


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        read: reads the bytes.
        errors: what it may raise.
        seeds: makes the inputs that fuzzing begins with.
    """

    read: Callable[[bytes], object]
    errors: tuple[type[CamerabornError], ...]
    seeds: Callable[[], list[bytes]]

    def __call__(self, data: bytes) -> None:
        """Read the bytes; whatever is raised but the target's own errors is a finding."""
        try:
            self.read(data)
        except self.errors as error:
            said = str(error)
        else:
            return
        assert said, "an error that says nothing"
        assert "\n" not in said, f"an error of more than one line: {said}"


@cache
def _folder() -> Path:
    """A folder for inputs that are read from files, with the picture that lists name."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "a.jpg").write_bytes(b"")
    return folder


def _file(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _each(*readers: Callable[[], Iterable[object]]) -> None:
    """Call all of them to their end, also those after one that refuses; then raise the last refusal."""
    refusal = None
    for reader in readers:
        try:
            for _ in reader():
                pass
        except CamerabornError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def decode(data: bytes) -> None:
    """A picture, and the first frames of an animation."""
    for _, picture in itertools.islice(frames(data, name="a", max_pixels=MAX_PIXELS), _FRAMES):
        assert (picture.pixels.dtype, picture.pixels.shape[2]) == (np.uint8, 3)
        json.dumps(picture.exif.to_mapping(), allow_nan=False)


def provenance(data: bytes) -> None:
    """XMP, JUMBF, CBOR, text chunks and comments of a picture."""
    with_limit = frames(data, name="a", max_pixels=MAX_PIXELS)  # provenance decodes, too
    next(with_limit)
    json.dumps(read_provenance(data, name="a").to_mapping(), allow_nan=False)


def exif(data: bytes) -> None:
    """A block of EXIF in a picture, and the same bytes as texts of a table; neither ever raises."""
    image = Image.new("RGB", (1, 1))
    image.info["exif"] = data
    found = read_exif(image)
    assert Exif.from_mapping(json.loads(json.dumps(found.to_mapping(), allow_nan=False))) == found
    assert 1 <= read_orientation(image) <= 8
    text = data.decode("latin-1")
    tags_of_texts(dict.fromkeys(("ISO", "F-Number", "Exposure Time", "Make", "Flash"), text))
    Exif.from_mapping({"iso": text, "fnumber": text, "exposure_time_s": text, "exposure_bias_ev": text})


def manifest(data: bytes) -> None:
    """A manifest, which is written again and read to the same; and rows of others."""
    path = _file(data, "manifest.jsonl")
    _each(lambda: rows_entries(path, Options()))
    rows = list(read_manifest(path))
    again = _folder() / "again.jsonl"
    write_manifest(rows, again)
    assert list(read_manifest(again)) == rows


def metadata(data: bytes) -> None:
    """Metadata of published data sets: a stream of JSON, a map of ids, EXIF as a table or a file a photograph."""
    path = _file(data, "metadata.json")
    _each(
        lambda: stream_object(path),
        lambda: read_id_map(path),
        lambda: read_id_map(_file(data, "map.pkl")),
        lambda: ExifTable(path, {"12"}).get("12") or (),
        lambda: ExifFolder(path.parent).get("metadata") or (),
    )


def recipe(data: bytes) -> None:
    """A recipe of any kind, and a configuration of a benchmark."""
    path = _file(data, "recipe.toml")
    _each(
        lambda: [_RECIPES.get(kind_of(path), Recipe).read(path)],
        lambda: [read_config(path)],
    )


def table(data: bytes) -> None:
    """A list of pictures as CSV."""
    for _ in csv_entries(_file(data, "list.csv"), Options()):
        pass


def scores(data: bytes) -> None:
    """A benchmark's scores."""
    for _ in read_scores(_file(data, "scores.csv")):
        pass


def journal(data: bytes) -> None:
    """The journal of an interrupted run, which goes on, and then is one that can be read."""
    path = _file(data, "journal.part")
    with Journal(path, {"rate": 0.05}) as found:
        found.get(Mark(1, 2, 3))
        found.get(Mark(2**63, 5, 6))
        place = found.add(Mark(7, 8, 9), ["new"])
        assert found.read(place) == ["new"]
    with Journal(path, {"rate": 0.05}) as again:
        assert again.get(Mark(7, 8, 9)) == (place, ["new"])


def bundle(data: bytes) -> None:
    """A zip of any kind; or a sound bundle with one file, which the first byte chooses, replaced by what follows."""
    files = corpus.bundle_files()
    place = data[0] if data else 0
    path = _folder() / "bundle.zip"
    path.write_bytes(_with_file(files, list(files)[place], data[1:]) if place < len(files) else data)
    found = read_bundle(path)
    _each(
        lambda: found.evidence and found.scores(np.zeros((2, min(found.info.width, 4096)))).tolist(),
        lambda: [found.calibration, found.channel_calibrations],
        lambda: [found.golden],
        lambda: found.seen,
        lambda: [found.condition(100.0, 90, np.zeros(N_STATISTICS, np.float32))],
    )


def _with_file(files: dict[str, bytes], name: str, data: bytes) -> bytes:
    """A zip of a bundle's files, one of them replaced, with the hash that it has now."""
    changed = files | {name: data}
    info = json.loads(files["bundle.json"])
    info["files"] = {one: sha256(changed.get(one, b"")).hexdigest() for one in info["files"]}
    if name != "bundle.json":
        changed["bundle.json"] = json.dumps(info).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for one in {**dict.fromkeys(info["files"]), **changed}:
            archive.writestr(one, changed.get(one, b""))
    return stream.getvalue()


def checkpoint(data: bytes) -> None:
    """A checkpoint of others, from torch and as safetensors."""
    _each(
        lambda: import_checkpoint(_file(data, "checkpoint.pth")).tensors,
        lambda: import_checkpoint(_file(data, "checkpoint.safetensors"), text=True).tensors,
    )


TARGETS: dict[str, Target] = {
    "decode": Target(decode, (PictureError,), corpus.pictures),
    "provenance": Target(provenance, (PictureError,), corpus.pictures),
    "exif": Target(exif, (), lambda: [corpus.exif_block("<"), corpus.exif_block(">"), b"1/250 sec", b"F2.8"]),
    "manifest": Target(manifest, (ManifestError,), corpus.manifests),
    "metadata": Target(metadata, (ManifestError,), corpus.metadata),
    "recipe": Target(recipe, (RecipeError, BenchError), corpus.recipes),
    "table": Target(table, (ManifestError,), corpus.tables),
    "scores": Target(scores, (BenchError,), corpus.scores),
    "journal": Target(journal, (JournalError,), corpus.journals),
    "bundle": Target(bundle, (BundleError,), corpus.bundles),
    "checkpoint": Target(checkpoint, (RecipeError,), corpus.checkpoints),
}

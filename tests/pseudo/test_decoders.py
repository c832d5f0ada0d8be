"""Published decoders, written here in their layouts, small: against a literal version, and through the command line."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from typer.testing import CliRunner

from cameraborn.cli import app
from cameraborn.data.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.errors import CamerabornError, RecipeError
from cameraborn.photo.decode import open_picture
from cameraborn.pseudo.autoencoders import read_autoencoders
from cameraborn.pseudo.decoders import read_decoders
from tests.command import pipe, posix

LATENT = 4


def pixels_of(height=64, width=48, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    scene = 128 + 60 * np.sin(x / 9 + y / 13)[:, :, None] * np.array([1.0, 0.7, 0.5])
    return (scene + rng.normal(0, 3, (height, width, 3))).clip(0, 255).astype(np.uint8)


def block(place, pooled=False):
    tensors = {}
    for n in (0, 2, 4):
        tensors[f"{place}.conv.{n}.weight"] = torch.randn(64, 64, 3, 3) * 0.02
        tensors[f"{place}.conv.{n}.bias"] = torch.randn(64) * 0.1
    if pooled:
        tensors[f"{place}.pool.0.weight"] = torch.randn(256, 64, 1, 1) * 0.05
        tensors[f"{place}.pool.1.weight"] = torch.rand(256)
        tensors[f"{place}.pool.1.bias"] = torch.randn(256) * 0.1
        tensors[f"{place}.pool.3.weight"] = torch.randn(64, 256, 1, 1) * 0.05
    return tensors


def conv(place, inputs, outputs, bias=True):
    tensors = {f"{place}.weight": torch.randn(outputs, inputs, 3, 3) * 0.05}
    return tensors | ({f"{place}.bias": torch.randn(outputs) * 0.1} if bias else {})


def encoder_weights(pooled=False):
    """conv, block, then three times a convolution that halves the sides and a block, and a convolution."""
    tensors = conv(0, 3, 64) | block(1)
    for place in (2, 4, 6):
        tensors |= conv(place, 64, 64, bias=False) | block(place + 1, pooled)
    return tensors | conv(8, 64, LATENT)


def decoder_weights(pooled=False):
    """A clamp, conv, relu, then three times blocks, an enlargement and a convolution; a block and a convolution."""
    tensors = conv(1, LATENT, 64)
    for first in (3, 8, 13):
        for place in range(first, first + 3):
            tensors |= block(place, pooled)
        tensors |= conv(first + 4, 64, 64, bias=False)
    return tensors | block(18) | conv(19, 64, 3)


def write_tiny(folder, name="taetiny", pooled=False):
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    weights = encoder_weights(pooled), decoder_weights(pooled)
    for tensors, part in zip(weights, ("encoder", "decoder"), strict=True):
        save_file(tensors, folder / f"{name}_{part}.safetensors")
    return weights


def literal(weights, pixels, noise, seed):
    """The autoencoder of the TAESD family, written out."""
    encoder, decoder = weights

    def conv_of(tensors, place, x, stride=1):
        return F.conv2d(x, tensors[f"{place}.weight"], tensors.get(f"{place}.bias"), stride=stride, padding=1)

    def block_of(tensors, place, x):
        if f"{place}.pool.0.weight" in tensors:
            y = F.conv2d(x, tensors[f"{place}.pool.0.weight"])
            y = F.group_norm(y, 4, tensors[f"{place}.pool.1.weight"], tensors[f"{place}.pool.1.bias"])
            x = x + F.conv2d(F.relu(y), tensors[f"{place}.pool.3.weight"])
        y = F.relu(conv_of(tensors, f"{place}.conv.0", x))
        y = F.relu(conv_of(tensors, f"{place}.conv.2", y))
        return F.relu(conv_of(tensors, f"{place}.conv.4", y) + x)

    x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255
    x = block_of(encoder, 1, conv_of(encoder, 0, x))
    for place in (2, 4, 6):
        x = block_of(encoder, place + 1, conv_of(encoder, place, x, stride=2))
    x = conv_of(encoder, 8, x)
    x = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    x = F.relu(conv_of(decoder, 1, 3 * torch.tanh(x / 3)))
    for first in (3, 8, 13):
        for place in range(first, first + 3):
            x = block_of(decoder, place, x)
        x = conv_of(decoder, first + 4, x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    x = conv_of(decoder, 19, block_of(decoder, 18, x))
    return x[0].clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()


@pytest.mark.parametrize("pooled", [False, True])
def test_a_tiny_autoencoder_against_the_literal_version(tmp_path, pooled):
    weights = write_tiny(tmp_path, pooled=pooled)
    decoders = read_decoders(tmp_path)
    assert list(decoders) == ["taetiny"]
    pixels = pixels_of()
    with torch.no_grad():
        expected = literal(weights, pixels, 0.2, 7)
    made = decoders["taetiny"](pixels, 0.2, 7)
    assert made.shape == pixels.shape
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert not np.array_equal(made, decoders["taetiny"](pixels, 0.2, 8))
    assert np.array_equal(decoders["taetiny"](pixels, 0.0, 7), decoders["taetiny"](pixels, 0.0, 8))


def test_what_is_no_decoder_is_named(tmp_path):
    with pytest.raises(RecipeError, match="no decoder in it"):
        read_decoders(tmp_path)
    write_tiny(tmp_path)
    (tmp_path / "taetiny_encoder.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"taetiny_encoder\.safetensors: not of the TAESD family"):
        read_decoders(tmp_path)
    save_file(
        {"0.weight": torch.zeros(3, 3, 3, 3), "5.bias": torch.zeros(2)}, tmp_path / "x_decoder.safetensors"
    )
    write_tiny(tmp_path)
    write_tiny(tmp_path, "x")
    save_file({"9.gain": torch.zeros(3)}, tmp_path / "x_decoder.safetensors")
    with pytest.raises(RecipeError, match=r"x_decoder\.safetensors"):
        read_decoders(tmp_path)


NEAREST = """7767517
2 2
Input in 0 1 data
Interp up 1 1 data out 0=1 1=2.0 2=2.0
"""


def test_super_resolution_says_what_it_needs_or_enlarges(tmp_path):
    """Where ncnn is installed, a network that repeats pixels gives back what shrinking to the half has left."""
    (tmp_path / "twice.param").write_text(NEAREST)
    (tmp_path / "twice.bin").write_bytes(b"")
    try:
        import ncnn  # noqa: F401
    except ImportError:
        with pytest.raises(CamerabornError, match=r"pip install 'cameraborn\[decoders\]'"):
            read_decoders(tmp_path)
        return
    enlarge = read_decoders(tmp_path)["twice"]
    pixels = pixels_of()
    made = enlarge(pixels, 0.0, 3)
    assert made.shape == pixels.shape
    assert np.array_equal(made[::2, ::2], made[1::2, 1::2])
    assert np.abs(made.astype(int) - pixels).mean() < 8
    (tmp_path / "twice.param").write_text(NEAREST.replace("2.0", "1.5"))
    with pytest.raises(RecipeError, match="enlarges by a whole number"):
        read_decoders(tmp_path)


@pytest.fixture
def photographs(tmp_path):
    rows = []
    for n, split in enumerate(("train", "val", "calibration")):
        path = tmp_path / f"{split}.png"
        Image.fromarray(pixels_of(160, 200, n)).save(path)
        box = (60.0, 40.0, 130.0, 120.0)
        rows.append(Row(path=str(path), sha256=sha256_of(path), split=split, group=split, box=box))
    write_manifest(rows, tmp_path / "photographs.jsonl")
    return tmp_path / "photographs.jsonl"


def reconstruct(manifest, output, *words):
    return CliRunner().invoke(app, ["data", "reconstruct", str(manifest), "-o", str(output), *words])


def test_photographs_are_reconstructed_around_faces_but_not_those_that_calibrate(photographs, tmp_path):
    write_tiny(tmp_path / "decoders")
    words = ("--decoders", str(tmp_path / "decoders"), "--around-faces", "--copies", "1", "--jobs", "1")
    done = reconstruct(photographs, tmp_path / "reconstructed", *words)
    assert done.exit_code == 0, done.output
    assert "1 row of split 'calibration' is not reconstructed" in done.output
    rows = list(read_manifest(tmp_path / "reconstructed" / "manifest.jsonl"))
    assert {row.split for row in rows} == {"train", "val"}
    originals = {row.split: row.sha256 for row in read_manifest(photographs)}
    for original, reconstructed in zip(rows[::2], rows[1::2], strict=True):
        assert (original.manipulation, reconstructed.manipulation) == ("", "reconstructed")
        assert (original.generator, reconstructed.generator) == ("", "taetiny")
        assert original.original == reconstructed.original == originals[original.split]
        assert original.group == reconstructed.group == original.split
        sizes = [open_picture(row.path).pixels.shape[:2] for row in (original, reconstructed)]
        assert sizes[0] == sizes[1]
        assert 96 <= sizes[0][0] <= 120  # 1.3 to 1.5 times the box, in steps of 8
    settings = json.loads((tmp_path / "reconstructed" / "settings.json").read_text())
    assert settings["around_faces"] is True
    files = sorted((tmp_path / "decoders").iterdir())
    assert sorted(settings["autoencoders"]["taetiny"]) == sorted(map(sha256_of, files))


def test_what_calibrates_cannot_be_asked_for(photographs, tmp_path):
    write_tiny(tmp_path / "decoders")
    words = ("--decoders", str(tmp_path / "decoders"))
    done = reconstruct(photographs, tmp_path / "reconstructed", *words, "--split", "calibration")
    assert done.exit_code == 2
    assert "what calibrates must not be reconstructed" in done.output
    assert not (tmp_path / "reconstructed").exists()
    done = reconstruct(photographs, tmp_path / "reconstructed")
    assert done.exit_code == 2
    assert "give --autoencoders FOLDER, --decoders FOLDER, or both" in done.output


@posix
def test_a_photograph_that_is_a_pipe_is_left_out_unopened(photographs, tmp_path):
    write_tiny(tmp_path / "decoders")
    lost = Row(path=str(tmp_path / "pipe.jpg"), sha256="0" * 64, split="train")
    write_manifest([lost, *read_manifest(photographs)], tmp_path / "listed.jsonl")
    words = ("--decoders", str(tmp_path / "decoders"), "--copies", "1", "--jobs", "1")
    with pipe(tmp_path / "pipe.jpg") as opened:
        done = reconstruct(tmp_path / "listed.jsonl", tmp_path / "reconstructed", *words)
    assert not opened.is_set()
    assert "pipe.jpg: a pipe, socket or device" in done.output
    rows = list(read_manifest(tmp_path / "reconstructed" / "manifest.jsonl"))
    assert [row.split for row in rows] == ["train", "train", "val", "val"]


@posix
@pytest.mark.parametrize("name", ["taesd_encoder.safetensors", "taesd_decoder.safetensors", "span.bin"])
def test_decoders_that_are_pipes_are_refused_unopened(tmp_path, name):
    write_tiny(tmp_path)
    with (
        pipe(tmp_path / name) as opened,
        pytest.raises(RecipeError, match=f"{re.escape(name)}: a pipe, socket or device"),
    ):
        read_decoders(tmp_path)
    assert not opened.is_set()


@posix
def test_autoencoders_that_are_pipes_are_refused_unopened(tmp_path):
    path = tmp_path / "small.safetensors"
    with (
        pipe(path) as opened,
        pytest.raises(RecipeError, match=r"small\.safetensors: a pipe, socket or device"),
    ):
        read_autoencoders(tmp_path)
    assert not opened.is_set()

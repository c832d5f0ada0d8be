"""Photographs reconstructed on disk, and a network that learns to tell them."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from PIL import Image
from typer.testing import CliRunner

from cameraborn.cli import app
from cameraborn.data.manifest import Row, read_manifest, sha256_of
from cameraborn.errors import ManifestError, PictureError
from cameraborn.networks.autoencoder import Autoencoder
from cameraborn.photo.decode import open_picture
from cameraborn.pretext.export import export_run
from cameraborn.pretext.objective import PretextObjective
from cameraborn.pretext.recipe import Recipe
from cameraborn.pretext.selection import select_rows
from cameraborn.pretext.tasks import TASKS
from cameraborn.pseudo.autoencoders import train_autoencoders
from cameraborn.pseudo.reconstruct import ReconstructOptions, reconstruct, write_reconstructed
from cameraborn.train.loop import train

from ..conftest import EXAMPLES, encoded
from .test_autoencoders import recipe_of as autoencoders_recipe


@pytest.fixture(scope="module")
def autoencoder():
    torch.manual_seed(0)
    return Autoencoder(upsampling="nearest", factor=8, latent=3, width=4).eval()


def options(**changes):
    return replace(ReconstructOptions(("one",)), **changes)


def photograph(tmp_path, side=(203, 161), quality=60):
    path = tmp_path / "photo.jpg"
    pixels = np.asarray(Image.open(EXAMPLES / "photo-1.jpg").convert("RGB").resize(side))
    path.write_bytes(encoded(pixels, quality=quality))
    return Row(path=str(path), sha256=sha256_of(path), split="train", kind="face", exif={"iso": 100.0})


def folder_for(folder):
    """As `data reconstruct` would have made it."""
    for inner in ("originals", "manipulated"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    return folder


def test_both_are_written_of_one_size_and_their_rows_say_what_they_are(tmp_path, autoencoder):
    row = photograph(tmp_path)
    rows = write_reconstructed(
        row, "photo-0", 0, folder_for(tmp_path), {"one": partial(reconstruct, autoencoder)}, options()
    )
    original, reconstructed = (open_picture(tmp_path / made.path).pixels for made in rows)
    assert original.shape == reconstructed.shape == (160, 200, 3)
    np.testing.assert_array_equal(original, open_picture(row.path).pixels[:160, :200])
    assert [made.manipulation for made in rows] == ["", "reconstructed"]
    assert [made.exif for made in rows] == [{"iso": 100.0}, {}]
    assert {made.original for made in rows} == {row.sha256}
    assert len({made.group for made in rows}) == 1
    assert all(made.sha256 == sha256_of(tmp_path / made.path) for made in rows)
    made_already = row.model_copy(update={"original": "a" * 64})
    again = write_reconstructed(
        made_already, "photo-0", 0, tmp_path, {"one": partial(reconstruct, autoencoder)}, options()
    )
    assert {made.original for made in again} == {"a" * 64}


def test_only_what_was_not_shrunk_is_recompressed(tmp_path, autoencoder):
    row = photograph(tmp_path)
    for number, blocks in ((0, True), (1, False)):
        _, reconstructed = write_reconstructed(
            row,
            f"photo-{number}",
            number,
            folder_for(tmp_path),
            {"one": partial(reconstruct, autoencoder)},
            options(noise=0.0, operations=0),
        )
        original = open_picture(tmp_path / f"originals/photo-{number}.png").pixels
        plain = reconstruct(autoencoder, original, noise=0.0, seed=0)
        same = np.array_equal(open_picture(tmp_path / reconstructed.path).pixels, plain)
        assert same != blocks


def test_further_copies_are_shrunk_and_the_same_each_time(tmp_path, autoencoder):
    row = photograph(tmp_path)
    first, again = (
        write_reconstructed(
            row,
            "photo-1",
            1,
            folder_for(tmp_path / place),
            {"one": partial(reconstruct, autoencoder)},
            options(operations=0),
        )
        for place in "ab"
    )
    assert [made.sha256 for made in first] == [made.sha256 for made in again]
    H, W, _ = open_picture(tmp_path / "a" / first[0].path).pixels.shape
    assert (H, W) != (160, 200)
    assert min(H, W) >= 96
    assert H % 8 == W % 8 == 0


def test_both_are_handled_alike(tmp_path, autoencoder, monkeypatch):
    handled = []

    def noted(pixels, rng, *, smallest_side):
        handled.append((pixels, rng.bit_generator.state, smallest_side))
        return pixels[:smallest_side], 60

    monkeypatch.setattr("cameraborn.pseudo.reconstruct.random_operations", noted)
    rows = write_reconstructed(
        photograph(tmp_path),
        "photo-1",
        1,
        folder_for(tmp_path),
        {"one": partial(reconstruct, autoencoder)},
        options(operations=1),
    )
    (original, *drawn), (reconstructed, *again) = handled
    assert drawn == again
    for row, pixels in zip(rows, (original, reconstructed), strict=True):
        np.testing.assert_array_equal(open_picture(tmp_path / row.path).pixels, pixels[:96])


def test_what_cannot_be_reconstructed(tmp_path, autoencoder):
    row = photograph(tmp_path, side=(90, 90))
    with pytest.raises(PictureError, match="too small to reconstruct"):
        write_reconstructed(
            row, "photo-0", 0, folder_for(tmp_path), {"one": partial(reconstruct, autoencoder)}, options()
        )
    for wrong in ({"manipulation": "reconstructed"}, {"label": "generated"}):
        with pytest.raises(PictureError, match="not an untouched photograph"):
            write_reconstructed(
                row.model_copy(update=wrong),
                "photo-0",
                0,
                folder_for(tmp_path),
                {"one": partial(reconstruct, autoencoder)},
                options(),
            )


def test_noise_depends_on_its_seed_and_leaves_the_global_state_alone(autoencoder):
    pixels = np.asarray(Image.open(EXAMPLES / "photo-2.jpg").convert("RGB").resize((64, 64)))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (reconstruct(autoencoder, pixels, noise=1.0, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def learnt(manifest, tasks, **optimise):
    settings = {"steps": 60, "batch_size": 16, "warmup": 5, "learning_rate": 5e-3, "weight_decay": 0.0}
    settings |= {"precision": "float32", "threads": 1, "workers": 0, "ema": 0.9}
    return Recipe.model_validate(
        {
            "data": {"manifest": str(manifest)},
            "network": {"widths": [8, 12], "features": 8},
            "pretext": {"tasks": tasks},
            "augment": {"scale_probability": 0.0},
            "optimise": settings | optimise,
            "log": {"validate_every": 60, "checkpoint_every": 60},
        }
    )


def test_from_autoencoders_to_a_bundle_that_tells_reconstructed_photographs(faces, tmp_path):
    train_autoencoders(autoencoders_recipe(faces, ["a"]), tmp_path / "autoencoders")
    command = [
        "data",
        "reconstruct",
        str(faces),
        "--autoencoders",
        str(tmp_path / "autoencoders"),
        "-o",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, [*command, "--copies", "1"])
    assert result.exit_code == 0, result.output
    manifest = tmp_path / "out" / "manifest.jsonl"
    rows = list(read_manifest(manifest))
    assert sum(row.manipulation == "reconstructed" for row in rows) == len(rows) / 2 == 22
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["copies"] == 1

    recipe = learnt(manifest, {"iso": 0.1, "reconstructed": 1.0})
    figures = train(PretextObjective, recipe, tmp_path / "run")
    assert figures["reconstructed/reconstructed"] > 0.7
    assert figures["portrait/reconstructed"] > 0.7
    alone = export_run(tmp_path / "run")
    assert [channel.name for channel in alone.evidence] == ["reconstructed"]
    assert len(alone.weights) == 1
    seen = {digest for row in rows if row.split == "train" for digest in (row.sha256, row.original)}
    assert set(alone.seen) == seen

    # Beside another network: its features come first, and the channel reads its own columns alone.
    train(PretextObjective, learnt(faces, {"iso": 1.0}, steps=2, batch_size=4), tmp_path / "exif")
    both = export_run(tmp_path / "exif", tmp_path / "run")
    assert (both.features, both.tasks) == (16, ("iso", "reconstructed"))
    patches = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), np.uint8)
    first, second, together = (
        InferenceSession(exported.onnx).run(None, {"patches": patches})[0]
        for exported in (export_run(tmp_path / "exif"), alone, both)
    )
    np.testing.assert_allclose(together, np.hstack([first, second]), rtol=1e-4, atol=1e-5)
    (channel,), (beside,) = alone.evidence, both.evidence
    np.testing.assert_array_equal(beside.tensors()["weight"], channel.tensors()["weight"])
    assert (channel.columns, beside.columns) == (((0, 8),), ((8, 16),))
    assert (alone.density_columns, both.density_columns) == (((0, 8),), ((0, 8),))

    # Without a task that needs them, reconstructed photographs teach nothing.
    train_rows = select_rows(learnt(manifest, {"iso": 1.0}).data, [TASKS["iso"]], 4).train
    assert {row.manipulation for row in train_rows} == {""}

    again = CliRunner().invoke(app, [*command, "--copies", "2"])
    assert again.exit_code == 2
    assert "other options" in again.output


def test_the_task_needs_reconstructed_photographs(faces, tmp_path):
    with pytest.raises(ManifestError, match="cameraborn data reconstruct"):
        train(
            PretextObjective,
            learnt(faces, {"iso": 1.0, "reconstructed": 1.0}, batch_size=8),
            tmp_path / "run",
        )

"""A detector of known generators on toys made by formula: rows, batches, weights, training, resuming, export."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from cameraborn.binary.export import export_binary, is_binary
from cameraborn.binary.face_rows import face_rows
from cameraborn.binary.faces import LARGEST, REGION, faces_of, region_of
from cameraborn.binary.generators import (
    PATCH,
    FaceValidator,
    GeneratorsNetwork,
    GeneratorsObjective,
    begun,
    detector_patches,
    smoothed_cross_entropy,
)
from cameraborn.binary.generators_recipe import GeneratorsRecipe
from cameraborn.binary.overlap import RECORD, OverlapWeights, overlap_weights
from cameraborn.binary.sampling import FaceBatches, Sampler, base_weights
from cameraborn.cli import app
from cameraborn.data.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.detect.store import read_bundle
from cameraborn.errors import ManifestError, RecipeError
from cameraborn.networks.efficientnet_lite import EfficientNetLite
from cameraborn.train.export import BundleOptions, write_exported
from cameraborn.train.loop import train
from cameraborn.train.pictures import MemoryBudget
from cameraborn.train.processes import Processes
from cameraborn.train.recipe import kind_of

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("generators_*.toml"))
BOX = (20.0, 20.0, 108.0, 108.0)
SMALL = {"type": "patch", "widths": [6, 8], "features": 8}
CPU = Processes(torch.device("cpu"))


def face(rng, grain):
    """A picture [128 128 3] of waves with grain: of photographs it is strong, of fakes weak."""
    y, x = np.mgrid[:128, :128]
    scene = 120 + 40 * np.sin(x / rng.uniform(5, 20) + rng.uniform(0, 6)) + y / 8
    return (scene[:, :, None] + rng.normal(0, grain, (128, 128, 3))).clip(0, 255).astype(np.uint8)


def written(path, pixels, **fields):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)
    return Row(path=str(path), sha256=sha256_of(path), **fields)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Manifests of 18 photographs with a face, 6 without, 18 fakes (a third WebP) and 6 reconstructed photographs."""
    folder, rng = tmp_path_factory.mktemp("toys"), np.random.default_rng(0)
    rows, pairs = [], []
    for n in range(24):
        split, group = ("val" if n % 3 == 2 else "train"), f"source-{n % 6}"
        fields = {"split": split, "group": f"{split}-{group}"}
        box = None if n >= 18 else BOX
        rows.append(written(folder / f"photo{n:02}.png", face(rng, 5.0), box=box, **fields))
        if n < 18:
            made = "gan" if n % 6 in (0, 5) else "diffusion"
            fake = {"label": "generated", "generator": made}
            name = f"fake{n:02}.{'webp' if n % 3 == 1 else 'png'}"
            rows.append(written(folder / name, face(rng, 0.3), box=BOX, **fields | fake))
        if n < 6:
            both = fields | {"original": rows[-2].sha256, "generator": "", "kind": "reconstructed"}
            originals, reconstructed = (
                folder / "originals" / f"{n}-0.png",
                folder / "manipulated" / f"{n}-0.png",
            )
            pairs.append(written(originals, face(rng, 5.0), **both))
            changes = {"manipulation": "reconstructed", "generator": ("taesd", "span")[n % 2]}
            pairs.append(written(reconstructed, face(rng, 0.3), **both | changes))
    write_manifest(rows, folder / "faces.jsonl")
    write_manifest(pairs, folder / "pairs.jsonl")
    return folder


def recipe_of(toys, *, optimise=None, data=None, **changes):
    fields = {
        "kind": "generators",
        "data": {
            "manifest": str(toys / "faces.jsonl"),
            "more_manifests": [str(toys / "pairs.jsonl")],
            **(data or {}),
        },
        "network": SMALL,
        "patches": [{"side": 64, "share": 0.5}, {"side": 96, "count": 2, "share": 0.5}],
        "optimise": {
            "steps": 4,
            "batch_size": 8,
            "warmup": 0,
            "precision": "float32",
            "threads": 1,
            "workers": 0,
        }
        | (optimise or {}),
        "log": {"log_every": 1, "validate_every": 4, "checkpoint_every": 2},
    }
    return GeneratorsRecipe.model_validate(fields | changes)


def objective_of(recipe, folder, processes=CPU):
    return GeneratorsObjective(recipe, processes, folder=folder)


def trained(recipe, folder):
    return train(lambda recipe, processes: objective_of(recipe, folder, processes), recipe, folder)


def test_rows_are_divided(toys):
    train_rows, val_rows = face_rows(recipe_of(toys))
    assert (len(train_rows.photographs), len(train_rows.fakes), len(train_rows.pairs)) == (16, 12, 4)
    assert (len(val_rows.photographs), len(val_rows.fakes), len(val_rows.pairs)) == (8, 6, 2)
    for original, reconstructed in train_rows.pairs:
        assert (original.manipulation, reconstructed.manipulation) == ("", "reconstructed")
        assert original.original == reconstructed.original
        assert Path(original.path).name == Path(reconstructed.path).name
    # What stands beside a reconstruction is in its pair alone.
    assert not {row.path for row in train_rows.photographs} & {one.path for one, _ in train_rows.pairs}


def changed(toys, folder, change, name="pairs.jsonl"):
    rows = [row for row in read_manifest(toys / name) if (new := change(row)) is not None for row in [new]]
    folder.mkdir(exist_ok=True)
    write_manifest(rows, folder / name)
    return folder / name


def test_a_reconstruction_of_a_held_out_photograph_is_refused(toys, tmp_path):
    """Its file is another one, but what calibrates would have been learnt from."""
    kept = next(row for row in read_manifest(toys / "faces.jsonl") if row.split == "val" and row.box)
    pairs = changed(toys, tmp_path, lambda row: row.model_copy(update={"original": kept.sha256}))
    recipe = recipe_of(toys, data={"more_manifests": [str(pairs)]})
    with pytest.raises(
        ManifestError, match=rf"reconstruction of .*{Path(kept.path).name}, which is of split 'val'"
    ):
        face_rows(recipe)


def test_a_reconstruction_without_its_photograph_is_refused(toys, tmp_path):
    pairs = changed(toys, tmp_path, lambda row: row if row.manipulation else None)
    with pytest.raises(ManifestError, match="its photograph is missing"):
        face_rows(recipe_of(toys, data={"more_manifests": [str(pairs)]}))


def test_pairs_are_asked_for(toys):
    data = {"more_manifests": []}
    with pytest.raises(ManifestError, match="cameraborn data reconstruct"):
        face_rows(recipe_of(toys, data=data))
    train_rows, _ = face_rows(recipe_of(toys, data=data, batch={"pairs": 0}))
    assert train_rows.pairs == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": None}, "fewer than 2 usable photographs with a face's box in split 'train'"),
        ({"label": "photo"}, "fewer than 2 usable generated pictures"),
        ({"group": "one"}, "group 'one' is in both splits"),
        ({"research_only": True}, "in split 'train'"),
    ],
)
def test_a_manifest_that_will_not_do(toys, tmp_path, change, message):
    manifest = changed(toys, tmp_path, lambda row: row.model_copy(update=change), "faces.jsonl")
    with pytest.raises(ManifestError, match=message):
        face_rows(recipe_of(toys, data={"manifest": str(manifest)}))


def test_what_is_kept_of_a_picture_holds_what_deliveries_cut():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    kept = region_of(pixels, (150.0, 100.0, 230.0, 200.0))
    assert kept.pixels.shape == (round(100 * REGION),) * 2 + (3,)
    x0, y0, x1, y1 = map(round, kept.box)
    assert np.array_equal(kept.pixels[y0:y1, x0:x1], pixels[100:200, 150:230])
    assert region_of(pixels, None).pixels.shape == pixels.shape
    large = region_of(np.zeros((1200, 1200, 3), np.uint8), (100.0, 100.0, 900.0, 900.0))
    assert large.pixels.shape == (LARGEST, LARGEST, 3)
    assert large.box[2] - large.box[0] == pytest.approx(800 * LARGEST / 1200)


def sampler_of(recipe, folder):
    train_rows, _ = face_rows(recipe)
    count = len(train_rows.photographs) + len(train_rows.fakes)
    return Sampler(
        train_rows, faces_of(train_rows.all, MemoryBudget(100)), recipe, np.ones(count)
    ), train_rows


def test_no_source_and_no_generator_dominates(toys, tmp_path):
    sampler, rows = sampler_of(recipe_of(toys), tmp_path)
    drawn = {"gan": 0.0, "diffusion": 0.0}
    for number, share in zip(sampler.fakes.numbers, sampler.fakes.shares, strict=True):
        drawn[rows.all[number].generator] += share
    counts = {name: sum(row.generator == name for row in rows.fakes) for name in drawn}
    assert counts["gan"] != counts["diffusion"]
    for name in drawn:  # in proportion to the square root of its number
        assert drawn[name] == pytest.approx(counts[name] ** 0.5 / sum(n**0.5 for n in counts.values()))
    webp = [Path(row.path).suffix == ".webp" for row in rows.fakes]
    assert sampler.webp == pytest.approx(sampler.fakes.shares[webp].sum())
    assert 0.2 < sampler.webp < 0.6
    assert base_weights(["a", "a", "a", "a", "b"]) == pytest.approx([0.5, 0.5, 0.5, 0.5, 1.0])


def test_overlap_weights_decide_how_often_a_face_is_drawn(toys):
    recipe = recipe_of(toys)
    train_rows, _ = face_rows(recipe)
    weights = np.zeros(len(train_rows.photographs) + len(train_rows.fakes))
    weights[[0, len(train_rows.photographs)]] = 0.3
    sampler = Sampler(train_rows, faces_of(train_rows.all, MemoryBudget(100)), recipe, weights)
    rng = np.random.default_rng(0)
    assert {sampler.photographs(rng) for _ in range(20)} == {0}
    assert {sampler.fakes(rng) for _ in range(20)} == {len(train_rows.photographs)}


def test_a_batch_holds_what_the_recipe_says(toys, tmp_path):
    recipe = recipe_of(toys, batch={"photographs": 2, "pairs": 1, "fakes": 1}, optimise={"batch_size": 10})
    dataset = FaceBatches(sampler_of(recipe, tmp_path)[0], recipe, CPU)
    sides = set()
    for number in range(12):
        patches, labels = dataset[number]
        count = 2 if patches.shape[-1] == 96 else 1
        assert patches.shape == (10 * count, 3, patches.shape[-1], patches.shape[-1])
        assert patches.dtype == torch.uint8
        assert labels.tolist() == ([0.0] * 2 + [1.0] + [0.0, 1.0]) * 2 if count == 1 else True
        assert labels.sum() == 4 * count
        sides.add(patches.shape[-1])
    assert sides == {64, 96}


def test_pictures_without_detail_could_be_either_and_hybrids_keep_their_label(toys, tmp_path):
    changes = {"batch": {"blank": 1}, "optimise": {"batch_size": 10}}
    plain, mixed = (recipe_of(toys, **changes, history={"hybrid": share}) for share in (0.0, 1.0))
    batches = [FaceBatches(sampler_of(recipe, tmp_path)[0], recipe, CPU)[3] for recipe in (plain, mixed)]
    (patches, labels), (hybrids, same) = batches
    assert torch.equal(labels, same)
    assert (labels == 0.5).sum() * 5 == len(labels)
    unchanged = (patches == hybrids).flatten(1).all(1)
    assert unchanged[labels == 0.5].all()
    assert not unchanged[labels != 0.5].all()


def test_a_batch_depends_on_its_number_alone_and_is_shared_equally(toys, tmp_path):
    recipe = recipe_of(toys)
    sampler, _ = sampler_of(recipe, tmp_path)
    whole = FaceBatches(sampler, recipe, CPU)
    halves = [FaceBatches(sampler, recipe, replace(CPU, rank=rank, world=2)) for rank in range(2)]
    for number in (0, 5):
        patches, labels = whole[number]
        assert torch.equal(patches, whole[number][0])
        assert torch.equal(patches, torch.cat([half[number][0] for half in halves]))
        assert torch.equal(labels, torch.cat([half[number][1] for half in halves]))
    assert not torch.equal(whole[0][0], whole[1][0]) if whole[0][0].shape == whole[1][0].shape else True
    with pytest.raises(RecipeError, match="2 units of 4 pictures, which cannot be divided between 3"):
        FaceBatches(sampler, recipe, replace(CPU, world=3))


def test_a_pair_is_two_pictures_of_the_same_history(toys, tmp_path):
    recipe = recipe_of(toys, batch={"matched_pairs": 0.0}, history={"light": 1.0})
    sampler, rows = sampler_of(recipe, tmp_path)
    for seed in range(6):
        original, reconstructed = sampler.pair(np.random.default_rng(seed))
        assert original.shape == reconstructed.shape
        assert not np.array_equal(original, reconstructed)
    decoders = dict.fromkeys(("taesd", "span"), 0.0)
    for number, share in zip(sampler.pairs.numbers, sampler.pairs.shares, strict=True):
        decoders[rows.all[number + 1].generator] += share
    assert decoders == pytest.approx({"taesd": 0.5, "span": 0.5})


def test_overlap_weights_make_covariates_alike():
    """Logistic classes: the weighted means of what tells them are the same in both, and little is told any more."""
    rng = np.random.default_rng(0)
    fakes = np.arange(800) % 2 == 1
    features = rng.normal(0, 1, (800, 6))
    features[fakes, 0] += 1.2
    found = overlap_weights(features, fakes, np.ones(800), [f"{n:064x}" for n in range(800)], covariates=6)
    weights = np.array(found.weights)
    before = features[fakes, 0].mean() - features[~fakes, 0].mean()
    after = np.average(features[fakes, 0], weights=weights[fakes]) - np.average(
        features[~fakes, 0], weights=weights[~fakes]
    )
    assert before > 1
    assert abs(after) < 0.1
    assert found.auc > 0.75
    assert found.balanced_auc == pytest.approx(0.5, abs=0.06)
    assert all(100 < n < 400 for n in found.effective)
    assert ((weights > 0) & (weights < 1)).all()


def lite_weights(folder, seed=0):
    torch.manual_seed(seed)
    state = EfficientNetLite().state_dict()
    published = state | {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    torch.save(published, folder / "lite.pth")
    return folder / "lite.pth", state


def test_published_weights_begin_a_network_with_a_silent_residual(toys, tmp_path):
    path, state = lite_weights(tmp_path)
    for residual in (False, True):
        section = {"type": "efficientnet-lite0", "residual": residual}
        network = begun(recipe_of(toys, network=section, init=str(path)))
        own = network.encoder.state_dict()
        stem = own.pop("_conv_stem.weight")
        assert torch.equal(stem[:, :3], state["_conv_stem.weight"])
        assert not residual or not stem[:, 3:].any()
        assert all(torch.equal(value, state[name]) for name, value in own.items())
    with pytest.raises(RecipeError, match=r"lite\.pth"):
        begun(recipe_of(toys, init=str(path)))


def test_smoothed_labels_against_the_formula():
    logits, labels = torch.tensor([1.5, -0.3, 0.2]), torch.tensor([1.0, 0.0, 1.0])
    target = labels * 0.9 + 0.05
    p = torch.sigmoid(logits)
    literal = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert smoothed_cross_entropy(logits, labels, 0.1) == pytest.approx(float(literal))


def test_a_run_writes_what_it_says_and_resumes_to_the_bit(toys, tmp_path):
    path, _ = lite_weights(tmp_path)
    small = {"side": 24, "covariates": 4}
    sections = {"network": {"type": "efficientnet-lite0"}, "init": str(path), "overlap": small}
    sections["patches"] = [{"side": 64}]
    recipe = recipe_of(toys, optimise={"steps": 3, "batch_size": 4}, **sections)
    figures = trained(recipe, tmp_path / "whole")
    assert set(figures) == {"auc", "accuracy", "gan/auc", "diffusion/auc", "reconstructed/above"}
    stored = OverlapWeights.read(tmp_path / "whole" / RECORD)
    assert len(stored.weights) == len(stored.sha256) == 12 + 12
    record = json.loads((tmp_path / "whole" / "data.json").read_text())
    assert len(record["manifest_sha256"].split()) == 2
    rows = [row for name in ("faces", "pairs") for row in read_manifest(toys / f"{name}.jsonl")]
    assert set(record["seen"]) == {
        digest for row in rows if row.split == "train" for digest in (row.sha256, row.original) if digest
    }

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.step == 2:
            raise Killed

    with pytest.raises(Killed):
        train(
            lambda recipe, processes: objective_of(recipe, tmp_path / "part", processes),
            recipe,
            tmp_path / "part",
            kill,
        )
    before = (tmp_path / "part" / RECORD).read_bytes()
    trained(recipe, tmp_path / "part")
    assert (tmp_path / "part" / RECORD).read_bytes() == before
    one, other = (load_file(tmp_path / name / "network.safetensors") for name in ("whole", "part"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_rate_stays_and_then_declines(toys, tmp_path):
    recipe = recipe_of(
        toys, optimise={"schedule": "constant", "learning_rate": 1.0, "steps": 100}, decline=0.3
    )
    objective = objective_of(recipe, tmp_path)
    rates = [
        objective.learning_rate(step, recipe.optimise, steps=100, steps_an_epoch=5) for step in range(100)
    ]
    assert rates[:71] == [1.0] * 71
    assert rates[70:] == pytest.approx([(100 - step) / 30 for step in range(70, 100)])


def test_a_toy_is_learnt_and_exported(toys, tmp_path):
    light = {"strength": 0.0, "native": 1.0, "light": 1.0, "shuffle": 0.0}
    optimise = {"steps": 60, "batch_size": 16, "learning_rate": 5e-3, "ema": 0.0}
    patches = [{"side": 64}]
    recipe = recipe_of(toys, history=light, optimise=optimise, patches=patches, dropout=0.0)
    figures = trained(recipe, tmp_path / "run")
    assert figures["auc"] > 0.95
    assert is_binary(tmp_path / "run")
    exported = export_binary(tmp_path / "run")
    write_exported(exported, BundleOptions("toy"), tmp_path / "bundle")
    bundle = read_bundle(tmp_path / "bundle")
    shown = bundle.info.preprocessing
    assert (shown.patch, shown.sides, shown.crop_scale, shown.smallest_side) == (PATCH, (256,), 1.5, 128)
    assert bundle.info.combined == ("generators",)
    assert {"network.onnx", "generators.safetensors", "seen.txt"} <= set(bundle.files)

    # The bundle's score is the network's logit.
    network = GeneratorsNetwork(recipe)
    network.load_state_dict(load_file(tmp_path / "run" / "network.safetensors"))
    x = torch.randint(0, 256, (3, 3, PATCH, PATCH), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        logit = network.eval()(x.float()).mean()
    score = exported.evidence[0].surprise(features.mean(axis=0, keepdims=True))[0]
    assert score == pytest.approx(float(logit), abs=0.02)


def test_validation_looks_as_the_detector_does(toys):
    pixels = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    patches = detector_patches(region_of(pixels, (100.0, 100.0, 500.0, 500.0)))
    assert patches.shape == (4, 3, PATCH, PATCH)
    assert detector_patches(region_of(pixels[:60, :60], (10.0, 10.0, 50.0, 50.0))).shape == (
        1,
        3,
        PATCH,
        PATCH,
    )
    _, val_rows = face_rows(recipe_of(toys))
    validator = FaceValidator(val_rows, MemoryBudget(0), torch.device("cpu"), None)
    assert len(validator.rows) == 12  # those without a face say nothing of the detector


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_recipe_that_ships_trains_for_some_steps(path, toys, tmp_path):
    assert kind_of(path) == "generators"
    shipped = GeneratorsRecipe.read(path)
    assert not shipped.data.manifest.is_absolute()
    assert f"cameraborn train {path.relative_to(ROOT)}" in path.read_text()
    _, state = lite_weights(tmp_path)
    save_file({f"encoder.{name}": value for name, value in state.items()}, tmp_path / "lite.safetensors")
    changes = {"steps": 2, "batch_size": shipped.batch.unit, "workers": 0, "threads": 1, "compile": False}
    recipe = shipped.model_copy(
        update={
            "data": recipe_of(toys).data,
            "init": tmp_path / "lite.safetensors",
            "optimise": shipped.optimise.model_copy(update=changes),
            "overlap": shipped.overlap and shipped.overlap.model_copy(update={"covariates": 4}),
            "patches": (shipped.patches[0],),
        }
    )
    figures = trained(recipe, tmp_path / "run")
    assert {"auc", "reconstructed/above"} <= set(figures)
    assert (tmp_path / "run" / "network.safetensors").stat().st_size <= 16 * 2**20


def test_there_are_recipes_for_a_processor_and_an_accelerator():
    assert [path.stem for path in CONFIGS] == ["generators_cpu", "generators_h200"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimise": {"batch_size": 10}}, "not a multiple of the 4 pictures"),
        ({"optimise": {"patches": 2}}, r"count of each side in \[\[patches\]\]"),
        ({"overlap": {}}, "give init"),
        ({"patches": [{"side": 100}]}, "not divisible by 32"),
        ({"patches": []}, "patches"),
        ({"network": SMALL | {"spectrum": True}}, "network.spectrum"),
        ({"network": {"type": "sdaie"}}, "does not see single patches"),
        ({"network": {"type": "efficientnet"}}, "did you mean 'efficientnet-lite0'"),
    ],
)
def test_a_wrong_recipe_names_the_field(toys, changes, named):
    with pytest.raises(ValueError, match=named):
        recipe_of(toys, **changes)


TOML = """
kind = "generators"
[data]
manifest = "{folder}/faces.jsonl"
more_manifests = ["{folder}/pairs.jsonl"]
[network]
type = "patch"
widths = [6, 8]
features = 8
[[patches]]
side = 64
[optimise]
steps = 2
batch_size = 4
precision = "float32"
threads = 1
workers = 0
"""


def test_the_command_line_trains_and_exports(toys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(TOML.format(folder=toys))
    trained = CliRunner().invoke(app, ["train", "r.toml"])
    assert trained.exit_code == 0, trained.output
    assert "reconstructed/above:" in trained.output
    exported = CliRunner().invoke(app, ["export", "runs/r", "-o", "bundle"])
    assert exported.exit_code == 0, exported.output
    assert "now 'cameraborn calibrate PHOTOS --bundle bundle'" in exported.output
    assert read_bundle(Path("bundle")).info.preprocessing.patch == PATCH
    alone = CliRunner().invoke(app, ["export", "runs/r", "--beside", "runs/r", "-o", "both"])
    assert alone.exit_code == 2
    file = CliRunner().invoke(
        app, ["export", "runs/r/network.safetensors", "--recipe", "r.toml", "-o", "other"]
    )
    assert file.exit_code == 2
    assert "exported from its run: give the folder" in file.output


def test_init_on_the_command_line_replaces_the_recipes(toys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(TOML.format(folder=toys))
    done = CliRunner().invoke(app, ["train", "r.toml", "--init", "missing.safetensors"])
    assert done.exit_code == 2
    assert "missing.safetensors: no such file" in done.output

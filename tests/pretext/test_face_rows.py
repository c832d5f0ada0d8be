"""Rows of faces: the face that is found, or no row; and training sees the tensors that scoring sees."""

import numpy as np
import pytest
import torch
from PIL import Image

from cameraborn.data.manifest import Row, read_manifest, sha256_of, write_manifest
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.observe import Observer
from cameraborn.detect.schema import BundleInfo, Network, Preprocessing
from cameraborn.errors import ManifestError
from cameraborn.photo.decode import open_picture
from cameraborn.photo.faces import FaceFinder
from cameraborn.pretext.face_dataset import FaceDataset
from cameraborn.pretext.face_rows import with_faces
from cameraborn.pretext.objective import PretextObjective
from cameraborn.pretext.recipe import FaceSection
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.loop import train
from cameraborn.train.onnx import to_onnx
from cameraborn.train.pictures import MemoryBudget
from cameraborn.train.processes import Processes
from cameraborn.train.run_folder import read_record
from tests.conftest import EXAMPLES

from .test_objective import face_recipe

SIDE = 64


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A face in the corner of a large picture, a face that its picture cuts off, and roses without a face."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    with Image.open(EXAMPLES / "photo-1.jpg") as opened:
        portrait = opened.convert("RGB")
    scene = Image.fromarray(rng.integers(90, 140, (600, 800, 3), np.uint8))
    scene.paste(portrait.resize((240, 240)), (520, 330))
    scene.save(folder / "corner.png")
    whole = portrait.resize((400, 400))
    _, _, x1, y1 = FaceFinder().find(np.asarray(whole))[0].box
    whole.crop((0, 0, int(x1), int(y1))).save(folder / "cut.png")
    Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8)).save(folder / "roses.png")
    names = ("corner", "cut", "roses")
    return [
        Row(path=str(folder / f"{name}.png"), sha256=sha256_of(folder / f"{name}.png"), exif={"iso": 100.0})
        for name in names
    ]


def test_a_row_without_a_box_gets_that_of_its_face_or_is_left_out(rows):
    listed = rows[0].model_copy(update={"box": (1.0, 2.0, 3.0, 4.0)})
    found = with_faces([*rows, listed])
    assert [row.path for row in found] == [rows[0].path, rows[1].path, rows[0].path]
    for row in found[:2]:
        assert row.box == FaceFinder().find(open_picture(row.path).pixels)[0].box
    assert found[2] == listed


@pytest.fixture(scope="module")
def mirror_graph():
    """A network that gives back what it takes."""
    return to_onnx(torch.nn.Flatten(), "crop", SIDE)


def seen_in_scoring(row, graph, *, rule, antialias):
    """What a network is given when a picture is scored [3 S S]."""
    cut = Preprocessing(
        input="crop", crop_scale=1.3, crop_rule=rule, sides=(SIDE,), smallest_side=16, antialias=antialias
    )
    mirror = Network(
        file="network.onnx", description="the pixels themselves", features=3 * SIDE * SIDE, preprocessing=cut
    )
    info = BundleInfo(name="mirror", networks=(mirror,))
    bundle = Bundle.of_network(info, graph)
    (seen, *_) = Observer(bundle).observe(open_picture(row.path))
    return torch.from_numpy(seen.measured.feature).reshape(3, SIDE, SIDE)


@pytest.mark.parametrize("rule", ["square", "authors"])
@pytest.mark.parametrize("antialias", [True, False])
def test_training_sees_the_very_tensors_that_scoring_sees(rows, mirror_graph, rule, antialias):
    section = FaceSection(size=SIDE, crop=rule, antialias=antialias)
    found = with_faces(rows)
    made = FaceDataset(found, [TASKS["iso"]], faces=section, seed=0, budget=MemoryBudget(8))
    for index, row in enumerate(found):
        seen = seen_in_scoring(row, mirror_graph, rule=rule, antialias=antialias)
        apart = (made[0, index][0].float() - seen).abs()
        # Without antialiasing training uses OpenCV: a value that lies halfway is rounded up or down.
        assert apart.max() <= (0 if antialias else 1)
        assert (apart != 0).float().mean() < 2e-3


def test_a_run_leaves_out_what_shows_no_face_and_says_so(faces, rows, tmp_path):
    listed = list(read_manifest(faces))
    roses = rows[2].model_copy(update={"split": "train", "exif": listed[1].exif})
    write_manifest([*listed, roses], tmp_path / "m.jsonl")
    told = []
    train(PretextObjective, face_recipe(tmp_path / "m.jsonl", steps=1), tmp_path / "run", notice=told.append)
    assert told == [f"{tmp_path / 'm.jsonl'}: 1 photographs show no face and are left out"]
    seen = read_record(tmp_path / "run").seen
    assert roses.sha256 not in seen
    assert listed[1].sha256 in seen


def test_too_few_faces_is_one_line(rows, tmp_path):
    train_rows = [row.model_copy(update={"split": "train", "group": row.path}) for row in rows]
    write_manifest(train_rows, tmp_path / "m.jsonl")
    with pytest.raises(
        ManifestError, match=r"2 usable photographs in split 'train', as 1 show no face, \d+ are"
    ):
        train(PretextObjective, face_recipe(tmp_path / "m.jsonl", batch_size=4), tmp_path / "run")


@pytest.fixture
def stored(rows, tmp_path):
    """A face with three of its four variants on disk, each of a grey of its own, a face without, and a lone variant."""
    made = []
    for name, manipulation, grey in (
        ("7", "", 0),
        ("7_0", "mouth-vertical", 40),
        ("7_1", "mouth", 80),
        ("7_3", "affine", 120),
        ("8", "", 160),
        ("9_2", "eye", 200),
    ):
        path = tmp_path / f"{name}.png"
        Image.new("RGB", (100, 100), (grey, grey, grey)).save(path)
        made.append(
            Row(
                path=str(path),
                sha256=sha256_of(path),
                box=(10, 10, 90, 90),
                group="g",
                split="train",
                exif={"iso": 100.0},
                manipulation=manipulation,
            )
        )
    return made


def test_variants_on_disk_are_one_face_drawn_as_the_authors_draw_them(stored):
    section = FaceSection(size=SIDE)
    tasks = [TASKS["face"], TASKS["blades_fine"]]
    made = FaceDataset(stored, tasks, faces=section, seed=0, budget=MemoryBudget(8))
    assert len(made) == 3
    drawn = [made[epoch, 0] for epoch in range(800)]
    greys = [int(pixels[0, 0, 0]) for pixels, _ in drawn]
    # Half the time the original, and an eighth of the time that of the variant which is not there.
    expected = {0: 5 / 8, 40: 1 / 8, 80: 1 / 8, 120: 1 / 8}
    assert {grey: greys.count(grey) / 800 for grey in expected} == pytest.approx(expected, abs=0.05)
    assert sum(greys.count(grey) for grey in expected) == 800
    for (pixels, targets), grey in zip(drawn, greys, strict=True):
        assert torch.equal(pixels, torch.full_like(pixels, grey))  # as they are on disk
        assert targets[0] == float(grey > 0)
    assert {tuple(targets[1:].tolist()) for _, targets in drawn} == {(0, 0, 0), (1, 0, 0), (1, 1, 1)}
    assert made[0, 2][1].tolist()[0] == 1  # a variant whose original is not there stays what it is


def test_an_epoch_has_one_sample_a_face(stored, faces, tmp_path):
    listed = list(read_manifest(faces))
    write_manifest([*listed, *stored], tmp_path / "m.jsonl")
    recipe = face_recipe(tmp_path / "m.jsonl", steps=1)
    objective = PretextObjective(recipe, Processes(torch.device("cpu")))
    shown = {row.path for row in objective.rows}
    assert {row.path for row in stored} & shown == {stored[place].path for place in (0, 4, 5)}
    assert [row.path for row in objective.variants] == [stored[place].path for place in (1, 2, 3)]
    train(PretextObjective, recipe, tmp_path / "run")
    assert {row.sha256 for row in stored} <= set(read_record(tmp_path / "run").seen)

"""Faces as the network sees them: seeded for each sample, labelled by what was done to them and by nothing else."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from cameraborn.data.manifest import Row, read_manifest
from cameraborn.errors import ManifestError
from cameraborn.photo.crops import face_window
from cameraborn.photo.decode import open_picture
from cameraborn.photo.face_points import points_at
from cameraborn.photo.faces import FaceFinder, landmarks_68
from cameraborn.photo.patches import square_resize
from cameraborn.pretext.face_dataset import FaceCrops, FaceDataset, FaceValidation, moved
from cameraborn.pretext.face_rows import with_faces
from cameraborn.pretext.recipe import FaceSection
from cameraborn.pretext.tasks import TASKS
from cameraborn.pseudo.manipulate import ManipulationOptions, manipulate, round_trip
from cameraborn.train.pictures import EpochSampler, MemoryBudget

ALL = [TASKS["iso"], TASKS["face"]]
RANKING = [TASKS["iso"]]


@pytest.fixture(scope="module")
def rows(faces):
    """With the boxes of the faces that are found."""
    return with_faces(list(read_manifest(faces)))


@pytest.fixture
def wall(tmp_path):
    """A row whose box shows no face."""
    path = tmp_path / "wall.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)).save(path)
    return Row(path=str(path), sha256="0" * 64, box=(20, 10, 100, 90), exif={"iso": 100.0})


def dataset(rows, tasks=ALL, *, seed=3, cache_mb=64, **faces):
    section = FaceSection(**({"size": 64, "manipulation_side": 96} | faces))
    return FaceDataset(rows, tasks, faces=section, seed=seed, budget=MemoryBudget(cache_mb))


def as_seen(pixels, side=64, antialias=True):
    return torch.from_numpy(square_resize(pixels, side, antialias=antialias).transpose(2, 0, 1).copy())


def whole_crop(row, rule="square"):
    pixels = open_picture(row.path).pixels
    x0, y0, x1, y1 = face_window(*pixels.shape[1::-1], row.box, 1.3, rule)
    return pixels[y0:y1, x0:x1]


def test_a_sample_depends_on_seed_epoch_and_index_alone(rows):
    first, second = dataset(rows[:4]), dataset(rows[:4], cache_mb=0)
    keys = [(epoch, index) for epoch in range(3) for index in range(4)]
    forward = {key: first[key] for key in keys}
    backward = {key: second[key] for key in reversed(keys)}
    for key in keys:
        assert torch.equal(forward[key][0], backward[key][0])
        torch.testing.assert_close(forward[key][1], backward[key][1], equal_nan=True)
    assert forward[0, 0][0].shape == (3, 64, 64)
    assert forward[0, 0][0].dtype == torch.uint8
    other = dataset(rows[:4], seed=4)
    assert any(not torch.equal(other[key][0], forward[key][0]) for key in keys)


def test_workers_make_the_same_batches(rows):
    def batches(workers):
        sampler = EpochSampler(6, 3, batches=4, first=0, seed=1)
        return list(DataLoader(dataset(rows[:6]), batch_sampler=sampler, num_workers=workers))

    for (faces, targets), (others, other_targets) in zip(batches(0), batches(1), strict=True):
        assert torch.equal(faces, others)
        torch.testing.assert_close(targets, other_targets, equal_nan=True)


@pytest.mark.parametrize("matched", [False, True])
def test_the_label_says_what_was_done(rows, matched):
    made = dataset(rows[1:2], match_resampling=matched)
    crop = square_resize(whole_crop(rows[1]), 64)  # larger ones are shrunk at once
    original = as_seen(round_trip(crop, 96) if matched else crop)
    samples = [made[epoch, 0] for epoch in range(60)]
    labels = [float(target[1]) for _, target in samples]
    assert 15 < sum(labels) < 45
    for pixels, target in samples:
        assert torch.equal(pixels, original) == (target[1] == 0)
        assert target[0] == rows[1].exif["iso"]  # a manipulated face keeps its photograph's tags


def test_without_a_manipulation_task_nothing_is_touched(rows):
    made = dataset(rows[:2], RANKING)
    for epoch in range(8):
        assert torch.equal(made[epoch, 1][0], as_seen(whole_crop(rows[1])))
    assert math.isnan(made[0, 0][1][0])  # the first row has no EXIF


def test_a_box_without_a_face_says_nothing_of_manipulation(wall):
    made = dataset([wall])
    targets = torch.stack([made[epoch, 0][1] for epoch in range(12)])
    assert (targets[:, 0] == 100).all()
    assert torch.isnan(targets[:, 1]).all()


@pytest.mark.parametrize(("rule", "antialias"), [("square", True), ("authors", False)])
def test_the_crop_is_around_the_box(rows, rule, antialias):
    row = rows[1].model_copy(update={"box": (50.0, 40.0, 110.0, 120.0)})
    made = dataset([row], RANKING, crop=rule, antialias=antialias)
    apart = made[0, 0][0].int() - as_seen(whole_crop(row, rule), antialias=antialias).int()
    # Without antialiasing training and scoring resize in two ways: a value that lies halfway is rounded up or down.
    assert apart.abs().max() <= (0 if antialias else 1)
    assert (apart != 0).float().mean() < 2e-3
    assert whole_crop(row, rule).shape == (104, 104, 3)


def test_landmarks_lie_in_the_crop(rows):
    pixels = open_picture(rows[1].path).pixels
    finder = FaceFinder()
    face = finder.find(pixels)[0]
    row = rows[1].model_copy(update={"box": face.box})
    expected = landmarks_68(finder.landmarks(pixels, face))
    x0, y0, x1, _ = face_window(160, 160, face.box, 1.3, "square")
    for budget in (0, 64):
        for size, scale in ((224, 1.0), (32, 32 / (x1 - x0))):
            crops = FaceCrops([row], FaceSection(size=size), landmarks=True, budget=MemoryBudget(budget))
            for _ in range(2):
                np.testing.assert_allclose(crops[0][1] / scale + [x0, y0], expected, atol=1e-3)
    assert FaceCrops([row], FaceSection(), landmarks=False, budget=MemoryBudget(64))[0][1] is None


def test_landmarks_of_the_row_come_first(rows):
    points = tuple((float(i), float(2 * i)) for i in range(68))
    row = rows[1].model_copy(update={"landmarks": points, "box": (50.0, 40.0, 110.0, 120.0)})
    x0, y0, _, _ = face_window(160, 160, row.box, 1.3, "square")
    crops = FaceCrops([row], FaceSection(), landmarks=True, budget=MemoryBudget(0))
    assert crops[0][1].tolist() == [[x - x0, y - y0] for x, y in points]


def test_what_was_manipulated_on_disk_stays_as_it_is(rows):
    made = dataset([rows[1].model_copy(update={"manipulation": "eye"})])
    for epoch in range(6):
        pixels, targets = made[epoch, 0]
        assert torch.equal(pixels, as_seen(whole_crop(rows[1])))
        assert targets.tolist() == [rows[1].exif["iso"], 1.0]


def test_flips_and_conditions(rows):
    row, crop = rows[1:2], square_resize(whole_crop(rows[1]), 64)
    flipped = dataset(row, RANKING, flip=True)
    assert {torch.equal(flipped[epoch, 0][0], as_seen(crop)) for epoch in range(16)} == {True, False}
    assert any(torch.equal(flipped[epoch, 0][0], as_seen(crop[:, ::-1])) for epoch in range(16))
    delivered = dataset(row, RANKING, postprocess_probability=1.0)
    assert len({delivered[epoch, 0][0].numpy().tobytes() for epoch in range(8)}) > 4


def test_the_cache_keeps_its_budget(rows):
    rows = 2 * rows
    crops = FaceCrops(rows, FaceSection(), landmarks=False, budget=MemoryBudget(1))
    assert 0 < sum(crop.nbytes for crop in crops._crops._kept.values()) <= 2**20
    assert len(crops._crops._kept) < len(rows)


def test_a_whole_picture_is_never_taken_for_a_face(rows):
    with pytest.raises(ManifestError, match=r"01\.png: the row has no box of a face"):
        dataset([rows[1].model_copy(update={"box": None})], RANKING)[0, 0]


def test_validation_shows_each_face_in_each_manipulation_always_the_same(rows, wall):
    section = FaceSection(size=64, manipulation_side=96)
    shown = FaceValidation([rows[1], wall], ALL, faces=section, seed=3, budget=MemoryBudget(64))
    made = shown.batches(workers=0)
    (inputs, targets, names), (again, _, _) = next(iter(made)), next(iter(made))
    assert names == ["portrait", "mouth-vertical", "mouth", "eye", "affine", "all"]
    assert torch.equal(inputs, again)
    assert targets[:, 1].tolist()[:5] == [0, 1, 1, 1, 1]
    assert torch.isfinite(targets[:, 0]).tolist() == [True, False, False, False, False, True]
    assert math.isnan(targets[5, 1])
    whole, crop = open_picture(rows[1].path).pixels, square_resize(whole_crop(rows[1]), 64)
    x0, y0, x1, _ = face_window(160, 160, rows[1].box, 1.3, "square")
    landmarks = (points_at(FaceFinder(), whole, rows[1].box) - np.float32([x0, y0])) * (64 / (x1 - x0))
    rng = np.random.default_rng([3, 0, 3])
    options = ManipulationOptions(side=96, match_resampling=True)
    assert torch.equal(inputs[3], as_seen(manipulate(crop, landmarks, "eye", rng, options)))


def test_a_moved_crop_is_a_window_and_takes_its_landmarks_along():
    rng = np.random.default_rng(0)
    crop = np.random.default_rng(1).integers(
        0, 256, (130, 156, 3), np.uint8
    )  # of 100 x 120 pixels, with a margin
    points = rng.uniform(40, 90, (68, 2)).astype(np.float32)
    sizes, middles = [], []
    for _ in range(300):
        window, placed = moved(crop, points, 0.15, rng)
        x, y = np.round(points[0] - placed[0]).astype(int)
        np.testing.assert_array_equal(window, crop[y : y + window.shape[0], x : x + window.shape[1]])
        np.testing.assert_allclose(points - placed, [[x, y]] * 68, atol=1e-4)
        sizes.append(window.shape[:2])
        middles.append((y + window.shape[0] / 2 - 65, x + window.shape[1] / 2 - 78))
    down, across = np.array(sizes).T
    assert (down.min(), down.max(), across.min(), across.max()) == (85, 115, 102, 138)
    assert (np.abs(middles) <= [7.5 + 1, 9 + 1]).all()
    assert (np.abs(middles).max(axis=0) > [6, 7]).all()
    window, none = moved(crop, None, 0.0, rng)
    np.testing.assert_array_equal(window, crop)
    assert none is None


def test_crops_are_moved_in_training_alone(rows):
    still, moving = dataset(rows[1:2], RANKING), dataset(rows[1:2], RANKING, crop_jitter=0.15)
    assert len({still[epoch, 0][0].numpy().tobytes() for epoch in range(4)}) == 1
    assert len({moving[epoch, 0][0].numpy().tobytes() for epoch in range(4)}) == 4
    assert torch.equal(moving[2, 0][0], moving[2, 0][0])
    section = {"size": 64, "manipulation_side": 96}
    shown = [
        FaceValidation(rows[1:2], ALL, faces=FaceSection(**section, **more), seed=3, budget=MemoryBudget(64))[
            0
        ][0]
        for more in ({}, {"crop_jitter": 0.15})
    ]
    assert torch.equal(*shown)
    assert len(shown[0]) > 1  # with its manipulations


def test_landmarks_stay_on_the_face_when_a_crop_is_moved_and_shrunk(rows):
    made = dataset(rows[1:2], crop_jitter=0.15, size=32)
    crop, points = made.crops[0]
    x = np.arange(crop.shape[1], dtype=np.float32)
    ramp = np.broadcast_to(x[None, :, None], crop.shape).astype(np.uint8)
    made.crops._crops._kept[0] = ramp
    for epoch in range(5):
        window, placed = made._crop(0, np.random.default_rng(epoch))
        assert window.shape == (32, 32, 3)
        # Where a landmark lies, the ramp still tells the column that it lay at.
        for (px, _), (qx, _) in zip(points, placed, strict=True):
            if 1 <= qx - 0.5 <= 30:
                low, share = divmod(qx - 0.5, 1)
                told = window[16, int(low), 0] * (1 - share) + window[16, int(low) + 1, 0] * share
                assert abs(told - (px - 0.5)) < 1.5

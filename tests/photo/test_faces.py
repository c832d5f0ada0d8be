"""Faces: the networks against LiteRT, then finding, landmarks and crops on the pictures in examples/."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameraborn.errors import PictureError
from cameraborn.photo import faces
from cameraborn.photo.crops import square_crop
from cameraborn.photo.faces import Face, FaceFinder, landmarks_68

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "data" / "face_parity.npz"
PORTRAITS = [f"photo-{number}.jpg" for number in range(1, 6)]


@pytest.fixture(scope="module")
def finder():
    return FaceFinder()


def portrait(name):
    with Image.open(ROOT / "tests" / "pictures" / name) as opened:
        return opened.convert("RGB")


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def backdrop(width, height, seed=0):
    """A landscape of sorts: sky, ground, ripples and sensor noise."""
    y, x = np.mgrid[:height, :width]
    base = np.stack([90 + 60 * y / height, 100 + 50 * x / width, 120 + 20 * np.sin(x / 90)], axis=2)
    noise = np.random.default_rng(seed).normal(0, 6, (height, width, 1))
    return np.clip(base + noise, 0, 255).astype(np.uint8)


def formula_pixels(size):
    """The same integer formula as in tools/convert_face_models.py."""
    y, x, c = np.ogrid[:size, :size, :3]
    return ((7 * y + 3 * (c + 1) * x + x * y // 5) % 256).astype(np.uint8)


@pytest.mark.parametrize("label", ["formula", "picture"])
@pytest.mark.parametrize("name", ["face_full_range", "face_short_range", "face_landmarks"])
def test_networks_say_what_litert_says(finder, name, label):
    session = finder._session(name)
    entry = session.get_inputs()[0]
    size = entry.shape[1]
    with np.load(GOLDEN, allow_pickle=False) as golden:
        pixels = golden["picture"].repeat(size // 64, axis=0).repeat(size // 64, axis=1)
        pixels = pixels if label == "picture" else formula_pixels(size)
        unit = pixels.astype(np.float32) / 255
        outputs = session.run(None, {entry.name: (unit if name == "face_landmarks" else unit * 2 - 1)[None]})
        # measured 2e-4 px and 4e-4 in logits that go down to -240; the rest is for other processors
        if name == "face_landmarks":
            points = golden[f"{name}_{label}_points"]
            np.testing.assert_allclose(outputs[0].reshape(478, 3), points, atol=1e-3, rtol=0)
        else:
            boxes, scores = golden[f"{name}_{label}_boxes"], golden[f"{name}_{label}_scores"]
            np.testing.assert_allclose(outputs[0][0, ::8], boxes, atol=1e-3, rtol=0)
            np.testing.assert_allclose(outputs[1][0, :, 0], scores, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", PORTRAITS)
def test_a_portrait_has_one_face_around_its_eyes_and_mouth(finder, name):
    pixels = np.asarray(portrait(name))
    (face,) = finder.find(pixels)
    x0, y0, x1, y1 = face.box
    assert face.confidence > 0.7
    assert x1 - x0 == pytest.approx(y1 - y0, rel=0.05)
    points = landmarks_68(finder.landmarks(pixels, face))
    inner = points[17:]  # all but the jaw
    assert (inner > [x0, y0 - 0.1 * (y1 - y0)]).all()
    assert (inner < [x1, y1]).all()


@pytest.mark.parametrize("scale", [1.0, 1.3])
@pytest.mark.parametrize("size", [112, 256, 1024, 4000])
def test_a_tight_crop_of_any_size_is_one_face(finder, size, scale):
    for name in PORTRAITS[:3]:
        image = portrait(name)
        box = finder.find(np.asarray(image))[0].box
        half = (box[2] - box[0]) * scale / 2
        x, y = (box[0] + box[2]) / 2 - half, (box[1] + box[3]) / 2 - half
        crop = image.resize((size, size), Image.Resampling.BICUBIC, box=(x, y, x + 2 * half, y + 2 * half))
        magnified = size / (2 * half)
        wanted = [(value - start) * magnified for value, start in zip(box, (x, y, x, y), strict=True)]
        (face,) = finder.find(np.asarray(crop))
        assert iou(face.box, wanted) >= 0.5, name


@pytest.mark.parametrize("side", [60, 150, 260])
def test_every_face_of_a_12_megapixel_group_is_found_once(finder, side):
    canvas, wanted = Image.fromarray(backdrop(4000, 3000)), []
    for place in range(20):
        image = portrait(PORTRAITS[place % 5])
        box = finder.find(np.asarray(image))[0].box
        size = round(320 * side / (box[2] - box[0]))
        x, y = 37 + 790 * (place % 5) + 3 * place, 19 + 740 * (place // 5) + place
        canvas.paste(image.resize((size, size), Image.Resampling.BICUBIC), (x, y))
        wanted.append([v * size / 320 + start for v, start in zip(box, (x, y, x, y), strict=True)])
    found = finder.find(np.asarray(canvas))
    assert len(found) == len(wanted)
    assert all(any(iou(face.box, box) >= 0.5 for face in found) for box in wanted)


def test_larger_faces_come_first_then_left_to_right(finder):
    canvas = Image.fromarray(backdrop(1600, 1200))
    for size, place in ((500, (20, 30)), (250, (1200, 40)), (250, (700, 500)), (250, (100, 800))):
        canvas.paste(portrait(PORTRAITS[0]).resize((size, size)), place)
    found = finder.find(np.asarray(canvas))
    sides = [face.box[2] - face.box[0] for face in found]
    assert len(found) == 4
    assert sides == sorted(sides, reverse=True)
    assert found == finder.find(np.asarray(canvas))


def empty_pictures():
    rng = np.random.default_rng(2)
    yield "noise", rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
    yield "landscape", backdrop(1600, 1200)
    yield (
        "gradient",
        np.broadcast_to(np.arange(300, dtype=np.uint16)[:, None, None] * 255 // 299, (300, 400, 3)),
    )
    yield "black", np.zeros((256, 256, 3))
    yield "one pixel", np.full((1, 1, 3), 200)
    yield "a line", np.full((1, 3000, 3), 90)


@pytest.mark.parametrize(("name", "pixels"), list(empty_pictures()))
def test_a_picture_without_faces_has_none(finder, name, pixels):
    assert finder.find(pixels.astype(np.uint8)) == []


def test_landmarks_are_given_up_where_there_is_no_face(finder):
    pixels = np.asarray(portrait("photo-1.jpg"))
    face = finder.find(pixels)[0]
    assert (finder.landmarks_if_sure(pixels, face) == finder.landmarks(pixels, face)).all()
    assert finder.landmarks_if_sure(backdrop(320, 320), face) is None
    assert finder.landmarks_if_sure(np.rot90(pixels, 2), Face((90, 90, 230, 230), 0.9)) is None


def test_landmarks_follow_a_turned_and_magnified_face(finder):
    image = portrait(PORTRAITS[0])
    (face,) = finder.find(np.asarray(image))
    points = finder.landmarks(np.asarray(image), face)
    eyes = np.linalg.norm(points[263] - points[33])
    larger = image.resize((1920, 1920), Image.Resampling.BICUBIC)
    magnified = finder.landmarks(np.asarray(larger), Face(tuple(6 * v for v in face.box), 0.9))
    assert np.abs(magnified / 6 - points).mean() < 0.03 * eyes
    centre = np.array([(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2])
    for degrees in (-25, 25):
        angle = math.radians(degrees)
        turned = image.rotate(degrees, Image.Resampling.BICUBIC, center=tuple(centre))
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        wanted = (points - centre) @ turn.T + centre
        assert np.abs(finder.landmarks(np.asarray(turned), face) - wanted).mean() < 0.03 * eyes


def test_the_68_points_are_in_the_order_of_300w(finder):
    pixels = np.asarray(portrait(PORTRAITS[0]))
    points = landmarks_68(finder.landmarks(pixels, finder.find(pixels)[0]))
    assert points.shape == (68, 2)
    assert len(set(faces.INDEX_68)) == 68
    jaw, left_eye, right_eye, mouth = points[:17], points[36:42], points[42:48], points[48:68]
    assert jaw[:, 1].argmax() in (7, 8, 9)
    assert jaw[0, 0] < left_eye[0, 0] < left_eye[3, 0] < right_eye[0, 0] < right_eye[3, 0] < jaw[16, 0]
    assert (points[17:27, 1].mean() < left_eye[:, 1].mean() < points[30, 1] < mouth[:, 1].mean()) == np.True_
    assert (np.diff(points[27:31, 1]) > 0).all()
    for eye in (left_eye, right_eye):
        assert eye[1:3, 1].mean() < eye[4:6, 1].mean()
    assert mouth[0, 0] < mouth[3, 0] < mouth[6, 0]
    assert mouth[3, 1] < mouth[14, 1] <= mouth[18, 1] + 1 < mouth[9, 1] + 1


def test_threads_share_a_finder():
    pictures = [np.asarray(portrait(name)) for name in PORTRAITS] * 2
    expected = [FaceFinder().find(pixels) for pixels in pictures]
    shared = FaceFinder(threads=1)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(shared.find, pictures)) == expected


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_not_a_colour_picture_is_refused(finder, pixels):
    with pytest.raises(PictureError, match="RGB"):
        finder.find(pixels)
    with pytest.raises(PictureError, match="RGB"):
        square_crop(pixels, (0, 0, 4, 4), 1.0)

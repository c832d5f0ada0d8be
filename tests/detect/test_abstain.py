"""Pictures that are not judged: damaged files, high dynamic range, what is hardly a face; and frames of animations."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import cameraborn
from cameraborn.detect.abstain import SURE_FACE
from cameraborn.detect.detector import Detector
from cameraborn.detect.explain import explain
from cameraborn.errors import PictureError
from cameraborn.fit.photographs import Photograph
from cameraborn.fit.views import ViewOptions
from cameraborn.photo.decode import heic_available, open_picture
from cameraborn.photo.jpeg_parts import jpeg_parts

from ..conftest import EXAMPLES, encoded, viewed
from ..photo.test_declared_colours import cicp, png

PHOTO = EXAMPLES / "photo-1.jpg"
ZEROS = "a long run of one byte stands where compressed data should be"


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle)


@pytest.fixture(scope="module")
def portrait():
    with Image.open(PHOTO) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def doubtful(detector, portrait):
    """The portrait with grey over eyes and nose: something is found, and it may well be no face."""
    pixels = np.array(portrait)
    (face,) = detector.observer.faces.find(pixels)
    pixels[: round(0.35 * face.box[1] + 0.65 * face.box[3])] = 128
    return pixels


def overwritten(data, share):
    """Zeros for 300 bytes, from this share of a JPEG's compressed data on."""
    scan = jpeg_parts(data).scans[0]
    at = scan.start + int(share * (scan.end - scan.start))
    return data[:at] + bytes(300) + data[at + 300 :]


def only(verdicts):
    (verdict,) = verdicts
    return verdict


def abstains(verdict, scope):
    assert (verdict.scope, verdict.p_value, verdict.flagged, verdict.decided_by) == (scope, None, None, None)
    assert all(said.p_value is None for said in verdict.evidence.values())


def animation(format, *shown, **options):
    stream = io.BytesIO()
    shown[0].save(stream, format, save_all=True, append_images=shown[1:], **options)
    return stream.getvalue()


def test_a_face_whose_file_is_damaged_is_not_judged(detector):
    verdict = only(detector.score(overwritten(PHOTO.read_bytes(), 0.4)))
    abstains(verdict, "damaged")
    assert np.isfinite(verdict.score)
    assert ZEROS in verdict.notes
    assert ZEROS in json.loads(json.dumps(verdict.to_mapping()))["notes"].split("; ")


def test_damage_beside_the_face_is_noted_and_the_face_is_judged(detector, portrait):
    wide = Image.new("RGB", (320, 640), "white")
    wide.paste(portrait)
    rng = np.random.default_rng(0)
    wide.paste(Image.fromarray(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)), (0, 400))
    verdict = only(detector.score(overwritten(encoded(np.asarray(wide), quality=90), 0.9)))
    assert verdict.scope == "ok"
    assert verdict.p_value is not None
    assert ZEROS in verdict.notes


def test_a_jpeg_that_lacks_its_last_two_bytes_is_judged_as_if_it_had_them(detector):
    whole, cut = (only(detector.score(data)) for data in (PHOTO.read_bytes(), PHOTO.read_bytes()[:-2]))
    assert (cut.scope, cut.score, cut.p_value) == ("ok", whole.score, whole.p_value)
    assert cut.notes == ("the end marker of the JPEG is missing",)
    assert whole.notes == ()


def test_a_damaged_picture_without_a_face_may_have_had_one(detector):
    grey = encoded(np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8))
    assert only(detector.score(grey)).scope == "no-face"
    abstains(only(detector.score(overwritten(grey, 0.2))), "damaged")


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_not_judged(detector, portrait, transfer, name):
    verdict = only(detector.score(png(cicp(9, transfer), image=portrait)))
    abstains(verdict, "hdr")
    assert verdict.notes == (f"the picture has high dynamic range ({name})",)


def test_a_row_says_how_sure_the_finder_is(detector, portrait):
    verdict = only(detector.score(PHOTO))
    (face,) = detector.observer.faces.find(np.asarray(portrait))
    assert verdict.face_confidence == detector.observer.faces.second_look(np.asarray(portrait), face)
    assert SURE_FACE < verdict.face_confidence < 1
    assert only(detector.score(PHOTO, whole_image=True)).face_confidence is None


def test_a_doubtful_face_is_not_judged(detector, doubtful):
    verdict = detector.score(doubtful)[0]
    abstains(verdict, "doubtful-face")
    assert 0 <= verdict.face_confidence < SURE_FACE


def test_nothing_is_learnt_from_what_is_not_judged(network_bundle, doubtful, tmp_path):
    (tmp_path / "damaged.jpg").write_bytes(overwritten(PHOTO.read_bytes(), 0.4))
    (tmp_path / "doubtful.png").write_bytes(encoded(doubtful, "PNG"))
    (tmp_path / "sound.jpg").write_bytes(PHOTO.read_bytes())
    photographs = [Photograph(str(path), "here") for path in sorted(tmp_path.iterdir())]
    for faceless in (False, True):
        views = viewed(network_bundle, photographs, ViewOptions(copies=0, jobs=1, faceless=faceless))
        learnt = {view.photograph.path for view in views}
        assert str(tmp_path / "sound.jpg") in learnt
        assert str(tmp_path / "damaged.jpg") not in learnt
        assert (
            str(tmp_path / "doubtful.png") in learnt
        ) == faceless  # its middle is a photograph all the same


@pytest.mark.parametrize(("format", "options"), [("WEBP", {"lossless": True}), ("PNG", {}), ("GIF", {})])
def test_an_animation_is_judged_by_the_first_frame_that_shows_a_face(detector, portrait, format, options):
    blank = Image.new("RGB", portrait.size, "white")
    verdict = only(detector.score(animation(format, blank, portrait, blank, **options)))
    assert verdict.notes == ("judged by frame 1 of the animation, counted from 0",)
    assert verdict.scope == "ok"
    still = only(detector.score(portrait))
    if format != "GIF":  # which has 256 colours
        assert (verdict.score, verdict.box) == (still.score, still.box)
    assert still.notes == ()


def test_an_animation_that_begins_with_a_face_or_has_none(detector, portrait):
    blank = Image.new("RGB", portrait.size, "white")
    assert only(detector.score(animation("PNG", portrait, blank))).notes[0].startswith("judged by frame 0 ")
    assert only(detector.score(animation("PNG", blank, blank.rotate(90), portrait), whole_image=True)).notes
    verdict = only(detector.score(animation("GIF", blank, Image.new("RGB", portrait.size, "black"))))
    assert verdict.scope == "no-face"
    assert verdict.notes[0].startswith("judged by frame 0 ")


def test_a_long_animation_says_how_many_frames_were_looked_at(detector, portrait):
    blanks = [Image.new("RGB", (64, 64), (shade, shade, 255)) for shade in range(0, 240, 10)]
    (verdict,) = detector.score(animation("GIF", *blanks))
    note = "judged by frame 0 of the animation, counted from 0; 20 of the first 23 were looked at"
    assert verdict.notes == (note,)
    found = animation("PNG", *(one.resize(portrait.size) for one in blanks[:18]), portrait)
    note = "judged by frame 18 of the animation, counted from 0; 18 of the first 19 were looked at"
    assert only(detector.score(found)).notes == (note,)


def test_a_sure_face_goes_before_a_doubtful_one(detector, portrait, doubtful):
    data = animation("PNG", Image.fromarray(doubtful), portrait)
    assert detector.score(data)[0].notes[0].startswith("judged by frame 1 ")
    alone = animation("PNG", Image.new("RGB", portrait.size), Image.fromarray(doubtful))
    verdict = detector.score(alone)[0]
    abstains(verdict, "doubtful-face")
    assert verdict.notes[0].startswith("judged by frame 1 ")


def test_an_explanation_is_of_the_frame_that_was_judged(detector, portrait):
    data = animation("PNG", Image.new("RGB", portrait.size, "white"), portrait)
    explanation = explain(detector, data)
    np.testing.assert_array_equal(explanation.picture, np.asarray(portrait))
    assert explanation.verdict.notes == ("judged by frame 1 of the animation, counted from 0",)


def test_stills_are_no_animations(portrait):
    for format in ("PNG", "WEBP", "GIF", "JPEG"):
        assert open_picture(encoded(np.asarray(portrait), format)).frame is None


def test_half_a_png_is_refused(detector):
    data = (EXAMPLES / "photo-2.jpg").read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        half = encoded(np.asarray(image.convert("RGB")), "PNG")
    half = half[: len(half) // 2]
    assert only(Detector(detector.bundle).score(half)).scope == "unreadable"
    with pytest.raises(PictureError, match="truncated PNG"):
        open_picture(half)


@pytest.mark.skipif(not heic_available(), reason="pillow-heif is not installed")
def test_later_pictures_of_a_heic_are_told_of(detector, portrait):
    from pillow_heif import from_pillow

    stored = from_pillow(Image.new("RGB", portrait.size, "white"))
    stream = io.BytesIO()
    stored.add_from_pillow(portrait)
    stored.save(stream, primary_index=0)
    verdict = only(detector.score(stream.getvalue()))
    assert verdict.scope == "no-face"
    assert verdict.notes == ("one picture of the file was judged, and not the others",)


def test_jpegs_that_follow_the_first_are_told_of(detector, portrait):
    stream = io.BytesIO()
    portrait.copy().save(stream, "JPEG")  # which leaves settings in a picture, for TIFFs too
    one = stream.getvalue()
    note = "one picture of the file was judged, and not the others"
    assert note in only(detector.score(one + one)).notes
    assert note not in only(detector.score(one)).notes
    assert note not in only(detector.score(one + b"what a phone appends")).notes
    stream = io.BytesIO()  # an MPO's other pictures are its own: previews, depths, gains
    portrait.copy().save(stream, "MPO", save_all=True, append_images=[portrait.copy()])
    assert note not in only(detector.score(stream.getvalue())).notes


def test_later_pages_of_a_tiff_are_told_of(detector, portrait):
    stream = io.BytesIO()
    blank = Image.new("RGB", portrait.size, "white")
    blank.save(stream, "TIFF", save_all=True, append_images=[portrait])
    verdict = only(detector.score(stream.getvalue()))
    assert verdict.scope == "no-face"  # pages are other pictures
    assert verdict.notes == ("one picture of the file was judged, and not the others",)
    stream = io.BytesIO()
    portrait.save(stream, "TIFF")
    assert only(detector.score(stream.getvalue())).notes == ()

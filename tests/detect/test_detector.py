"""The detector: every kind of input, every scope, order and laziness of many, and the golden pictures."""

import io
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

import cameraborn
from cameraborn.degrade.residual_statistics import noise_of, residual_statistics
from cameraborn.detect.bundle import Bundle
from cameraborn.detect.condition import Condition
from cameraborn.detect.conformal import benjamini_hochberg
from cameraborn.detect.detector import Detector, control_discoveries
from cameraborn.detect.evidence.pseudo_fake import PseudoFakeClassifier
from cameraborn.detect.golden import GOLDEN_NAMES, golden_picture
from cameraborn.detect.store import read_bundle, write_bundle
from cameraborn.detect.verdict import Verdict
from cameraborn.engine.local import map_in_order
from cameraborn.engine.stage import Call
from cameraborn.errors import BundleError, CalibrationError, EngineError
from cameraborn.fit.calibrate import calibrate
from cameraborn.fit.density import fit
from cameraborn.fit.views import ViewOptions
from cameraborn.photo.crops import square_crop
from cameraborn.photo.decode import open_picture
from cameraborn.photo.patches import shrink_to

from ..conftest import EXAMPLES, FEATURES, encoded
from ..photo.test_alignment import aligned as aligned_as_ffhq

PHOTO = EXAMPLES / "photo-1.jpg"


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    return cameraborn.load(tiny_bundle)


@pytest.fixture(scope="module")
def pixels():
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB"))


def only(verdicts):
    (verdict,) = verdicts
    return verdict


def scene(width, height):
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, (x + y) // 3 % 256], axis=2).astype(np.uint8)


SOURCES = {
    "str": str,
    "path": lambda path: path,
    "bytes": lambda path: path.read_bytes(),
    "stream": lambda path: io.BytesIO(path.read_bytes()),
    "pillow": lambda path: Image.open(io.BytesIO(path.read_bytes())),
    "array": lambda path: np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB")),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_input_gives_the_same_score(detector, kind):
    expected = only(detector.score(PHOTO))
    got = only(detector.score(SOURCES[kind](PHOTO)))
    assert expected.scope == "ok"
    assert (got.score, got.p_value, got.flagged, got.box) == (
        expected.score,
        expected.p_value,
        expected.flagged,
        expected.box,
    )
    assert only(detector.score(SOURCES[kind](PHOTO), name="ann")).path == "ann"


def test_an_open_file_is_called_by_its_name(detector):
    with PHOTO.open("rb") as file:
        assert only(detector.score(file)).path == str(PHOTO)


def test_a_verdict_says_what_it_rests_on(detector, pixels, tiny_bundle):
    verdict = only(detector.score(PHOTO, false_alarm_rate=0.25))
    (calibration,) = read_bundle(tiny_bundle).calibration.scores  # too few for more than one class
    crop = square_crop(pixels, verdict.box, 1.3)
    assert verdict.score == detector.score_crop(crop)
    assert verdict.p_value == (1 + (calibration >= verdict.score).sum()) / (len(calibration) + 1)
    assert verdict.flagged == (verdict.p_value <= 0.25)
    assert (verdict.width, verdict.height, verdict.face, verdict.error) == (320, 320, 0, None)
    assert verdict.bundle == "tiny"
    assert Verdict(**json.loads(json.dumps(verdict.to_mapping()))).score == verdict.score


def test_flagged_is_at_or_under_the_rate(detector):
    scored = {photo: only(detector.score(photo)).p_value for photo in sorted(EXAMPLES.glob("photo-*.jpg"))}
    photo, p = min(scored.items(), key=lambda item: item[1])  # a rate must be under 1, a p-value need not
    assert only(detector.score(photo, false_alarm_rate=p)).flagged is True
    assert only(detector.score(photo, false_alarm_rate=float(np.nextafter(p, 0)))).flagged is False


def abstains(verdict, scope):
    assert verdict.scope == scope
    assert verdict.flagged is None
    assert verdict.p_value is None


def test_no_face(detector):
    verdict = only(detector.score(scene(300, 200)))
    abstains(verdict, "no-face")
    assert (verdict.width, verdict.height, verdict.face, verdict.box) == (300, 200, None, None)


def test_too_small_a_face(detector, pixels):
    verdict = only(detector.score(np.asarray(Image.fromarray(pixels).resize((72, 72)))))
    abstains(verdict, "too-small")
    assert verdict.face == 0
    assert verdict.box is not None


def test_beyond_the_calibration_without_colour(detector, pixels):
    assert detector.bundle.info.coverage.colour
    grey = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
    verdict = only(detector.score(grey))
    abstains(verdict, "beyond-calibration")
    assert np.isfinite(verdict.score)


def test_beyond_the_calibration_in_jpeg_quality(detector, pixels):
    lowest, _ = detector.bundle.info.coverage.jpeg_quality
    assert only(detector.score(encoded(pixels, quality=lowest))).scope == "ok"
    abstains(only(detector.score(encoded(pixels, quality=lowest - 1))), "beyond-calibration")


@pytest.mark.parametrize("data", [b"", b"not a picture", encoded(scene(99, 99))[:700]])
def test_unreadable(detector, data):
    verdict = only(detector.score(data, name="upload 7"))
    abstains(verdict, "unreadable")
    assert "upload 7" in verdict.error
    assert "\n" not in verdict.error
    assert verdict.score is verdict.width is verdict.face is None


def test_a_missing_file_is_unreadable(detector, tmp_path):
    abstains(only(detector.score(tmp_path / "none.jpg")), "unreadable")


def test_every_face_has_its_verdict(detector, pixels):
    with Image.open(EXAMPLES / "photo-2.jpg") as other:
        small = np.asarray(other.convert("RGB").resize((280, 280)))
    both = np.full((320, 640, 3), 128, np.uint8)
    both[:, :320] = pixels
    both[20:300, 340:620] = small
    verdicts = detector.score(both, name="two")
    assert [verdict.face for verdict in verdicts] == [0, 1]
    assert [verdict.path for verdict in verdicts] == ["two", "two"]
    sides = [max(v.box[2] - v.box[0], v.box[3] - v.box[1]) for v in verdicts]
    assert sides[0] >= sides[1]
    assert sorted((v.box[0] + v.box[2]) / 2 < 320 for v in verdicts) == [False, True]


def test_whole_image_looks_at_everything_but_faces_say_nothing_of_whole_pictures(detector, pixels):
    verdict = only(detector.score(PHOTO, whole_image=True))
    assert verdict.box == (0, 0, 320, 320)
    assert verdict.face is None
    assert verdict.score == detector.score_crop(pixels)
    abstains(verdict, "beyond-calibration")


def test_whole_pictures_of_a_bundle_for_them(network_bundle, photographs):
    options = ViewOptions(copies=2, jobs=1, whole_image=True)
    fitted = fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=options)
    detector = Detector(calibrate(fitted, photographs["calibration"][:8], options=options))
    rate = {"false_alarm_rate": 0.5}
    assert only(detector.score(scene(300, 200), whole_image=True, **rate)).scope == "ok"
    abstains(only(detector.score(PHOTO, **rate)), "beyond-calibration")


def test_p_values_are_of_the_pictures_own_category(network_bundle, photographs, pixels):
    options = ViewOptions(copies=6, jobs=1)
    fitted = fit(network_bundle, photographs["fit"], components=1, dimensions=4, options=options)
    bundle = calibrate(fitted, photographs["calibration"][:16], options=options, class_size=6)
    calibration = bundle.calibration
    assert len(calibration.taxonomy.categories) > 1
    detector = Detector(bundle)
    for data, quality in ((encoded(pixels, quality=95), 95), (encoded(pixels, "PNG"), None)):
        verdict = only(detector.score(data, false_alarm_rate=0.5))
        size = max(verdict.box[2] - verdict.box[0], verdict.box[3] - verdict.box[1])
        with Image.open(io.BytesIO(data)) as image:
            crop = detector.crop(np.asarray(image.convert("RGB")), verdict.box, whole_image=False)
        seen = residual_statistics(crop, shrink_to(crop, bundle.info.preprocessing.sides[0]))
        condition = Condition(size, quality, noise_of(seen), bundle.operation_classifier.operation_of(seen))
        among = calibration.scores[calibration.taxonomy.category_of(condition)]
        assert verdict.p_value == (1 + (among >= verdict.score).sum()) / (len(among) + 1)


def test_discoveries_are_controlled_over_the_set(detector):
    verdicts = list(detector.score_many([*sorted(EXAMPLES.glob("*.jpg")), b"nothing"], jobs=1))
    controlled = control_discoveries(verdicts, 0.5)
    expected = benjamini_hochberg([v.p_value for v in verdicts if v.p_value is not None], 0.5)
    assert [v.flagged for v in controlled if v.p_value is not None] == expected.tolist()
    assert controlled[-1] == verdicts[-1]
    with pytest.raises(CalibrationError, match="false-discovery rate of 2"):
        control_discoveries(verdicts, 2)


def test_an_aligned_face_gets_a_note_that_is_no_part_of_the_verdict(detector, pixels):
    finder = detector.observer.faces
    aligned = aligned_as_ffhq(finder, PHOTO, side=320)
    verdict = only(detector.score(aligned))
    assert "FFHQ" in only(verdict.notes)
    seen = only(detector.observe(open_picture(aligned)))
    score = float(detector.scores(seen.measured.feature[None])[0])
    assert verdict.score == score
    assert verdict.p_value == detector.calibration.p_value(score, seen.measured.condition)
    picture = open_picture(aligned)
    told = {"path": verdict.path, "false_alarm_rate": 0.05}
    assert detector.verdicts(picture, [seen], **told, face_notes=False) == [replace(verdict, notes=())]
    assert only(detector.score(pixels)).notes == ()
    assert only(detector.score(aligned, whole_image=True)).notes == ()


@pytest.mark.parametrize("jobs", [0, -1, "2"])
def test_many_pictures_by_no_number_of_jobs(detector, jobs):
    with pytest.raises(EngineError, match="give one from 1, or leave it out"):  # before the first verdict
        detector.score_many([PHOTO], jobs=jobs)


def test_a_rate_that_the_calibration_cannot_support(detector):
    with pytest.raises(CalibrationError, match="needs at least 999"):
        detector.score(PHOTO, false_alarm_rate=0.001)
    with pytest.raises(CalibrationError, match="needs at least 999"):
        next(detector.score_many([PHOTO], false_alarm_rate=0.001))


@pytest.mark.parametrize("jobs", [1, 4])
def test_many_keep_their_order(detector, jobs, tmp_path):
    paths = [*sorted(EXAMPLES.glob("*.jpg")), tmp_path / "missing.jpg", PHOTO] * 2
    verdicts = list(detector.score_many(paths, jobs=jobs))
    assert verdicts == [verdict for path in paths for verdict in detector.score(path)]


@pytest.mark.parametrize("jobs", [1, 4])
def test_many_are_taken_lazily(detector, jobs):
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield PHOTO

    verdicts = detector.score_many(endless(), jobs=jobs)
    assert asked == 0
    for count in range(1, 8):
        next(verdicts)
        assert count <= asked <= count + 2 * jobs
    verdicts.close()
    assert asked <= 7 + 2 * jobs


def test_golden_pictures_verify_and_a_tampered_score_does_not(tiny_bundle, tmp_path):
    cameraborn.load(tiny_bundle, verify=True)
    bundle = read_bundle(tiny_bundle)
    assert set(bundle.golden) == set(GOLDEN_NAMES)
    for name in GOLDEN_NAMES:
        golden = bundle.golden | {name: bundle.golden[name] * 1.01 + 0.1}
        write_bundle(bundle.with_golden(golden), tmp_path / "b")
        with pytest.raises(BundleError, match=f"golden picture {name} scores") as caught:
            cameraborn.load(tmp_path / "b", verify=True)
        assert str(tmp_path / "b") in str(caught.value)
        assert "\n" not in str(caught.value)
        cameraborn.load(tmp_path / "b")


@pytest.mark.parametrize("name", ["waves", "clouds-256", "waves-10", "waves-1e9", "waves-99999"])
def test_golden_names_that_are_none(name):
    with pytest.raises(BundleError, match="install the one that made the bundle"):
        golden_picture(name)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden_pictures_are_pictures(name):
    picture = golden_picture(name)
    side = int(name.partition("-")[2])
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 20


def test_a_network_that_cannot_be_run(tiny_bundle, tmp_path):
    bundle = read_bundle(tiny_bundle)
    write_bundle(Bundle(bundle.info, {**bundle.files, "network.onnx": b"not a network"}, ""), tmp_path / "b")
    with pytest.raises(BundleError, match=r"network\.onnx cannot be run .* get the bundle again"):
        cameraborn.load(tmp_path / "b")


@pytest.fixture(scope="module")
def two_channels(network_bundle, photographs):
    """A calibrated bundle with a second channel."""
    weight = np.random.default_rng(3).normal(size=FEATURES)
    bundle = network_bundle.with_evidence(
        PseudoFakeClassifier("reconstructed", ((0, FEATURES),), weight, 0.0)
    )
    options = ViewOptions(copies=1, jobs=1)
    fitted = fit(bundle, photographs["fit"], components=1, dimensions=4, options=options)
    return calibrate(fitted, photographs["calibration"][:12], options=options)


CHANNELS = ("photographs", "reconstructed")


def test_each_channel_has_a_p_value_of_its_own_column(two_channels):
    verdict = only(Detector(two_channels).score(PHOTO, false_alarm_rate=0.5))
    assert list(verdict.evidence) == ["photographs", "reconstructed"]
    for name, said in verdict.evidence.items():
        column = np.array([row.surprises[name] for row in two_channels.calibration_rows])
        assert said.p_value == (1 + (column >= said.surprise).sum()) / (len(column) + 1)
    combined = two_channels.combine({name: np.array([s.surprise]) for name, s in verdict.evidence.items()})
    assert verdict.score == pytest.approx(float(combined[0]))


@pytest.mark.parametrize("name", ["photographs", "reconstructed"])
def test_a_verdict_by_one_channel(two_channels, name):
    both = only(Detector(two_channels).score(PHOTO, false_alarm_rate=0.5))
    alone = only(Detector(two_channels, evidence=name).score(PHOTO, false_alarm_rate=0.5))
    assert alone.evidence == {name: both.evidence[name]}
    assert (alone.score, alone.p_value) == (both.evidence[name].surprise, both.evidence[name].p_value)
    assert alone.flagged == (alone.p_value <= 0.5)
    middle = np.median([row.surprises[name] for row in two_channels.calibration_rows])
    assert alone.decided_by == (name if alone.score > middle else None)


@pytest.mark.parametrize("tail", ["upper", "both"])
@pytest.mark.parametrize("weights", [(1.0, 0.01), (0.01, 1.0), (None, None)])
def test_a_verdict_names_the_channel_that_moved_the_score_most(two_channels, weights, tail):
    """It was the channel of the smallest p-value, however little that counts in the score."""
    info = two_channels.info
    channels = [
        channel.model_copy(update={"weight": weight})
        for channel, weight in zip(info.channels, weights, strict=True)
    ]
    coverage = two_channels.coverage.model_copy(update={"tail": tail})
    weighed = Bundle(
        info.model_copy(update={"channels": tuple(channels), "coverage": coverage}), two_channels.files, ""
    )
    held_out = {name: [row.surprises[name] for row in weighed.calibration_rows] for name in CHANNELS}
    middle = {name: np.array([np.median(surprises)]) for name, surprises in held_out.items()}
    named = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        verdict = only(Detector(weighed).score(path, false_alarm_rate=0.5))
        found = {name: np.array([said.surprise]) for name, said in verdict.evidence.items()}
        parts, usual = weighed.parts(found), weighed.parts(middle)
        low = tail == "both" and verdict.score < np.median([row.score for row in weighed.calibration_rows])
        moved = {name: float(parts[name][0] - usual[name][0]) * (-1 if low else 1) for name in CHANNELS}
        most = max(CHANNELS, key=moved.__getitem__)
        assert verdict.decided_by == (most if moved[most] > 0 else None)
        assert sum(parts.values()) == pytest.approx(verdict.score)
        named.append(verdict.decided_by)
        if tail == "upper" and verdict.decided_by:
            n = len(weighed.calibration_rows)
            assert verdict.evidence[verdict.decided_by].p_value <= (1 + n / 2) / (n + 1)
    assert set(named) - {None}


def test_a_channel_that_is_not_there_or_not_calibrated(two_channels, detector):
    with pytest.raises(BundleError, match="no evidence channel 'x': choose from photographs, reconstructed"):
        Detector(two_channels, evidence="x")
    rows = [
        row
        if number
        else type(row)(row.score, "", row.photograph, row.face_size, row.jpeg_quality, row.noise)
        for number, row in enumerate(two_channels.calibration_rows)
    ]
    unknown = two_channels.with_calibration(two_channels.coverage, rows)
    alone = Detector(unknown, evidence="reconstructed")
    with pytest.raises(
        BundleError, match="'reconstructed' has not been calibrated: run 'cameraborn calibrate'"
    ):
        alone.check_rate(0.5)
    verdict = only(Detector(unknown).score(PHOTO, false_alarm_rate=0.5))
    assert 0 < verdict.p_value <= 1
    assert [said.p_value for said in verdict.evidence.values()] == [None, None]
    assert verdict.decided_by is None


def test_abstentions_have_surprises_and_no_p_values(two_channels, pixels):
    grey = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
    verdict = only(Detector(two_channels).score(grey, false_alarm_rate=0.5))
    assert verdict.scope == "beyond-calibration"
    assert all(said.p_value is None for said in verdict.evidence.values())
    assert verdict.decided_by is None


def test_a_rate_is_checked_before_any_picture(network_bundle, detector):
    detector.check_rate(0.5)
    with pytest.raises(CalibrationError, match="needs at least 999"):
        detector.check_rate(0.001)
    with pytest.raises(BundleError, match="run 'cameraborn fit' first"):
        Detector(network_bundle).check_rate(0.5)


def test_work_on_many_can_be_sent_to_other_processes(two_channels, tmp_path):
    stage = Call(partial(Detector(two_channels, evidence="photographs").score, false_alarm_rate=0.5))
    paths = [*sorted(map(str, EXAMPLES.glob("photo-*.jpg"))), str(tmp_path / "none.jpg")]
    here, there = (list(map_in_order(stage, paths, 2, processes=processes)) for processes in (False, True))
    assert here == there
    assert [only(verdicts).scope for verdicts in there] == ["ok"] * 5 + ["unreadable"]

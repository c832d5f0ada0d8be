"""Bundles as the benchmark uses them."""

import pytest

from cameraborn import load
from cameraborn.bench.bundles import BundleScorer
from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.config import PhotographSection
from cameraborn.bench.scorers import DetectorSection
from cameraborn.bench.sets import read_photographs
from cameraborn.detect.store import read_bundle
from cameraborn.errors import BundleError, PictureError


def test_another_bundle_under_the_same_name_is_measured_anew(tmp_path, tiny_bundle):
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        keys = [
            BundleScorer(DetectorSection(kind="bundle", which=str(tiny_bundle), **extra), cache).key
            for extra in (
                {},
                {"name": "x"},
                {"whole_image": True},
                {"sources": ["mine"]},
                {"evidence": "photographs"},
            )
        ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_one_channel_judges_as_the_detector_does_by_it(tmp_path, tiny_bundle, album):
    (sample,) = read_photographs(PhotographSection(folders=[album / "fit"]), limit=1)
    (channel,) = read_bundle(tiny_bundle).info.channels
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        section = DetectorSection(kind="bundle", which=str(tiny_bundle), evidence=channel.name)
        scorer = BundleScorer(section, cache)
        found = scorer.score(sample.file.read_bytes(), sample.path, 0.05)
    verdict = load(tiny_bundle, evidence=channel.name).score(sample.file)[0]
    assert scorer.name.endswith(f" {channel.name}")
    assert (found.score, found.p_value, found.flagged) == (verdict.score, verdict.p_value, verdict.flagged)


def test_a_channel_that_is_not_there_is_named(tmp_path, tiny_bundle):
    with FeatureCache(tmp_path / "f.sqlite") as cache, pytest.raises(BundleError, match="generators"):
        BundleScorer(DetectorSection(kind="bundle", which=str(tiny_bundle), evidence="generators"), cache)


def test_features_are_found_again_without_the_file(tmp_path, tiny_bundle, album):
    sample = read_photographs(PhotographSection(folders=[album / "fit"]), limit=1)[0]
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        bundle = BundleScorer(DetectorSection(kind="bundle", which=str(tiny_bundle)), cache)
        first = bundle.observe(sample.file, sample.sha256)
        again = bundle.observe(tmp_path / "gone.jpg", sample.sha256)
        assert first.scope == again.scope == "ok"
        assert (first.feature == again.feature).all()
        with pytest.raises(PictureError, match="not the file"):
            bundle.observe(sample.file, "0" * 64)

"""Bundles as the benchmark uses them."""

import pytest

from cameraborn.bench.bundles import BundleScorer
from cameraborn.bench.cache import FeatureCache
from cameraborn.bench.config import PhotographSection
from cameraborn.bench.scorers import DetectorSection
from cameraborn.bench.sets import read_photographs
from cameraborn.errors import PictureError


def test_another_bundle_under_the_same_name_is_measured_anew(tmp_path, tiny_bundle):
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        keys = [
            BundleScorer(DetectorSection(kind="bundle", which=str(tiny_bundle), **extra), cache).key
            for extra in ({}, {"name": "x"}, {"whole_image": True}, {"sources": ["mine"]})
        ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_features_are_found_again_without_the_file(tmp_path, tiny_bundle, album):
    sample = read_photographs(PhotographSection(folders=[album / "fit"]), limit=1)[0]
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        bundle = BundleScorer(DetectorSection(kind="bundle", which=str(tiny_bundle)), cache)
        first = bundle.look(sample.file, sample.sha256)
        again = bundle.look(tmp_path / "gone.jpg", sample.sha256)
        assert first.scope == again.scope == "ok"
        assert (first.feature == again.feature).all()
        with pytest.raises(PictureError, match="not the file"):
            bundle.look(sample.file, "0" * 64)

"""Features by content: what is kept is found, by the encoder that computed it alone."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from cameraborn.bench.cache import FeatureCache
from cameraborn.errors import BenchError


def test_a_feature_is_found_by_its_encoder_and_crop_alone(tmp_path):
    feature = np.arange(4, dtype=np.float32)
    with FeatureCache(tmp_path / "new" / "f.sqlite") as cache:
        cache.put_crop("e", "crop", feature)
        np.testing.assert_array_equal(cache.crop("e", "crop"), feature)
        assert cache.crop("other", "crop") is None
        assert cache.crop("e", "other") is None
        cache.put_crop("e", "crop", feature + 1)  # anew: the last stays
    with FeatureCache(tmp_path / "new" / "f.sqlite") as cache:
        np.testing.assert_array_equal(cache.crop("e", "crop"), feature + 1)


def test_a_picture_leads_to_its_crop_or_to_the_reason_why_it_has_none(tmp_path):
    feature = np.ones(3, np.float32)
    with FeatureCache(tmp_path / "f.sqlite") as cache:
        cache.put_crop("e", "crop", feature)
        cache.put_picture("e", "a" * 64, whole=False, scope="ok", crop="crop")
        cache.put_picture("e", "b" * 64, whole=False, scope="no-face", crop=None)
        found = cache.picture("e", "a" * 64, whole=False)
        assert found.scope == "ok"
        np.testing.assert_array_equal(found.feature, feature)
        none = cache.picture("e", "b" * 64, whole=False)
        assert (none.scope, none.feature) == ("no-face", None)
        assert cache.picture("e", "a" * 64, whole=True) is None
        assert cache.picture("other", "a" * 64, whole=False) is None


def test_another_file_is_not_taken_for_a_cache(tmp_path):
    (tmp_path / "text").write_text("no data base at all, but long enough to be looked at" * 20)
    with pytest.raises(BenchError, match="not a file of features"):
        FeatureCache(tmp_path / "text")


def test_a_database_of_others_is_left_alone(tmp_path):
    path = tmp_path / "mine.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (a)")
    before = path.read_bytes()
    with pytest.raises(BenchError, match="a database of something else"):
        FeatureCache(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

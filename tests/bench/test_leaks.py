"""The audit of every track: made once, and anew when the pictures change."""

import pytest

from cameraborn.bench.config import SetSection
from cameraborn.bench.leaks import audit_tracks
from cameraborn.bench.sets import read_set
from cameraborn.errors import BenchError


def test_the_audit_is_made_once_and_anew_when_the_pictures_change(tmp_path, album):
    def tracks(limit=None):
        return read_set(
            SetSection(
                name="x", photographs={"a": album / "fit"}, generated={"b": album / "gan"}, limit=limit
            )
        )

    first = audit_tracks(tracks(), tmp_path)
    (tmp_path / "audit.json").write_text(
        (tmp_path / "audit.json").read_text().replace(first[0].verdict, "kept")
    )
    assert [found.verdict for found in audit_tracks(tracks(), tmp_path)] == ["kept"]
    assert [found.verdict for found in audit_tracks(tracks(limit=3), tmp_path)] != ["kept"]
    assert audit_tracks([s for s in tracks() if s.label == "photo"], tmp_path) == []
    (tmp_path / "audit.json").write_text("{")
    with pytest.raises(BenchError, match=r"audit\.json: damaged"):
        audit_tracks(tracks(), tmp_path)

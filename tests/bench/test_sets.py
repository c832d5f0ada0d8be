"""Test sets: every picture once, in its track, with the label that its folder or manifest gives."""

import os
from collections import Counter

import pytest

from cameraborn.bench.config import PhotographSection, SetSection
from cameraborn.bench.sets import read_photographs, read_set, refuse_overlap
from cameraborn.data.manifest import Row, sha256_of, write_manifest
from cameraborn.errors import BenchError

from ..conftest import EXAMPLES


@pytest.fixture
def folders(tmp_path):
    """Files that stand for pictures, which reading a set does not open."""
    for place in (
        "camera/1.jpg",
        "camera/deep/2.PNG",
        "camera/notes.txt",
        "phone/3.jpg",
        "gan/4.jpg",
        "gan/5.jpg",
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(place)
    return tmp_path


def in_folders(folders, **changes):
    sets = {
        "photographs": {"camera": folders / "camera", "phone": folders / "phone"},
        "generated": {"gan": folders / "gan"},
    }
    return SetSection(name="x", **sets | changes)


def test_folders_are_sources_and_generators(folders):
    samples = read_set(in_folders(folders))
    assert [(s.path, s.label, s.source, s.generator) for s in samples] == [
        ("camera/1.jpg", "photo", "camera", ""),
        ("camera/deep/2.PNG", "photo", "camera", ""),
        ("phone/3.jpg", "photo", "phone", ""),
        ("gan/4.jpg", "generated", "gan", "gan"),
        ("gan/5.jpg", "generated", "gan", "gan"),
    ]
    assert {(s.test_set, s.track, s.group) for s in samples} == {("x", "x", "")}
    assert samples[0].sha256 == sha256_of(folders / "camera" / "1.jpg")


def rows(folders):
    """Two kinds, two splits, groups."""
    for number, place in enumerate(
        ("camera/1.jpg", "camera/deep/2.PNG", "phone/3.jpg", "gan/4.jpg", "gan/5.jpg")
    ):
        label = "generated" if place.startswith("gan") else "photo"
        yield Row(
            path=str(folders / place),
            sha256=sha256_of(folders / place),
            label=label,
            generator="StyleGAN2" if number == 3 else "",
            kind="face" if number % 2 else "scene",
            split="test" if number else "train",
            source="s",
            group=f"g{number}",
        )


def test_a_manifest_gives_tracks_groups_and_paths_relative_to_it(folders):
    write_manifest(rows(folders), folders / "set.jsonl")
    samples = read_set(SetSection(name="x", manifest=folders / "set.jsonl", tracks="kind"))
    assert [(s.path, s.track, s.group, s.generator) for s in samples] == [
        ("camera/1.jpg", "scene", "g0", ""),
        ("camera/deep/2.PNG", "face", "g1", ""),
        ("phone/3.jpg", "scene", "g2", ""),
        ("gan/4.jpg", "face", "g3", "StyleGAN2"),
        ("gan/5.jpg", "scene", "g4", "generated"),  # a generator without a name
    ]
    one_track = read_set(SetSection(name="x", manifest=folders / "set.jsonl"))
    assert {s.track for s in one_track} == {"x"}
    part = read_set(SetSection(name="x", manifest=folders / "set.jsonl", split="test", kinds=["scene"]))
    assert [s.path for s in part] == ["phone/3.jpg", "gan/5.jpg"]
    with pytest.raises(BenchError, match="check its manifest, split and kinds"):
        read_set(SetSection(name="x", manifest=folders / "set.jsonl", split="validation"))


def test_a_copy_counts_once_and_one_under_both_labels_is_refused(folders):
    (folders / "phone" / "copy.jpg").write_text("camera/1.jpg")
    assert Counter(s.source for s in read_set(in_folders(folders))) == {"camera": 2, "phone": 1, "gan": 2}
    (folders / "gan" / "copy.jpg").write_text("phone/3.jpg")
    with pytest.raises(
        BenchError, match=r"phone/3\.jpg and gan/copy\.jpg are the same file, once as a photograph"
    ):
        read_set(in_folders(folders))


def test_folders_are_read_by_content_as_everywhere(folders):
    picture = (EXAMPLES / "photo-1.jpg").read_bytes()
    for number, name in enumerate(("no_ending", "p.jpg?w=300", "q.jpg_large")):
        (folders / "phone" / name).write_bytes(picture + bytes([number]))
    (folders / "phone" / "readme").write_text("no picture")
    os.mkfifo(folders / "phone" / "pipe.jpg")  # opening it would wait for ever
    names = [sample.path for sample in read_set(in_folders(folders)) if sample.source == "phone"]
    assert names == ["phone/3.jpg", "phone/no_ending", "phone/p.jpg?w=300", "phone/q.jpg_large"]


def test_a_link_to_nowhere_is_named(folders):
    (folders / "phone" / "gone.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(BenchError, match=r"phone/gone\.jpg: cannot be opened"):
        read_set(in_folders(folders))


def test_an_empty_folder_is_named(folders):
    (folders / "empty").mkdir()
    with pytest.raises(BenchError, match="empty: no picture in it: check the path of 'none' in set 'x'"):
        read_set(in_folders(folders, photographs={"none": folders / "empty"}))


def test_a_limit_is_drawn_by_the_seed_from_each_generator_and_source(tmp_path):
    for name, count in (("a", 30), ("b", 2), ("gan", 30)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number:02}.jpg").write_text(f"{name} {number}")
    section = SetSection(
        name="x",
        photographs={"a": tmp_path / "a", "b": tmp_path / "b"},
        generated={"gan": tmp_path / "gan"},
        limit=5,
    )
    samples = read_set(section, seed=1)
    assert Counter(s.source for s in samples) == {"a": 5, "b": 2, "gan": 5}
    assert [s.path for s in samples] == sorted(s.path for s in samples)  # in their order
    assert read_set(section, seed=1) == samples
    assert read_set(section, seed=2) != samples


def test_photographs_to_learn_from_are_photographs_alone(folders):
    section = PhotographSection(folders=[folders / "camera", folders / "phone"])
    assert [s.source for s in read_photographs(section)] == ["camera", "camera", "phone"]
    assert [s.path for s in read_photographs(section, limit=1)] == ["camera/1.jpg"]
    write_manifest(rows(folders), folders / "set.jsonl")
    with pytest.raises(BenchError, match="labelled generated"):
        read_photographs(PhotographSection(manifests=[folders / "set.jsonl"]))
    train = PhotographSection(manifests=[folders / "set.jsonl"], split="train", folders=[folders / "camera"])
    assert [s.path for s in read_photographs(train)] == ["camera/1.jpg", "camera/deep/2.PNG"]


def test_an_overlap_is_refused_by_content(folders):
    photographs, others = (
        read_photographs(PhotographSection(folders=[folders / n])) for n in ("camera", "phone")
    )
    refuse_overlap(photographs, others, "why")
    (folders / "phone" / "again.jpg").write_text("camera/1.jpg")
    others = read_photographs(PhotographSection(folders=[folders / "phone"]))
    with pytest.raises(
        BenchError, match=r"phone/again\.jpg: both learnt and tested: take it out of one of them"
    ):
        refuse_overlap(photographs, others, "both learnt and tested")

"""Splits: no group is ever torn, no split is empty, shares are met as far as groups allow."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameraborn.data.manifest import Row, read_manifest, write_manifest
from cameraborn.data.splits import assign_splits, split_manifest
from cameraborn.errors import ManifestError

DIGEST = "0" * 64


@settings(max_examples=100)
@given(
    groups=st.lists(st.integers(0, 12).map(lambda n: f"g{n}"), min_size=1, max_size=60),
    parts=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    seed=st.integers(0, 5),
)
def test_every_group_has_a_split_and_no_split_is_empty(groups, parts, seed):
    shares = {f"s{n}": part / sum(parts) for n, part in enumerate(parts)}
    sizes = Counter(groups)
    if len(sizes) < len(shares):
        with pytest.raises(ManifestError, match="fewer splits"):
            assign_splits(sizes, shares, seed=seed)
        return
    assigned = assign_splits(sizes, shares, seed=seed)
    assert set(assigned) == set(groups)
    assert set(assigned.values()) == set(shares)
    assert assigned == assign_splits(sizes, shares, seed=seed)


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=60, max_size=120),
    parts=st.lists(st.integers(1, 5), min_size=2, max_size=4),
)
def test_splits_come_near_to_their_shares(sizes, parts):
    counted = {f"g{n}": size for n, size in enumerate(sizes)}
    shares = {f"s{n}": part / sum(parts) for n, part in enumerate(parts)}
    found = Counter()
    for group, split in assign_splits(counted, shares).items():
        found[split] += counted[group]
    for name, share in shares.items():
        assert abs(found[name] - share * sum(sizes)) <= max(sizes) + 1


def test_the_seed_decides_who_goes_where():
    sizes = {f"g{n}": 1 for n in range(40)}
    one, two = (assign_splits(sizes, {"a": 0.5, "b": 0.5}, seed=seed) for seed in (0, 1))
    assert one != two


@pytest.mark.parametrize(
    "shares",
    [{}, {"a": 0.5}, {"a": 0.7, "b": 0.7}, {"a": 1.5, "b": -0.5}, {"a": 1, "b": 0}, {"a": float("nan")}],
)
def test_shares_are_positive_and_sum_to_one(shares):
    with pytest.raises(ManifestError, match="sum to 1"):
        assign_splits(dict.fromkeys("abcdef", 1), shares)


def written(folder, groups, research=()):
    rows = [
        Row(path=f"{n}.jpg", sha256=DIGEST, group=group, research_only=n in research, kind=str(n))
        for n, group in enumerate(groups)
    ]
    write_manifest(rows, folder / "m.jsonl")
    return folder / "m.jsonl"


def test_a_manifest_keeps_its_order_and_all_else(tmp_path):
    manifest = written(tmp_path, [f"g{n % 10}" for n in range(40)])
    before = list(read_manifest(manifest))
    sizes = split_manifest(manifest, {"train": 0.8, "val": 0.2})
    after = list(read_manifest(manifest))
    assert [row.model_copy(update={"split": ""}) for row in after] == before
    assert len({(row.group, row.split) for row in after}) == 10
    assert Counter(row.split for row in after) == {name: size.rows for name, size in sizes.items()}
    assert (sizes["train"].rows, sizes["train"].groups, sizes["train"].largest) == (32, 8, 4)


def test_a_group_with_one_row_for_research_goes_as_a_whole(tmp_path):
    manifest = written(tmp_path, [f"g{n % 10}" for n in range(40)], research=(3, 14))
    sizes = split_manifest(manifest, {"train": 0.5, "val": 0.5}, research_only="val")
    homes = {row.group: row.split for row in read_manifest(manifest)}
    assert homes["g3"] == homes["g4"] == "val"
    assert sizes["train"].rows == 16  # half of what may be divided
    assert sizes["val"].rows == 24


def test_rows_without_a_group_are_apart_or_go_with_their_source(tmp_path):
    rows = [
        Row(path=f"{n}.jpg", sha256=DIGEST, source="s" if n < 5 else "", research_only=n == 7)
        for n in range(9)
    ]
    write_manifest(rows, tmp_path / "m.jsonl")
    split_manifest(tmp_path / "m.jsonl", {"a": 0.5, "b": 0.5}, research_only="r")
    got = [row.split for row in read_manifest(tmp_path / "m.jsonl")]
    assert len(set(got[:5])) == 1
    assert [n for n, split in enumerate(got) if split == "r"] == [7]


def test_nothing_left_to_divide(tmp_path):
    manifest = written(tmp_path, ["g", "h"], research=(0, 1))
    before = manifest.read_bytes()
    with pytest.raises(ManifestError, match="fewer splits"):
        split_manifest(manifest, {"train": 1.0}, research_only="val")
    assert manifest.read_bytes() == before

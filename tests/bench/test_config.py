"""Configurations: what is wrong is named, with its field."""

from pathlib import Path

import pytest

from cameraborn.bench.config import read_config, refuse_unmeasured
from cameraborn.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
output = "runs/x"
detectors = ["default", "sharpness", {bundle = "models/other", name = "other", whole_image = true}]
degradations = ["none", "jpeg:75"]
[[sets]]
name = "dev"
manifest = "dev.jsonl"
tracks = "kind"
"""


def read(tmp_path, text):
    path = tmp_path / "bench.toml"
    path.write_text(text)
    return read_config(path)


def test_names_are_cues_or_bundles(tmp_path):
    config = read(tmp_path, GOOD)
    assert [(d.kind, d.which, d.name) for d in config.detectors] == [
        ("bundle", "default", ""),
        ("cue", "sharpness", ""),
        ("bundle", "models/other", "other"),
    ]
    assert type(config).model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("bench*.toml")), ids=lambda path: path.name)
def test_configurations_that_ship_are_valid(path):
    assert read_config(path).sets


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"none", "jpeg:75"', '"jpeg:75"', "must hold 'none'"),
        ('"none", "jpeg:75"', '"none", "none"', "degradation 'none' is given twice"),
        ('"none", "jpeg:75"', '"none", "jpg:75"', "jpg:75: not a degradation"),
        (
            'manifest = "dev.jsonl"',
            'manifest = "dev.jsonl"\ngenerated = {x = "y"}',
            "either a manifest, or folders",
        ),
        ('manifest = "dev.jsonl"', 'photographs = {x = "y"}', "are for manifests"),
        (
            '"sharpness"',
            '{cue = "beauty"}',
            "detectors.1: .*no cue is called 'beauty': choose from sharpness",
        ),
        (
            '"sharpness"',
            '{cue = "sharpness", bundle = "x"}',
            "one of bundle, cue, rival, encoder: give exactly one",
        ),
        (
            '"sharpness"',
            '{cue = "sharpness", evidence = "x"}',
            "evidence is a channel of a bundle, which the cue 'sharpness' has not",
        ),
        ('"sharpness"', '{name = "x"}', "one of bundle, cue, rival, encoder: give exactly one"),
        ('"sharpness"', '{bundel = "x"}', "no kind of detector is called 'bundel': did you mean 'bundle'"),
        (
            '"sharpness"',
            '{bundle = "x", nmae = "y"}',
            "detectors.1: no key is called 'nmae': did you mean 'name'?",
        ),
        ("output =", "outptu =", "no key is called 'outptu': did you mean 'output'?"),
        ("[[sets]]", "[[sets]", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(BenchError, match=words) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert "bench.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


PROTOCOL = '[protocol]\ncovariance = "{}"\nfit.folders = ["a"]\nheld_out.folders = ["b"]\n'


def test_the_covariance_of_the_mixture_is_full_unless_it_says_otherwise(tmp_path):
    for name in ("full", "tied", "diag"):
        assert read(tmp_path, GOOD + PROTOCOL.format(name)).protocol.covariance == name
    without = PROTOCOL.format("full").replace('covariance = "full"', "")
    assert read(tmp_path, GOOD + without).protocol.covariance == "full"
    with pytest.raises(BenchError, match=r"protocol.covariance: .*'full', 'tied' or 'diag'"):
        read(tmp_path, GOOD + PROTOCOL.format("tide"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BenchError, match=r"no such configuration"):
        read_config(tmp_path / "nothing.toml")


def test_one_file_of_weights_needs_no_list(tmp_path):
    for kind, which in (("rival", "npr"), ("encoder", "farl")):
        both = [
            read(tmp_path, GOOD.replace('"sharpness"', f'{{{kind} = "{which}", weights = {written}}}'))
            for written in ('"a.safetensors"', '["a.safetensors"]')
        ]
        assert both[0] == both[1]
        assert both[0].detectors[1].weights == (Path("a.safetensors"),)
    with pytest.raises(BenchError, match="weights are for rivals and encoders, not for the cue 'brightness'"):
        read(tmp_path, GOOD.replace('"sharpness"', '{cue = "brightness", weights = "a.safetensors"}'))


def test_what_has_no_score_of_its_own_is_not_left_out(tmp_path):
    refuse_unmeasured(read(tmp_path, GOOD))
    more = '{encoder = "farl"}, {encoder = "clip-rn50", name = "CLIP"}, "sharpness"'
    with pytest.raises(BenchError) as caught:
        refuse_unmeasured(read(tmp_path, GOOD.replace('"sharpness"', more)))
    assert caught.value.args[0] == (
        "farl, CLIP: encoders have no score of their own, and would not be measured: add --protocol aigfd, or measure "
        "with 'bench table2'"
    )

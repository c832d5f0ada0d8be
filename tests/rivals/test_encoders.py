"""Encoders of others: their inputs, their features, and the layouts of their weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from cameraborn.rivals import ENCODERS, LAYOUTS, NETWORKS
from cameraborn.rivals.encoders import GREY_LEVELS, LITE_STATISTICS, SIDE, Tower, grey_levels, middle_square
from cameraborn.rivals.inputs import CLIP, by_opencv
from tests.rivals.formula import a_picture, formula_, formula_pictures, passes_for_loaded

NAMES = ["clip-vit-l14", "clip-vit-b16", "clip-rn50", "farl", "exif-as-language", "efficientnet-lite0"]


@pytest.mark.parametrize("statistics", [CLIP, LITE_STATISTICS])
def test_the_middle_square_is_resized_cut_and_normalised(statistics):
    picture = a_picture(300, 400)
    resized = Image.fromarray(picture.pixels).resize((int(224 * 400 / 300), 224), Image.Resampling.BICUBIC)
    x = round((resized.width - 224) / 2)
    levels = np.asarray(resized)[:, x : x + 224] / 255
    mean, deviation = (np.array(numbers) for numbers in statistics)
    literal = torch.from_numpy(((levels - mean) / deviation).transpose(2, 0, 1)).float()
    assert torch.allclose(middle_square(picture, statistics), literal, atol=1e-5)


def test_grey_levels_are_the_whole_picture_unscaled():
    picture = a_picture(300, 500)
    levels = grey_levels(picture)
    assert (levels.dtype, levels.shape) == (torch.float32, (3, SIDE, SIDE))
    assert np.array_equal(levels.numpy().transpose(1, 2, 0), by_opencv(picture.pixels, SIDE, SIDE))


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_takes_its_authors_input_and_gives_its_features(name):
    # Autocasting, which its network switches off, knows no tensors without memory.
    with torch.device("cpu" if name == "exif-as-language" else "meta"), torch.no_grad():
        encoder = passes_for_loaded(Tower(name))
        features = encoder.eval()(torch.zeros(2, 3, SIDE, SIDE))
    assert features.shape == (2, encoder.features)
    statistics = {"exif-as-language": GREY_LEVELS, "efficientnet-lite0": LITE_STATISTICS}.get(name, CLIP)
    assert (encoder.name, encoder.parts, encoder.statistics) == (name, {"network": name}, statistics)
    picture = a_picture(260, 240)
    expected = grey_levels(picture) if name == "exif-as-language" else middle_square(picture, statistics)
    assert torch.equal(encoder.preprocess(picture), expected)


def test_the_feature_of_the_lite_network_is_what_stands_before_its_classes():
    encoder = passes_for_loaded(Tower("efficientnet-lite0")).eval()
    formula_(encoder.network)
    pictures = formula_pictures(1, 64)
    with torch.no_grad():
        feature = encoder(pictures)
        assert torch.equal(feature, encoder.network.pooled(pictures))
        assert torch.allclose(encoder.network(pictures), encoder.network._fc(feature), atol=1e-6)


def test_of_a_wrapped_file_the_picture_tower_alone_is_taken():
    weights = {
        "model.visual.a.weight": torch.ones(1),
        "model.text.a.weight": torch.ones(1),
        "logit": torch.ones(1),
    }
    assert set(LAYOUTS["exif-as-language-tower"].translate(weights)) == {"a.weight"}


def test_every_encoder_is_known_by_its_name_and_openais_sum_is_part_of_its_address():
    for name in NAMES:
        assert name in ENCODERS
        assert name in NETWORKS
        assert name in {layout.network for layout in LAYOUTS.values()}
    for name in NAMES[:3]:
        layout = LAYOUTS[name]
        assert layout.origin.endswith(f"/{layout.sha256}/{layout.file}")
        assert layout.kind == "torchscript"

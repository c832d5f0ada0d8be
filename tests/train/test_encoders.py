"""The section `network` of a recipe, and how an encoder is described."""

import pytest
from pydantic import TypeAdapter, ValidationError

from cameraborn.networks.registry import NETWORKS
from cameraborn.train.encoders import NetworkSection, describe

SECTION = TypeAdapter(NetworkSection)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_is_known_by_its_name(name):
    section = SECTION.validate_python({"type": name})
    assert type(section) is NETWORKS[name]
    assert SECTION.validate_json(section.model_dump_json()) == section


def test_patches_are_the_default():
    assert SECTION.validate_python({}).type == "patch"


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"type": "resnet5"}, "no network is called 'resnet5': did you mean 'resnet50'?"),
        ({"type": "zzz"}, "choose from "),
        ({"type": "patch", "wdths": [1]}, "Extra inputs are not permitted"),
        (3, "valid dictionary"),
    ],
)
def test_what_is_no_network_is_refused(network, said):
    with pytest.raises(ValidationError) as caught:
        SECTION.validate_python(network)
    assert said in str(caught.value)


def test_an_encoder_is_described_by_its_sizes_and_its_parameters():
    section = SECTION.validate_python({"widths": [4, 4], "features": 8})
    encoder = section.encoder()
    words = describe(encoder, section)
    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert words.startswith(f"{type(encoder).__name__} " + '{"widths": [4, 4], ')
    assert words.endswith(f"({count:,} parameters)")

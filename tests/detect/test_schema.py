"""`bundle.json`: what is refused, and the sizes that follow from it."""

import pytest
from pydantic import ValidationError

from cameraborn.detect.evidence.combine import Standard
from cameraborn.detect.schema import BundleInfo, Channel, Network, Preprocessing


def network(**changes):
    shown = {"crop_scale": 1.5, "sides": (256,), "smallest_side": 64} | changes.pop("preprocessing", {})
    return Network(file="n.onnx", description="", features=8, preprocessing=Preprocessing(**shown), **changes)


def channel(**changes):
    return Channel(**{"name": "photographs", "kind": "density", "columns": ((0, 8),)} | changes)


@pytest.mark.parametrize("columns", [(), ((4, 4),), ((-1, 3),), ((4, 8), (0, 4)), ((0, 5), (4, 8))])
def test_columns_are_rising_ranges(columns):
    with pytest.raises(ValidationError, match="must be rising ranges of columns from 0"):
        channel(columns=columns)
    assert channel(columns=((0, 4), (4, 8))).columns == ((0, 4), (4, 8))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"standard": (0.0, 0.0)}, "deviation above 0"),
        ({"name": "Photographs"}, "should match pattern"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_channel_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        channel(**wrong)


@pytest.mark.parametrize("sides", [(128, 256), (256, 256), ()])
def test_sides_fall(sides):
    with pytest.raises(ValidationError):
        network(preprocessing={"sides": sides})


def test_two_channels_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="two channels have one name"):
        BundleInfo(name="b", networks=(network(),), channels=(channel(), channel(columns=((0, 2),))))


def test_sizes_of_several_networks():
    """The widest crop counts, and the smallest side of a network that sees its middle grows with it."""
    info = BundleInfo(
        name="b",
        networks=(
            network(),
            network(preprocessing={"crop_scale": 1.0, "sides": (256, 128), "smallest_side": 50}),
        ),
    )
    assert (info.crop_scale, info.width) == (1.5, 8 + 16)
    assert info.smallest_side == 75  # 50 px of a crop that is 1 face are 75 px of one that is 1.5
    assert info.preprocessing is info.networks[0].preprocessing


def test_a_channels_standard():
    info = BundleInfo(
        name="b", networks=(network(),), channels=(channel(standard=(2.0, 4.0)), channel(name="other"))
    )
    assert info.standard_of("photographs") == Standard(2.0, 4.0)
    assert info.standard_of("other") is None

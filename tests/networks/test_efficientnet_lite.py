"""EfficientNet-Lite0: its number of parameters, its published weights, its residual, against literal versions."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.networks.efficientnet_lite import FEATURES, EfficientNetLite, EfficientNetLiteSection
from cameraborn.rivals.backbones.efficientnet import EfficientNet


def pixels(count, side):
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).float()


def published():
    """A file in the layout of the published weights: the encoder's and a layer of a thousand classes."""
    tensors = {
        name: torch.randn_like(value.float()) for name, value in EfficientNetLite().state_dict().items()
    }
    return tensors | {"_fc.weight": torch.randn(1000, FEATURES), "_fc.bias": torch.randn(1000)}


def test_size_of_the_published_network():
    """4,652,008 parameters in all, of which the layer of a thousand classes has 1,281,000."""
    assert sum(p.numel() for p in EfficientNetLite().parameters()) == 4_652_008 - 1_281_000


def test_any_size_of_patch_gives_one_feature():
    net = EfficientNetLite(residual=True).eval()
    with torch.no_grad():
        assert net(pixels(2, 64)).shape == net(pixels(2, 96)).shape == (2, FEATURES)


def test_published_weights_leave_the_residual_silent():
    tensors = published()
    plain, more = EfficientNetLite(), EfficientNetLite(residual=True)
    plain.load_imagenet(tensors)
    more.load_imagenet(tensors)
    x = pixels(3, 64)
    torch.manual_seed(1)
    one = plain.train()(x)
    torch.manual_seed(1)
    other = more.train()(x)
    torch.testing.assert_close(one, other)
    with torch.no_grad():
        more._conv_stem.weight[:, 3:] = 0.1
    torch.manual_seed(1)
    assert not torch.allclose(one, more(x), atol=1e-3)


def test_a_file_of_another_network_is_refused():
    tensors = published()
    del tensors["_blocks.3._project_conv.weight"]
    with pytest.raises(ValueError, match=r"the file lacks _blocks\.3\._project_conv\.weight and 0 others"):
        EfficientNetLite().load_imagenet(tensors)


def test_stem_sees_colours_and_residuals():
    """The first layer against the formula, written out."""
    net = EfficientNetLite(residual=True).eval()
    seen = []
    net._conv_stem.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    x = pixels(1, 64)
    with torch.no_grad():
        net(x)
    padded, counted = F.pad(x, (1, 1, 1, 1)), F.pad(torch.ones_like(x), (1, 1, 1, 1))
    y, c = 10, 0  # inside, and at the left edge, where there are six neighbours
    for place in ((y, 20), (y, c)):
        rows, columns = slice(place[0], place[0] + 3), slice(place[1], place[1] + 3)
        total = padded[0, :, rows, columns].sum(dim=(1, 2)) / counted[0, :, rows, columns].sum(dim=(1, 2))
        left = ((x[0, :, *place] - total) / 6).clamp(-2, 2)
        torch.testing.assert_close(seen[0][0, 3:, *place], left, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(seen[0][0, :3, *place], (x[0, :, *place] - 127) / 128)


def test_stem_of_stride_1_keeps_the_resolution():
    fine, coarse = EfficientNetLiteSection(stem_stride=1).encoder(), EfficientNetLiteSection().encoder()
    with torch.no_grad():
        assert fine._conv_stem(pixels(1, 64)).shape[-1] == 2 * coarse._conv_stem(pixels(1, 64)).shape[-1]


def test_padding_differs_from_the_published_weights_by_a_pixel_and_at_the_edge_alone():
    """Theirs pads the far sides before a step of 2 (`rivals.backbones.efficientnet`), ours all sides alike."""
    torch.manual_seed(0)
    ours, theirs = EfficientNetLite(), EfficientNet(lite=True)
    theirs._conv_stem.load_state_dict(ours._conv_stem.state_dict())
    x = torch.randn(1, 3, 32, 32)
    moved = x.roll((-1, -1), dims=(2, 3))
    with torch.no_grad():
        # Theirs at a place is ours of the picture moved by a pixel, up to the edges.
        torch.testing.assert_close(
            theirs._conv_stem(x)[..., 1:-1, 1:-1], ours._conv_stem(moved)[..., 1:-1, 1:-1]
        )
        assert (theirs._conv_stem(x) - ours._conv_stem(x)).abs().max() > 0.1

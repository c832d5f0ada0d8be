"""ResNet-50: names and sizes as published, arithmetic against a literal version, pixels normalised inside."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.networks.resnet import NORMALISATIONS, ResNet, ResNetRanker

SMALL = {"layers": (1, 2, 1, 1), "width": 4, "features": 6}


def pictures(count, side=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator).float()


def test_names_and_sizes_are_those_of_the_published_network():
    with torch.device("meta"):  # nothing is allocated
        network = ResNet(features=1000)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert len(shapes) == 320  # torchvision's resnet50
    assert sum(parameter.numel() for parameter in network.parameters()) == 25_557_032
    expected = {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.num_batches_tracked": (),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.running_var": (256,),
        "layer2.3.conv2.weight": (128, 128, 3, 3),
        "layer3.5.bn3.bias": (1024,),
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
        "fc.weight": (1000, 2048),
        "fc.bias": (1000,),
    }
    assert expected.items() <= shapes.items()
    assert "layer1.1.downsample.0.weight" not in shapes


def literal_forward(state, pixels, layers, normalise):
    """He et al., stage by stage, with the weights by name and batch normalisation in its evaluation form."""
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in NORMALISATIONS[normalise])

    def norm(x, name):
        return F.batch_norm(
            x,
            state[f"{name}.running_mean"],
            state[f"{name}.running_var"],
            state[f"{name}.weight"],
            state[f"{name}.bias"],
        )

    x = (pixels / 255 - mean) / deviation
    x = torch.relu(norm(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), "bn1"))
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for stage, blocks in enumerate(layers, 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = torch.relu(norm(F.conv2d(x, state[f"{at}.conv1.weight"]), f"{at}.bn1"))
            y = torch.relu(
                norm(F.conv2d(y, state[f"{at}.conv2.weight"], stride=stride, padding=1), f"{at}.bn2")
            )
            y = norm(F.conv2d(y, state[f"{at}.conv3.weight"]), f"{at}.bn3")
            if block == 0:
                x = norm(F.conv2d(x, state[f"{at}.downsample.0.weight"], stride=stride), f"{at}.downsample.1")
            x = torch.relu(x + y)
    return x.mean(dim=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_features_are_those_of_the_literal_network(normalise):
    torch.manual_seed(0)
    network = ResNet(**SMALL, normalise=normalise)
    network(pictures(8))  # so that the averages of batch normalisation are of pictures
    network.eval()
    expected = literal_forward(network.state_dict(), pictures(3, seed=1), SMALL["layers"], normalise)
    torch.testing.assert_close(network(pictures(3, seed=1)), expected, atol=1e-5, rtol=1e-4)


def test_initialisation_is_kaimings():
    torch.manual_seed(0)
    network = ResNet(layers=(1, 1, 1, 1), width=32)
    weight = network.layer3[0].conv2.weight
    assert float(weight.detach().std()) == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert float(network.layer3[0].bn2.weight.detach().min()) == 1


def test_heads_are_linear_in_the_feature():
    torch.manual_seed(0)
    ranker = ResNetRanker(ResNet(**SMALL), {"iso": 1, "make": 3}).eval()
    feature = ranker.encoder(pictures(2))
    outputs = ranker(pictures(2))
    assert {name: output.shape for name, output in outputs.items()} == {"iso": (2, 1), "make": (2, 3)}
    for name, output in outputs.items():
        torch.testing.assert_close(output, ranker.heads[name](feature))


def test_half_precision_ends_in_full_precision():
    torch.manual_seed(0)
    ranker = ResNetRanker(ResNet(**SMALL), {"iso": 1}).eval()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = ranker(pictures(2))
    assert outputs["iso"].dtype == torch.float32

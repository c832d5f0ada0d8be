"""SDAIE's checkpoints: a file in the authors' layout, loaded strictly, gives what their layout computes.

The literal network here reads the authors' names itself and is written with `unfold`, one patch at a time.
"""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.binary.regularised import RegularisedClassifier
from cameraborn.errors import RecipeError
from cameraborn.networks.sdaie import SdaieNet, SdaieRanker
from cameraborn.networks.srm import srm_kernels
from cameraborn.train.weights import import_checkpoint, load_init
from cameraborn.train.weights_sdaie import (
    AUTHORS_HEADS,
    import_sdaie,
    import_sdaie_binary,
    sdaie_binary_shapes,
)

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).double()[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).double()[:, None, None]
# Convolutions and norms of the authors' groups: (place of the convolution, side of its map).
GROUPS = {
    "group2": [(0, 64), (3, 64), (6, 64), (9, 64)],
    "group3": [(0, 32), (3, 32)],
    "group4": [(0, 16), (3, 16)],
    "group5": [(0, 8), (3, 8)],
}


def network_state(seed):
    """Their encoder's names, random values; the fixed kernels in an order of their own."""
    torch.manual_seed(seed)
    order = torch.randperm(30)
    state = {
        "group1.hpf.weight": torch.from_numpy(srm_kernels())[order][:, None],
        "group1_b.0.weight": torch.randn(32, 90, 3, 3) / 30,
        "group1_b.0.bias": torch.randn(32) / 10,
    }
    norms = {"group1_b.1": [32, 64, 64]}
    for group, places in GROUPS.items():
        for place, side in places:
            state[f"{group}.{place}.weight"] = torch.randn(32, 32, 3, 3) / 15
            state[f"{group}.{place}.bias"] = torch.randn(32) / 10
            norms[f"{group}.{place + 1}"] = [32, side, side]
    for layer in ("transformer.layers.0", "transformer.layers.1"):
        norms |= {f"{layer}.0.norm": [528], f"{layer}.1.norm": [528]}
        state[f"{layer}.0.fn.to_qkv.weight"] = torch.randn(192, 528) / 20
        for name, shape in {
            "0.fn.to_out.0": (528, 64),
            "1.fn.net.0": (128, 528),
            "1.fn.net.3": (528, 128),
        }.items():
            state[f"{layer}.{name}.weight"] = torch.randn(shape) / shape[1] ** 0.5
            state[f"{layer}.{name}.bias"] = torch.randn(shape[0]) / 10
    for name, shape in norms.items():
        state[f"{name}.weight"] = 1 + torch.randn(shape) / 5
        state[f"{name}.bias"] = torch.randn(shape) / 5
    return state


def literal_feature(state, patches):
    """The authors' image feature, in float64: patches [P 3 64 64] in grey levels to the first patch's token [528]."""
    state = {name: value.double() for name, value in state.items()}
    tokens = torch.stack([literal_token(state, (patch.double() / 255 - MEAN) / STD) for patch in patches])
    for layer in ("transformer.layers.0", "transformer.layers.1"):
        qkv = normed(tokens, state, f"{layer}.0.norm") @ state[f"{layer}.0.fn.to_qkv.weight"].T
        seen = torch.empty(len(tokens), 64).double()
        for head in range(4):
            q, k, v = (qkv[:, part * 64 + head * 16 : part * 64 + head * 16 + 16] for part in range(3))
            for i in range(len(tokens)):
                weights = torch.exp(k @ q[i] / 4)
                seen[i, head * 16 : head * 16 + 16] = (weights[:, None] * v).sum(0) / weights.sum()
        tokens = tokens + linear(seen, state, f"{layer}.0.fn.to_out.0")
        hidden = linear(normed(tokens, state, f"{layer}.1.norm"), state, f"{layer}.1.fn.net.0")
        tokens = tokens + linear(F.gelu(hidden), state, f"{layer}.1.fn.net.3")
    return tokens[0]


def literal_token(state, patch):
    kernels = state["group1.hpf.weight"]
    residuals = torch.cat([unfolded(colour[None], kernels, 2) for colour in patch])  # colour by colour
    x = unfolded(residuals, state["group1_b.0.weight"], 1, state["group1_b.0.bias"])
    x = normed(x, state, "group1_b.1").clamp(-5, 5)
    for group, places in GROUPS.items():
        for place, _ in places:
            x = unfolded(x, state[f"{group}.{place}.weight"], 1, state[f"{group}.{place}.bias"])
            x = normed(x, state, f"{group}.{place + 1}").clamp_min(0)
        if group != "group5":
            x = F.unfold(x[:, None], 3, padding=1, stride=2).mean(1).view(32, x.shape[1] // 2, -1)
    x = x.flatten(1)
    x = x - x.mean(1, keepdim=True)
    matrix = x @ x.T / x.shape[1]
    Y, Z, one = matrix / matrix.trace(), torch.eye(32).double(), torch.eye(32).double()
    for _ in range(5):
        Y, Z = Y @ (3 * one - Z @ Y) / 2, (3 * one - Z @ Y) @ Z / 2
    root = Y * matrix.trace().sqrt()
    return torch.cat([root[i, i:] for i in range(32)])


def unfolded(x, weight, padding, bias=None):
    windows = F.unfold(x[None], weight.shape[-1], padding=padding)[0]
    y = (weight.flatten(1) @ windows).view(len(weight), *x.shape[1:])
    return y if bias is None else y + bias[:, None, None]


def normed(x, state, name):
    over = tuple(range(1, x.ndim)) if x.ndim == 2 else (0, 1, 2)
    deviation = x - x.mean(over, keepdim=True)
    spread = (deviation.square().mean(over, keepdim=True) + 1e-5).sqrt()
    return deviation / spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x, state, name):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


@pytest.fixture(scope="module")
def pictures():
    return torch.randint(0, 256, (2, 2, 3, 64, 64), generator=torch.Generator().manual_seed(9)).float()


def pretext_state(seed=0):
    state = {f"module.backbone.{name}": value for name, value in network_state(seed).items()}
    for name, classes in AUTHORS_HEADS.items():
        state |= {
            f"module.{name}.weight": torch.randn(classes, 528),
            f"module.{name}.bias": torch.randn(classes),
        }
    return state


def test_a_pretext_checkpoint_gives_the_authors_outputs(pictures, tmp_path):
    torch.save({"state_net": pretext_state()}, tmp_path / "1000.pth")
    state = torch.load(tmp_path / "1000.pth", weights_only=True)["state_net"]
    ranker = SdaieRanker(SdaieNet(pool="first"), AUTHORS_HEADS).eval()
    ranker.load_state_dict(import_sdaie(state))
    feature = torch.stack([literal_feature(network_state(0), patches) for patches in pictures])
    with torch.no_grad():
        ours, outputs = ranker.encoder(pictures).double(), ranker(pictures)
    assert float((ours - feature).norm() / feature.norm()) < 1e-4
    for name in AUTHORS_HEADS:
        expected = feature @ state[f"module.{name}.weight"].double().T + state[f"module.{name}.bias"]
        torch.testing.assert_close(outputs[name].double(), expected, atol=1e-2, rtol=1e-3)


def test_a_binary_checkpoint_gives_the_authors_outputs(pictures):
    networks = {
        "diffusionextractor_pretrained": network_state(1),
        "diffusionextractor_random": network_state(2),
    }
    state = {
        f"module.{network}.{name}": value
        for network, names in networks.items()
        for name, value in names.items()
    }
    head = torch.randn(2, 528)
    state |= {"module.fc.weight": head, "module.fc.bias": torch.tensor([0.5, -0.5])}
    classifier = RegularisedClassifier(SdaieNet(pool="first"), SdaieNet(pool="first")).eval()
    classifier.load_state_dict(import_sdaie_binary(state))
    feature = torch.stack([literal_feature(networks["diffusionextractor_random"], one) for one in pictures])
    with torch.no_grad():
        logits = classifier.logits(pictures)
    assert {
        name: tuple(value.shape) for name, value in classifier.state_dict().items()
    } == sdaie_binary_shapes()
    expected = feature @ head.double().T + torch.tensor([0.5, -0.5])
    torch.testing.assert_close(logits.double(), expected, atol=1e-2, rtol=1e-3)


def test_without_the_prefix_of_parallel_training():
    state = {name.removeprefix("module."): value for name, value in pretext_state().items()}
    SdaieRanker(SdaieNet(pool="first"), AUTHORS_HEADS).load_state_dict(import_sdaie(state))


def test_a_file_is_known_by_its_names_and_read_strictly(tmp_path):
    state = pretext_state()
    torch.save({"state_net": state}, tmp_path / "1000.pth")
    imported = import_checkpoint(tmp_path / "1000.pth")
    assert imported.layout == "sdaie"
    assert set(imported.tensors) == set(import_sdaie(state))

    foreign = {"module.backbone.group6.0.weight": torch.zeros(1), "module.fc15.weight": torch.zeros(1)}
    torch.save({"state_net": state | foreign}, tmp_path / "foreign.pth")
    with pytest.raises(RecipeError, match=r"unknown: encoder\.group6\.0\.weight, fc15\.weight"):
        import_checkpoint(tmp_path / "foreign.pth")
    del state["module.backbone.group4.3.bias"]
    torch.save({"state_net": state}, tmp_path / "cut.pth")
    with pytest.raises(RecipeError, match=r"missing: encoder\.groups\.2\.3\.bias"):
        import_checkpoint(tmp_path / "cut.pth")


def test_an_imported_file_starts_a_network(tmp_path):
    torch.save({"state_net": pretext_state()}, tmp_path / "1000.pth")
    ranker = SdaieRanker(SdaieNet(), {"iso": 1})
    load_init(ranker, tmp_path / "1000.pth")
    kernels = network_state(0)["group1.hpf.weight"][:, 0]
    assert torch.equal(ranker.encoder.stem.kernels, kernels)

"""CLIP's towers at reduced size, against torch's own attention and a literal forward pass."""

import torch
from torch import nn
from torch.nn import functional as F

from cameraborn.networks.clip import Attention
from cameraborn.rivals.backbones.clip import (
    AttentionPool,
    ModifiedResNet,
    VisionTransformer,
    picture_tower,
)
from tests.rivals.formula import formula_, formula_pictures


def test_attention_is_torchs():
    ours, theirs = formula_(Attention(128, 2, causal=False)), nn.MultiheadAttention(128, 2, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.randn(2, 5, 128)
    with torch.no_grad():
        expected = theirs(tokens, tokens, tokens, need_weights=False)[0]
        assert torch.allclose(ours(tokens), expected, atol=1e-5)


def test_a_transformer_is_its_literal_forward_pass():
    network = formula_(VisionTransformer(patch=8, width=64, layers=2, features=10, side=24))
    state = network.state_dict()
    pictures = formula_pictures(2, 24)

    def norm(x, name):
        return F.layer_norm(x, (64,), state[f"{name}.weight"], state[f"{name}.bias"])

    for picture, found in zip(pictures, network(pictures), strict=True):
        tokens = [state["class_embedding"]]
        for y in range(3):
            for x in range(3):
                patch = picture[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                tokens.append((state["conv1.weight"] * patch).sum(dim=(1, 2, 3)))
        t = norm(torch.stack(tokens) + state["positional_embedding"], "ln_pre")
        for block in range(2):
            at = f"transformer.resblocks.{block}"
            inner = norm(t, f"{at}.ln_1")
            q, k, v = F.linear(
                inner, state[f"{at}.attn.in_proj_weight"], state[f"{at}.attn.in_proj_bias"]
            ).split(64, 1)
            mixed = (q @ k.T / 8).softmax(dim=1) @ v  # one head of 64
            t = t + F.linear(mixed, state[f"{at}.attn.out_proj.weight"], state[f"{at}.attn.out_proj.bias"])
            inner = F.linear(
                norm(t, f"{at}.ln_2"), state[f"{at}.mlp.c_fc.weight"], state[f"{at}.mlp.c_fc.bias"]
            )
            inner = inner * torch.sigmoid(1.702 * inner)
            t = t + F.linear(inner, state[f"{at}.mlp.c_proj.weight"], state[f"{at}.mlp.c_proj.bias"])
        assert torch.allclose(found, norm(t[0], "ln_post") @ state["proj"], atol=1e-4)


def test_attention_pooling_is_torchs_with_the_mean_as_query():
    pool = formula_(AttentionPool(grid=3, width=128, features=7))
    maps = torch.randn(2, 128, 3, 3)
    tokens = maps.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(dim=0, keepdim=True), tokens]) + pool.positional_embedding[:, None]
    biases = torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias])
    expected, _ = F.multi_head_attention_forward(
        *(tokens, tokens, tokens, 128, 2, None, biases, None, None, False, 0.0),
        *(pool.c_proj.weight, pool.c_proj.bias),
        training=False,
        need_weights=False,
        use_separate_proj_weight=True,
        q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight,
        v_proj_weight=pool.v_proj.weight,
    )
    assert torch.allclose(pool(maps), expected[0], atol=1e-5)


def test_the_residual_tower_halves_by_averaging():
    network = formula_(ModifiedResNet(layers=(1, 1, 1, 1), width=16, features=5, side=64))
    with torch.no_grad():
        assert network(formula_pictures(2, 64)).shape == (2, 5)
        block = network.layer2[0]
        maps = torch.randn(1, 64, 8, 8)
        y = torch.relu(block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(maps))))))
        y = block.bn3(block.conv3(F.avg_pool2d(y, 2)))
        beside = block.downsample[2](block.downsample[1](F.avg_pool2d(maps, 2)))
        assert torch.allclose(block(maps), torch.relu(y + beside), atol=1e-5)
    assert {key.split(".")[3] for key in network.state_dict() if key.startswith("layer2.0.downsample")} == {
        "0",
        "1",
    }


def test_of_a_whole_state_the_picture_tower_is_taken():
    state = {
        "visual.proj": torch.ones(1),
        "text_projection": torch.ones(1),
        "visual.ln_pre.bias": torch.ones(1),
    }
    assert set(picture_tower(state)) == {"proj", "ln_pre.bias"}

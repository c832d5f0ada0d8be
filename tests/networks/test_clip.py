"""CLIP's text tower against torch's own attention, its published layout, and BLADES' checkpoints."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cameraborn.networks.clip import PromptHeads, TextTower, split_blades_checkpoint

SMALL = {
    "width": 16,
    "layers": 2,
    "heads": 2,
    "context": 12,
    "vocabulary": 30,
    "embedding": 10,
    "features": 6,
}
END = 29


def small_tower(seed=0):
    torch.manual_seed(seed)
    tower = TextTower(**SMALL).double()
    with torch.no_grad():
        for parameter in tower.parameters():  # norms and biases too must be seen to matter
            parameter.add_(0.1 * torch.randn_like(parameter))
    return tower


def sentences():
    return torch.tensor(
        [[28, 3, 4, END, 0, 0, 0, 0], [28, 5, 6, 7, 8, END, 0, 0], [28, END, 0, 0, 0, 0, 0, 0]]
    )


def literal_tower(state, tokens):
    """One sentence at a time, through the whole context, head by head, token by token."""
    W, heads = SMALL["width"], SMALL["heads"]
    out = []
    for sentence in tokens:
        padded = F.pad(sentence, (0, SMALL["context"] - len(sentence)))
        x = state["token_embedding.weight"][padded] + state["positional_embedding"]
        for layer in range(SMALL["layers"]):
            block = {
                name.removeprefix(f"transformer.resblocks.{layer}."): value
                for name, value in state.items()
                if name.startswith(f"transformer.resblocks.{layer}.")
            }
            y = F.layer_norm(x, (W,), block["ln_1.weight"], block["ln_1.bias"])
            q, k, v = (y @ block["attn.in_proj_weight"].T + block["attn.in_proj_bias"]).chunk(3, dim=1)
            seen = torch.zeros_like(x)
            size = W // heads
            for h in range(heads):
                part = slice(h * size, (h + 1) * size)
                for at in range(len(x)):
                    weights = torch.stack([q[at, part] @ k[b, part] for b in range(at + 1)]) / math.sqrt(size)
                    seen[at, part] = weights.softmax(0) @ v[: at + 1, part]
            x = x + seen @ block["attn.out_proj.weight"].T + block["attn.out_proj.bias"]
            y = F.layer_norm(x, (W,), block["ln_2.weight"], block["ln_2.bias"])
            y = y @ block["mlp.c_fc.weight"].T + block["mlp.c_fc.bias"]
            y = y / (1 + torch.exp(-1.702 * y))
            x = x + y @ block["mlp.c_proj.weight"].T + block["mlp.c_proj.bias"]
        x = F.layer_norm(x, (W,), state["ln_final.weight"], state["ln_final.bias"])
        feature = x[sentence.tolist().index(END)] @ state["text_projection"]
        feature = feature @ state["text_fc.weight"].T + state["text_fc.bias"]
        out.append(feature / feature.norm())
    return torch.stack(out)


@torch.no_grad()
def test_the_tower_is_the_literal_one():
    tower, tokens = small_tower(), sentences()
    expected = literal_tower(tower.state_dict(), tokens).float()
    torch.testing.assert_close(tower(tokens), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_attention_is_torchs_own():
    block = small_tower().transformer.resblocks[0]
    theirs = nn.MultiheadAttention(16, 2, batch_first=True).double()
    theirs.load_state_dict(block.attn.state_dict())
    x = torch.randn(3, 7, 16, dtype=torch.float64)
    later = torch.ones(7, 7, dtype=torch.bool).triu(1)
    expected, _ = theirs(x, x, x, attn_mask=later, need_weights=False)
    torch.testing.assert_close(block.attn(x), expected)


@torch.no_grad()
def test_what_stands_behind_the_end_does_not_matter():
    tower, tokens = small_tower(), sentences()
    torch.testing.assert_close(tower(F.pad(tokens, (0, 4))), tower(tokens), rtol=1e-6, atol=1e-7)
    alone = torch.cat([tower(sentence[None]) for sentence in tokens])
    torch.testing.assert_close(alone, tower(tokens), rtol=1e-6, atol=1e-7)


def published_layout():
    """Names and shapes of CLIP RN50's text half, and BLADES' last layer."""
    layout = {
        "token_embedding.weight": (49408, 512),
        "positional_embedding": (77, 512),
        "ln_final.weight": (512,),
        "ln_final.bias": (512,),
        "text_projection": (512, 1024),
        "logit_scale": (),
        "text_fc.weight": (768, 1024),
        "text_fc.bias": (768,),
    }
    for layer in range(12):
        layout |= {
            f"transformer.resblocks.{layer}.{name}": shape
            for name, shape in {
                "attn.in_proj_weight": (1536, 512),
                "attn.in_proj_bias": (1536,),
                "attn.out_proj.weight": (512, 512),
                "attn.out_proj.bias": (512,),
                "ln_1.weight": (512,),
                "ln_1.bias": (512,),
                "mlp.c_fc.weight": (2048, 512),
                "mlp.c_fc.bias": (2048,),
                "mlp.c_proj.weight": (512, 2048),
                "mlp.c_proj.bias": (512,),
                "ln_2.weight": (512,),
                "ln_2.bias": (512,),
            }.items()
        }
    return layout


def test_the_full_tower_has_the_published_layout():
    with torch.device("meta"):
        state = TextTower().state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == published_layout()


@pytest.mark.parametrize("prefix", ["model.", "module.model."])
def test_blades_checkpoint_loads_strictly(prefix):
    picture, source = nn.Linear(4, 6), small_tower()
    state = {f"{prefix}visual.{name}": value for name, value in picture.state_dict().items()}
    state |= {f"{prefix}{name}": value for name, value in source.state_dict().items()}
    visual, text = split_blades_checkpoint(state)
    nn.Linear(4, 6).load_state_dict(visual)
    tower = small_tower(seed=1)
    tower.load_state_dict(text)
    assert torch.equal(tower(sentences()), source(sentences()))
    foreign, text = split_blades_checkpoint(state | {f"{prefix}fc1.weight": torch.zeros(2)})
    assert "fc1.weight" in text | foreign  # never dropped in silence
    with pytest.raises(RuntimeError, match=r"fc1\.weight"):
        tower.load_state_dict(text)


def test_heads_are_scaled_cosines_cut_by_task():
    tower = small_tower()
    heads = PromptHeads(tower, sentences(), {"two": slice(0, 2), "one": slice(2, 3)})
    feature = torch.randn(5, 6)
    logits = heads(feature)
    with torch.no_grad():
        for b in range(5):
            cosines = [float(F.cosine_similarity(feature[b], prompt, dim=0)) for prompt in tower(sentences())]
            scaled = [float(tower.logit_scale.exp()) * cosine for cosine in cosines]
            assert logits["two"][b].tolist() == pytest.approx(scaled[:2], rel=1e-5)
            assert logits["one"][b].tolist() == pytest.approx(scaled[2:], rel=1e-5)
    sum(part.sum() for part in logits.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in tower.parameters())
    assert "tokens" not in heads.state_dict()  # a checkpoint of CLIP has none

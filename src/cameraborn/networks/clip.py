"""CLIP's text tower (Radford et al., arXiv 2103.00020) and classification by prompts, as BLADES uses them.

BLADES (arXiv 2507.22824) gives each value of a tag a sentence, and classifies a picture by the cosine between its
feature and the sentences' features. The tower is that of CLIP "RN50" with one linear layer more, to the width of
the picture's feature; parameter names are CLIP's, so that published weights load strictly.

Shapes: B pictures, P prompts, L tokens, W the tower's width, E of CLIP's joint space, D features.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.networks.tokenizer import VOCABULARY

_PREFIXES = ("module.", "model.")  # of DataParallel, and of BLADES' wrapper


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x): the approximation that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al., 2017); if causal, a token sees itself and those before it alone."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[P L W] to the same shape."""
        P, L, W = x.shape
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = projected.view(P, L, 3, self.heads, W // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.out_proj(y.transpose(1, 2).reshape(P, L, W))
        return out


class Block(nn.Module):
    """Attention, then two layers on each token, both beside the identity and behind a layer norm."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, causal=causal)
        self.ln_2 = nn.LayerNorm(width)
        wide, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(OrderedDict(c_fc=wide, gelu=QuickGELU(), c_proj=narrow))

    def forward(self, x: Tensor) -> Tensor:
        """[P L W] to the same shape."""
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class TextTower(nn.Module):
    """Sentences to unit vectors in the space of the pictures' features. The defaults are CLIP RN50's and BLADES'.

    Args:
        width, layers, heads: of the transformer.
        context: tokens a sentence at most.
        vocabulary: rows of the token table.
        embedding: width of CLIP's joint space, E.
        features: width of the pictures' feature, D.
    """

    def __init__(
        self,
        *,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        context: int = 77,
        vocabulary: int = VOCABULARY,
        embedding: int = 1024,
        features: int = 768,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.randn(context, width) * 0.01)
        blocks = nn.Sequential(*(Block(width, heads, causal=True) for _ in range(layers)))
        self.transformer = nn.ModuleDict({"resblocks": blocks})
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, embedding) * width**-0.5)
        self.text_fc = nn.Linear(embedding, features)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self._initialise(width, layers)

    def _initialise(self, width: int, layers: int) -> None:
        """CLIP's starting values: what enters the identity shrinks with the depth."""
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        for name, weight in self.transformer.named_parameters():
            if name.endswith(("out_proj.weight", "c_proj.weight")):
                nn.init.normal_(weight, std=(2 * width * layers) ** -0.5)
            elif name.endswith("c_fc.weight"):
                nn.init.normal_(weight, std=(2 * width) ** -0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens int64 [P L], zeros behind the end, to unit vectors [P D]."""
        ends = tokens.argmax(dim=1)  # the end of text has the largest number
        # A token sees none behind it, so what stands behind the longest sentence's end cannot matter.
        tokens = tokens[:, : int(ends.max()) + 1]
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        x = self.ln_final(self.transformer["resblocks"](x))
        last = x[torch.arange(len(x), device=x.device), ends]
        return F.normalize(self.text_fc(last @ self.text_projection).float(), dim=1)


class PromptHeads(nn.Module):
    """The heads of all tasks at once: scaled cosines between a picture's feature and each task's prompts.

    Args:
        text: the tower; it is trained with the rest, as in BLADES' code.
        tokens: of the prompts, int64 [P L].
        slices: task -> its prompts among the P.
    """

    tokens: Tensor

    def __init__(self, text: TextTower, tokens: Tensor, slices: Mapping[str, slice]) -> None:
        super().__init__()
        self.text = text
        self.slices = dict(slices)
        self.register_buffer("tokens", tokens, persistent=False)

    def forward(self, feature: Tensor) -> dict[str, Tensor]:
        """Features [B D] to each task's logits [B prompts]."""
        prompts = self.text(self.tokens)
        # In full precision: expected levels are compared with each other.
        with torch.autocast(device_type=feature.device.type, enabled=False):
            logits = self.text.logit_scale.exp() * F.normalize(feature.float(), dim=1) @ prompts.T
        return {name: logits[:, part] for name, part in self.slices.items()}


class PromptRanker(nn.Module):
    """An encoder of pictures with prompts for heads."""

    def __init__(self, encoder: nn.Module, heads: PromptHeads) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Pictures, whatever the encoder takes, to each task's logits [B prompts]."""
        logits: dict[str, Tensor] = self.heads(self.encoder(pixels))
        return logits


def split_blades_checkpoint(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The two halves of BLADES' one-class checkpoint (`ckpt["model"]`): the picture's network, and the `TextTower`.

    Names lose `module.` and `model.`, the first half also `visual.`; nothing is dropped, so that loading both halves
    strictly finds what is missing or unknown.
    """
    visual: dict[str, Tensor] = {}
    text: dict[str, Tensor] = {}
    for name, value in state.items():
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        half = visual if name.startswith("visual.") else text
        half[name.removeprefix("visual.")] = value
    return visual, text

"""The first blocks of CLIP ViT-B/16's picture tower with fewer parts: what ships, and how pictures come before it.

Attention has as many heads, whose queries, keys and values are narrower; the two layers behind it have fewer hidden
units. `clip_prune.py` makes it of the whole tower, `clip_tune.py` teaches it.

Shapes: N pictures, L = 197 tokens, of which the first is for the whole picture, W = 768.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from cache import Pixels
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.photo.patches import square_resize
from cameraborn.rivals.backbones.clip import VisionTransformer
from cameraborn.rivals.inputs import CLIP

SIDE, WIDTH, HEADS, TOKENS = 224, 768, 12, 197
SCALE = 64**-0.5  # of attention, as in CLIP, however narrow a head is here
READ = (5, 8)  # blocks whose streams are read, from 0


class Sizes(NamedTuple):
    """Of a block: width of a head's queries and keys, of its values, and hidden units."""

    keys: int
    values: int
    hidden: int


class SlimBlock(nn.Module):
    """A block of the tower; the keys have no bias, as softmax does not see it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q = nn.Linear(WIDTH, HEADS * sizes.keys)
        self.k = nn.Linear(WIDTH, HEADS * sizes.keys, bias=False)
        self.v = nn.Linear(WIDTH, HEADS * sizes.values)
        self.o = nn.Linear(HEADS * sizes.values, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, sizes.hidden), nn.Linear(sizes.hidden, WIDTH)

    def mixed(self, x: Tensor) -> Tensor:
        """What attention makes of the values, all heads side by side: [N L W] to [N L heads x values]."""
        y = self.ln_1(x)
        q, k, v = (layer(y).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return F.scaled_dot_product_attention(q, k, v, scale=SCALE).transpose(1, 2).flatten(2)

    def hidden(self, x: Tensor) -> Tensor:
        """The hidden units behind attention: [N L W] to [N L hidden]."""
        y = self.up(self.ln_2(x))
        return y * torch.sigmoid(1.702 * y)

    def forward(self, x: Tensor) -> Tensor:
        """[N L W] to the same shape."""
        x = x + self.o(self.mixed(x))
        out: Tensor = x + self.down(self.hidden(x))
        return out

    def linear(self) -> dict[str, nn.Linear]:
        """Its linear layers by their names."""
        return {name: layer for name, layer in self.named_children() if isinstance(layer, nn.Linear)}


class SlimTower(nn.Module):
    """Blocks of a tower on pictures in grey levels 0..255."""

    def __init__(self, sizes: list[Sizes]) -> None:
        super().__init__()
        self.sizes = sizes
        self.conv1 = nn.Conv2d(3, WIDTH, 16, stride=16, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(WIDTH))
        self.positional_embedding = nn.Parameter(torch.zeros(TOKENS, WIDTH))
        self.ln_pre = nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(map(SlimBlock, sizes))

    def tokens(self, pixels: Tensor) -> Tensor:
        """Pictures [N 3 S S] to what enters the first block [N L W]."""
        mean, deviation = (torch.tensor(values).view(3, 1, 1) * 255 for values in CLIP)
        patches = self.conv1(((pixels - mean) / deviation).to(self.conv1.weight.dtype))
        whole = self.class_embedding.expand(pixels.shape[0], 1, -1)
        tokens = torch.cat([whole, patches.flatten(2).transpose(1, 2)], dim=1)
        out: Tensor = self.ln_pre(tokens + self.positional_embedding)
        return out

    def streams(self, pixels: Tensor) -> list[Tensor]:
        """The stream [N L W] behind each block."""
        x, found = self.tokens(pixels), []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures [N 3 S S] to features [N 4 W]: mean and deviation over the patches of the streams of `READ`."""
        streams = self.streams(pixels)
        return torch.cat([part for number in READ for part in spread(streams[number])], dim=1)

    @property
    def features(self) -> int:
        """Width of the feature."""
        return 2 * WIDTH * len(READ)


def spread(stream: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the tokens of patches, [N L W] to [N W] each."""
    patches = stream[:, 1:]
    mean = patches.mean(dim=1)
    return mean, ((patches - mean[:, None]) ** 2).mean(dim=1).sqrt()


def whole_tower(file: Path, blocks: int = max(READ) + 1) -> SlimTower:
    """The first blocks of CLIP ViT-B/16 as they are, from a file of `clip_weights.py` or `import-checkpoint`."""
    theirs = VisionTransformer(patch=16, width=WIDTH, layers=12, features=512)
    theirs.load_state_dict(load_file(file))
    tower = SlimTower([Sizes(WIDTH // HEADS, WIDTH // HEADS, 4 * WIDTH)] * blocks)
    state = {name: value for name, value in theirs.state_dict().items() if name in tower.state_dict()}
    for number, block in enumerate(theirs.transformer["resblocks"][:blocks]):  # type: ignore[index]
        ours = f"blocks.{number}."
        for part, weight, bias in zip(
            "qkv", block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3), strict=True
        ):
            state |= {f"{ours}{part}.weight": weight, f"{ours}{part}.bias": bias}
        del state[f"{ours}k.bias"]
        layers = {"o": block.attn.out_proj, "up": block.mlp.c_fc, "down": block.mlp.c_proj}
        layers |= {"ln_1": block.ln_1, "ln_2": block.ln_2}
        state |= {
            f"{ours}{name}.{key}": v
            for name, layer in layers.items()
            for key, v in layer.state_dict().items()
        }
    tower.load_state_dict(state)
    return tower.eval().requires_grad_(False)


def laid(picture: Pixels) -> Pixels:
    """A face's square as the bundle lays it before the tower, [3 S S]."""
    return np.ascontiguousarray(square_resize(picture, SIDE).transpose(2, 0, 1))


def save(tower: SlimTower, scales: dict[str, Tensor], file: Path) -> None:
    """A tower, and the scales of its weights of four bits: by layer [outputs, groups of inputs]."""
    tensors = tower.state_dict() | {f"scale.{name}": scale for name, scale in scales.items()}
    sizes = ";".join(",".join(map(str, sizes)) for sizes in tower.sizes)
    save_file({name: value.contiguous() for name, value in tensors.items()}, file, {"sizes": sizes})


def load(file: Path) -> tuple[SlimTower, dict[str, Tensor]]:
    """What `save` wrote."""
    with safe_open(file, framework="pt") as opened:
        sizes = [Sizes(*map(int, one.split(","))) for one in opened.metadata()["sizes"].split(";")]
    tensors: dict[str, Any] = load_file(file)
    scales = {
        name.removeprefix("scale."): tensors.pop(name) for name in list(tensors) if name.startswith("scale.")
    }
    tower = SlimTower(sizes)
    tower.load_state_dict(tensors)
    return tower, scales

"""RECCE: a network that must also reconstruct genuine faces, and looks where it cannot.

Cao et al., "End-to-end reconstruction-classification learning for face forgery detection", CVPR 2022. Xception's first
blocks encode the picture; a decoder learns to reconstruct it, from genuine faces alone; the decoder's maps are joined
to the encoder's by graph reasoning, and the error of the reconstruction guides an attention.

Shapes: B pictures, C channels, H and W height and width of a map, P = H W positions, R positions of a larger map that
lie in one of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.photo.decode import Picture
from cameraborn.rivals.backbones.xception import FEATURES, WIDTH, Block, SeparableConv, Xception
from cameraborn.rivals.inputs import HALVES, by_opencv, normalised, to_tensor
from cameraborn.rivals.published import (
    LAYOUTS,
    NETWORKS,
    RIVALS,
    Layout,
    Publication,
    WholeNetwork,
    without_prefix,
)

_PUBLICATION = Publication(
    title="End-to-end reconstruction-classification learning for face forgery detection",
    year=2022,
    paper="CVPR 2022",
    code="https://github.com/VISION-SJTU/RECCE",
    code_licence="MIT",
    weights_licence="CC BY-NC 4.0 (DeepfakeBench; the authors publish none)",
    needs="For its recipe, Xception's ImageNet weights (`start`).",
    differs="The graph reasoning is done for all positions at once; the numbers are the same. The recipe starts "
    "from Xception's weights, as its authors do, only where its `start` names them.",
)

SIDE = 299  # pixels
FLOOD = 0.04  # the classification loss is not driven below this
RECONSTRUCTION, METRIC = 0.1, 0.1  # weights of the two other losses
_BENCH = "release v1.0.1 of https://github.com/SCLBD/DeepfakeBench"
_DROPOUT = 0.2
_NOISE = 1e-6  # deviation of what is added to half of the pictures in training
_EPSILON = 1e-6


class _Encoder(Xception):
    """Xception with its layer of ImageNet's classes, which is in the weights and unused."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(FEATURES, 1000)


def _pair(channels: int, out: int) -> nn.Sequential:
    """Two 1x1 convolutions around a ReLU."""
    first, second = nn.Conv2d(channels, out, 1, bias=False), nn.Conv2d(out, out, 1, bias=False)
    return nn.Sequential(first, nn.ReLU(), second)


def _linear_pair(channels: int, out: int) -> nn.Sequential:
    """The same for vectors."""
    return nn.Sequential(nn.Linear(channels, out, bias=False), nn.ReLU(), nn.Linear(out, out, bias=False))


class GraphReasoning(nn.Module):
    """Each position of a map gathers from those of two larger maps that it covers, by learnt weights.

    Args:
        channels: of the small map (a) and the two larger ones (b, c).
        widths: of their embeddings.
        ratios: sides of the larger maps over that of the small one.
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = (WIDTH, 256, 128),
        widths: tuple[int, int, int] = (256, 256, 256),
        ratios: tuple[int, int] = (2, 4),
    ) -> None:
        super().__init__()
        (a, b, c), (wide_a, wide_b, wide_c) = channels, widths
        self.ratios = ratios
        self.va_embedding = _pair(a, wide_a)
        self.va_gated_b = nn.Sequential(nn.Conv2d(a, wide_a, 1, bias=False), nn.Sigmoid())
        self.va_gated_c = nn.Sequential(nn.Conv2d(a, wide_a, 1, bias=False), nn.Sigmoid())
        self.vb_embedding = _linear_pair(b, wide_b)
        self.vc_embedding = _linear_pair(c, wide_c)
        self.reweight_ab = nn.Sequential(nn.Linear(wide_a + wide_b, 1, bias=False))
        self.reweight_ac = nn.Sequential(nn.Linear(wide_a + wide_c, 1, bias=False))
        self.reproject = nn.Sequential(
            nn.Conv2d(wide_a + wide_b + wide_c, a, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(a, a, 1, bias=False),
            nn.Dropout(_DROPOUT),
        )

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Maps [B C H W], [B Cb rH rW] and [B Cc sH sW] to what is added to the first, [B C H W]."""
        embedded = self.va_embedding(a)  # [B wide H W]
        gathered_b = self._gather(embedded, self.vb_embedding(_covered(b, self.ratios[0])), self.reweight_ab)
        gathered_c = self._gather(embedded, self.vc_embedding(_covered(c, self.ratios[1])), self.reweight_ac)
        joined = torch.cat(
            [gathered_b * (1 - self.va_gated_b(a)), gathered_c * (1 - self.va_gated_c(a)), embedded], dim=1
        )
        out: Tensor = self.reproject(torch.sigmoid(joined))
        return out

    @staticmethod
    def _gather(embedded: Tensor, neighbours: Tensor, reweight: nn.Module) -> Tensor:
        """Embeddings [B wide H W] and those of the covered [B P R wide'] to weighted sums [B wide' H W].

        The weight of a neighbour is a softmax over R of a linear map of both embeddings; the linear map and its ReLU
        come before the softmax, as published.
        """
        B, _, H, W = embedded.shape
        own = embedded.flatten(2).transpose(1, 2).unsqueeze(2).expand(-1, -1, neighbours.shape[2], -1)
        weights = F.relu(reweight(torch.cat([own, neighbours], dim=-1))).softmax(dim=2)  # [B P R 1]
        return (weights * neighbours).sum(dim=2).transpose(1, 2).reshape(B, -1, H, W)


def _covered(maps: Tensor, ratio: int) -> Tensor:
    """[B C rH rW] to the r x r vectors of each of the H W positions, [B P R C]."""
    B, C = maps.shape[:2]
    return F.unfold(maps, ratio, stride=ratio).reshape(B, C, ratio * ratio, -1).permute(0, 3, 2, 1)


class GuidedAttention(nn.Module):
    """More of what stands where the reconstruction fails."""

    def __init__(self, channels: int = WIDTH) -> None:
        super().__init__()
        self.gated = nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(3, 1, 1, bias=False), nn.Sigmoid()
        )
        self.h = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, pictures: Tensor, reconstructed: Tensor, maps: Tensor) -> Tensor:
        """Pictures and their reconstructions [B 3 S S] and maps [B C H W] to maps of the same shape."""
        error = _resized((pictures - reconstructed).abs(), maps)
        out: Tensor = self.gated(error) * self.h(maps) + self.dropout(maps)
        return out


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=True)


def _enlarging(channels: int, out: int) -> nn.Sequential:
    """Twice the side by repetition, then a separable convolution."""
    layers = (SeparableConv(channels, out), nn.BatchNorm2d(out), nn.ReLU())
    return nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), *layers)


@dataclass(frozen=True)
class Outputs:
    """What the losses need: scores [B K], reconstructions [B 3 S S], and similarities of pictures at three depths."""

    scores: Tensor
    reconstructed: Tensor
    similarities: Sequence[Tensor]  # each [B B], in 0..1


class RecceNetwork(nn.Module):
    """The network; one output in the authors' code (generated), two in DeepfakeBench's (genuine, generated)."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.encoder = _Encoder()
        self.dropout = nn.Dropout(_DROPOUT)
        self.fc = nn.Linear(FEATURES, outputs)
        self.attention = GuidedAttention()
        self.reasoning = GraphReasoning()
        self.decoder1 = _enlarging(WIDTH, 256)
        self.decoder2 = Block(256, 256, 3)
        self.decoder3 = _enlarging(256, 128)
        self.decoder4 = Block(128, 128, 3)
        self.decoder5 = _enlarging(128, 64)
        self.decoder6 = nn.Sequential(nn.Conv2d(64, 3, 1, bias=False), nn.Tanh())

    def run(self, pictures: Tensor) -> Outputs:
        """Pictures [B 3 S S] in -1..1 to all outputs."""
        encoder = self.encoder
        seen = _half_noisy(pictures) if self.training else pictures
        encoded = encoder.blocks(1, 4, encoder.stem2(encoder.stem1(seen)))
        decoded_2 = self.decoder2(self.decoder1(self.dropout(encoded)))
        decoded_4 = self.decoder4(self.decoder3(decoded_2))
        reconstructed = _resized(self.decoder6(self.decoder5(decoded_4)), pictures)
        x = encoder.blocks(5, 7, encoded)
        x = encoder.blocks(8, 8, x + self.reasoning(x, decoded_2, decoded_4))
        x = encoder.blocks(9, 12, self.attention(pictures, reconstructed, x))
        features = F.relu(encoder.tail(x)).mean(dim=(2, 3))
        similarities = [similarity(maps) for maps in (encoded, decoded_2, decoded_4)]
        return Outputs(self.fc(self.dropout(features)), reconstructed, similarities)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [B 3 S S] in -1..1 to log-odds of generated, [B]."""
        return log_odds(self.run(pictures).scores)


def log_odds(scores: Tensor) -> Tensor:
    """One output, or the second of two less the first: [B K] to [B]."""
    return scores[:, 0] if scores.shape[1] == 1 else scores[:, 1] - scores[:, 0]


def similarity(maps: Tensor) -> Tensor:
    """Cosines between the pictures' mean vectors, brought to 0..1: [B C H W] to [B B]."""
    unit = F.normalize(maps.mean(dim=(2, 3)), dim=1)
    return (unit @ unit.T + 1) / 2


def metric_loss(similarities: Sequence[Tensor], generated: Tensor) -> Tensor:
    """Genuine pictures are to be alike, and unlike generated ones: the sum over depths of max(0, 1 - s + d).

    s is the mean similarity of two genuine pictures, d that of a genuine and a generated one; of no pairs it is 0.
    """
    fake = generated.bool()
    unlike = (fake[:, None] ^ fake[None]).float()
    both = ~fake[:, None] & ~fake[None]
    alike = (both & ~torch.eye(len(fake), dtype=torch.bool, device=fake.device)).float()
    losses = [F.relu(1 - _mean_over(values, alike) + _mean_over(values, unlike)) for values in similarities]
    return torch.stack(losses).sum()


def _mean_over(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / (mask.sum() + _EPSILON)


def _half_noisy(pictures: Tensor) -> Tensor:
    """Noise on one picture in two, drawn from torch's generator."""
    chosen = (torch.rand(len(pictures), 1, 1, 1, device=pictures.device) > 0.5).float()
    return (pictures + _NOISE * torch.randn_like(pictures) * chosen).clamp(-1, 1)


class Recce(WholeNetwork):
    """RECCE with its own input and losses."""

    name = "recce"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"network": "recce"}
    network: RecceNetwork

    def preprocess(self, picture: Picture) -> Tensor:
        """Resized to 299 x 299 by OpenCV, in -1..1."""
        return normalised(to_tensor(by_opencv(picture.pixels, SIDE, SIDE)), HALVES)

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """Flooded cross-entropy, and a tenth each of genuine pictures' reconstruction error and the metric loss."""
        out = self.network.run(prepared)
        entropy = F.binary_cross_entropy_with_logits(log_odds(out.scores), generated.float())
        loss = (entropy - FLOOD).abs() + FLOOD + METRIC * metric_loss(out.similarities, generated)
        genuine = ~generated.bool()
        if bool(genuine.any()):
            loss = loss + RECONSTRUCTION * (out.reconstructed[genuine] - prepared[genuine]).abs().mean()
        return loss


class RecceOfDeepfakeBench(Recce):
    """RECCE with the two outputs that DeepfakeBench's weights have."""

    name = "recce-deepfakebench"
    parts: Mapping[str, str] = {"network": "recce-deepfakebench"}


def _of_deepfakebench(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Its detector holds the network as `model`, beside a `backbone` that it does not use."""
    used = {key: value for key, value in weights.items() if not key.startswith("backbone.")}
    return without_prefix("model.", used)


NETWORKS.add("recce", RecceNetwork)
NETWORKS.add("recce-deepfakebench", lambda: RecceNetwork(outputs=2))
LAYOUTS.add("recce", Layout("recce", "model_params_best.pt", _PUBLICATION.code, is_published=False))
LAYOUTS.add(
    "deepfakebench-recce",
    Layout("recce-deepfakebench", "recce_best.pth", _BENCH, translate=_of_deepfakebench),
)
RIVALS.add("recce", Recce)
RIVALS.add("recce-deepfakebench", RecceOfDeepfakeBench)

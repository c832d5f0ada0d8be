"""Forensic self-descriptions: how a picture's residuals predict themselves, as one vector a picture.

Nguyen, Azizpour and Stamm, CVPR 2025, arXiv 2503.21003: the strongest detector that learns from photographs alone.
Eight learnt filters predict a grey pixel from its neighbours; what they miss is the residual. At three sizes, the
residuals' sum is predicted linearly from all their neighbours by constrained least squares, and the coefficients are
the description. Its density among photographs is a mixture of five Gaussians with one covariance in the paper; here it
is whatever reads encoders in a benchmark: its mixture with `covariance = "tied"` is that of the paper.

Shapes: B pictures, K filters, N side of a filter, S side of the prediction's neighbourhood, H and W height and width,
F = K (S S - 1) coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.photo.decode import Picture
from cameraborn.rivals.published import ENCODERS, LAYOUTS, NETWORKS, Encoder, Layout, Publication
from cameraborn.rivals.shifted_products import shifted_products

_PUBLICATION = Publication(
    title="Forensic self-descriptions are all you need for zero-shot detection",
    year=2025,
    paper="CVPR 2025, arXiv 2503.21003",
    code="https://github.com/ductai199x/Forensic-Self-Descriptions-CVPR25",
    code_licence="CC BY-NC-SA 4.0",
    weights_licence="CC BY-NC-SA 4.0",
    needs="Photographs to learn its filters and its density from.",
    differs="The published file of learnt transforms behind the description is not used; the paper has none. "
    "The loss of the filters is our own, as the public code does not train. The density is the benchmark's: its "
    'mixture with five components and covariance = "tied" is the paper\'s.',
)

FILTERS, FILTER_SIDE, SIDE, SCALES = 8, 15, 11, 3
SHORTEST = 1024  # pixels, side that residuals are resized and cut to
OF_A_FACE = 256  # pixels, the same for faces that are no larger: a sixteenth of the work
RIDGE = 1e-5  # added to the diagonal
_DIVERSITY = 1.0  # weight of the filters' independence in the loss


class PredictionFilters(nn.Module):
    """Filters that predict a pixel from its neighbours: the centre is 0 and the others sum to 1.

    Args:
        filters: K.
        side: N, odd.
    """

    one_middle: Tensor

    def __init__(self, filters: int = FILTERS, side: int = FILTER_SIDE) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(filters, 1, side, side))
        nn.init.xavier_normal_(self.w, gain=1 / 3)
        middle = torch.zeros(side * side)
        middle[side * side // 2] = 1
        self.register_buffer("one_middle", middle)

    def constrained(self) -> Tensor:
        """The filters as they are applied, [K 1 N N]."""
        flat = self.w.flatten(1)
        flat = flat - flat.mean(dim=1, keepdim=True) + 1 / (flat.shape[1] - 1)
        around = flat * (1 - self.one_middle)
        return (around / around.sum(dim=1, keepdim=True)).view_as(self.w)

    def forward(self, grey: Tensor) -> Tensor:
        """Grey pictures [B 1 H W] to what the filters miss, [B K H W]; black beyond the edge."""
        weights = self.constrained().to(grey.dtype)
        return grey - F.conv2d(grey, weights, padding=self.w.shape[-1] // 2)


def predict_itself(maps: list[Tensor], side: int, ridge: float = RIDGE) -> Tensor:
    """The linear prediction of the sum of K maps from the neighbours in each, over all positions and sizes.

    The coefficients of a map sum to 1; of all such they have the least squared error, plus `ridge` times their square.
    Edges are reflected.

    Args:
        maps: one [K H W] a size, in float64; H and W are at least S.
        side: S, odd.

    Returns:
        The coefficients [K (S S - 1)], map by map, row by row.
    """
    K, reach, middle = maps[0].shape[0], side // 2, side * side // 2
    around = torch.arange(side * side) != middle
    count = K * (side * side - 1)
    products, targets = maps[0].new_zeros(count, count), maps[0].new_zeros(count)
    for one in maps:
        padded = F.pad(one[None], (reach, reach, reach, reach), mode="reflect")[0]
        of_all = shifted_products(padded, side).view(K, side * side, K, side * side)[:, around]
        products += of_all[..., around].reshape(count, count)
        targets += of_all[..., middle].sum(dim=2).flatten()
    sums = torch.kron(torch.eye(K, dtype=maps[0].dtype), maps[0].new_ones(1, side * side - 1))
    system = torch.cat(
        [
            torch.cat([products + ridge * torch.eye(count, dtype=maps[0].dtype), sums.T], dim=1),
            torch.cat([sums, maps[0].new_zeros(K, K)], dim=1),
        ]
    )
    solution: Tensor = torch.linalg.solve(system, torch.cat([targets, maps[0].new_ones(K)]))
    return solution[:count]


class SelfDescription(Encoder):
    """The description of a picture.

    Args:
        shortest: side to which residuals are brought, pixels; the published 1024, or `OF_A_FACE`.
    """

    name = "self-description"
    publication = _PUBLICATION
    parts: Mapping[str, str] = {"filters": "prediction-filters"}
    trained = ("filters",)
    features = FILTERS * (SIDE * SIDE - 1)
    statistics = ((0.0,) * 3, (1 / 255,) * 3)

    def __init__(self, shortest: int = SHORTEST) -> None:
        super().__init__()
        self.filters = PredictionFilters()
        if shortest == OF_A_FACE:
            self.name = f"{self.name}-{shortest}"
        self.shortest = shortest

    def preprocess(self, picture: Picture) -> Tensor:
        """Grey levels 0..255 by Pillow's weights, three times the same, [3 H W]; not resized."""
        grey = np.asarray(Image.fromarray(picture.pixels).convert("L"))
        return torch.from_numpy(grey.copy()).float().expand(3, -1, -1)

    def compute(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 H W] to descriptions [B F], float64."""
        with torch.no_grad():
            return torch.stack([self.describe(picture[:1].double()) for picture in batch])

    def describe(self, grey: Tensor) -> Tensor:
        """One grey picture [1 H W], float64, to its description [F]."""
        reach = FILTER_SIDE // 2
        residuals = self.filters(grey[None])[..., reach:-reach, reach:-reach]
        factor = self.shortest / min(residuals.shape[-2:])
        height, width = (round(size * factor) for size in residuals.shape[-2:])
        residuals = _resized(residuals, size=(height, width))
        y, x = (max(0, (size - self.shortest) // 2) for size in (height, width))
        residuals = residuals[..., y : y + self.shortest, x : x + self.shortest]
        maps = [_resized(residuals, factor=0.5**scale)[0] for scale in range(SCALES)]
        return predict_itself(maps, SIDE)

    def loss(self, prepared: Tensor, generated: Tensor | None = None) -> Tensor:
        """Of the filters: what they miss of photographs, and how alike they are.

        The mean of the logarithms of the K residuals' energies, less half the log-determinant of their correlations:
        the first falls with better prediction; the second is 0 for independent residuals and falls without limit
        when two filters miss the same.

        Args:
            prepared: preprocessed photographs [B 3 H W].
            generated: nothing is learnt from generated pictures.
        """
        reach = FILTER_SIDE // 2
        residuals = self.filters(prepared[:, :1])[..., reach:-reach, reach:-reach]
        vectors = residuals.transpose(0, 1).flatten(1)
        energies = vectors.square().mean(dim=1).clamp_min(1e-12)
        unit = vectors / (energies.sqrt()[:, None] * vectors.shape[1] ** 0.5)
        correlations = unit @ unit.T + 1e-6 * torch.eye(len(unit), device=unit.device)
        independence: Tensor = torch.logdet(correlations) / 2
        loss: Tensor = energies.log().mean() - _DIVERSITY * independence
        return loss


def _resized(maps: Tensor, size: tuple[int, int] | None = None, factor: float | None = None) -> Tensor:
    """[1 K H W] at another size, bilinear, points taken as they are."""
    return F.interpolate(maps, size, factor, mode="bilinear", align_corners=False, antialias=False)


NETWORKS.add("prediction-filters", PredictionFilters)
LAYOUTS.add("fsd-fre", Layout("prediction-filters", "fre.pt", f"weights of {_PUBLICATION.code}"))
ENCODERS.add("self-description", SelfDescription)
ENCODERS.add(f"self-description-{OF_A_FACE}", partial(SelfDescription, OF_A_FACE))

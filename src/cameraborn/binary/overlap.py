"""Who is in a picture must not tell whether it is generated: overlap weights from what a blurred face shows.

Generators' showcases hold young made-up women; photographs hold office holders and conference guests. A network learns
that at once, and flags photographs of young women. So a logistic regression tells the classes by the features of faces
shrunk until no trace of a generator is left, and each picture is weighted by how likely it is to be of the *other*
class (overlap weights: Li, Morgan and Zaslavsky, JASA 2018), which makes the means of the covariates alike in both.

Shapes: N faces, D features, K covariates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch import nn

from cameraborn.binary.faces import Face, Faces
from cameraborn.errors import RecipeError
from cameraborn.files import Array, Pixels
from cameraborn.photo.crops import square_crop

RECORD = "overlap.json"  # in the run's folder
_FOLDS = 5  # a face's weight comes from a regression that has not seen it
_SCALE, _SIDE = 1.3, 112  # of the crop over the box; pixels that the network is shown
_AT_ONCE = 32  # faces


class OverlapWeights(BaseModel):
    """The weights of a run, in its folder.

    Attributes:
        auc: of the regression that tells the classes by blurred faces, as training would draw them without weights.
        balanced_auc: the same with the weights: near .5 where they do what they should.
        effective: numbers of faces that the weighted ones are worth: photographs, fakes.
        sha256: of each face's file.
        weights: of each face, in the same order, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float
    balanced_auc: float
    effective: tuple[int, int]
    sha256: tuple[str, ...]
    weights: tuple[float, ...]

    @classmethod
    def read(cls, path: Path) -> OverlapWeights:
        """The weights that a run began with.

        Raises:
            RecipeError: the file is missing or damaged.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise RecipeError(
                f"{path}: missing or damaged: delete the run's folder and train again"
            ) from error


def overlap_weights(
    features: NDArray[np.floating],
    fakes: NDArray[np.bool_],
    base: Array,
    sha256: Sequence[str],
    covariates: int,
) -> OverlapWeights:
    """The overlap weights of faces.

    Args:
        features: of blurred faces [N D].
        fakes: which of them are generated [N].
        base: how often each would be drawn without the weights, over those of its class [N].
        sha256: of their files.
        covariates: K, principal components of the features that the regression sees.
    """
    base = base / np.where(fakes, base[fakes].sum(), base[~fakes].sum()) * len(base) / 2
    components = PCA(min(covariates, *features.shape), whiten=True, random_state=0)
    x = components.fit_transform(np.asarray(features, float))
    fake = np.zeros(len(fakes))
    folds = StratifiedKFold(min(_FOLDS, int(fakes.sum()), int((~fakes).sum())), shuffle=True, random_state=0)
    for train, test in folds.split(x, fakes):
        model = LogisticRegression(C=1.0, max_iter=500).fit(x[train], fakes[train], base[train])
        fake[test] = model.predict_proba(x[test])[:, 1]
    weights = np.where(fakes, 1 - fake, fake)
    drawn = base * weights
    photographs, generated = (int(_effective(drawn[fakes == label])) for label in (False, True))
    return OverlapWeights(
        auc=float(roc_auc_score(fakes, fake, sample_weight=base)),
        balanced_auc=float(roc_auc_score(fakes, fake, sample_weight=drawn)),
        effective=(photographs, generated),
        sha256=tuple(sha256),
        weights=tuple(float(round(weight, 6)) for weight in weights),
    )


def _effective(weights: Array) -> float:
    """How many equal ones weights are worth (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


@torch.inference_mode()
def features_of_blurred(
    encoder: nn.Module, faces: Faces, numbers: Sequence[int], side: int
) -> NDArray[np.float32]:
    """Features [N D] of faces that were shrunk to `side` pixels, by an encoder of patches."""
    encoder = encoder.eval()
    device = next(encoder.parameters()).device
    found = []
    for start in range(0, len(numbers), _AT_ONCE):
        squares = [_blurred(faces[number], side) for number in numbers[start : start + _AT_ONCE]]
        patches = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).to(device).float()
        found.append(encoder(patches).float().cpu().numpy())
    return np.concatenate(found)


def _blurred(face: Face, side: int) -> Pixels:
    assert face.box is not None  # of those with a box alone
    square = square_crop(face.pixels, face.box, _SCALE)
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)

"""UnivFD: the middle of the picture, a linear head, and the nearest neighbours by a loop. CLIP is never allocated."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.rivals.published import TRAINED
from cameraborn.rivals.univfd import Banks, UnivFD, UnivFDNearest
from cameraborn.rivals.weights import fill
from tests.rivals.formula import a_picture


def without_memory(rival):
    """The rival with an empty tower, and its small part in memory."""
    with torch.device("meta"):
        made = rival()
    name = made.trained_parts()[0]
    setattr(made, name, torch.nn.Linear(768, 1) if name == "head" else Banks(768))
    return made


def test_the_middle_224_pixels_are_seen_as_they_are():
    picture = a_picture(300, 260)
    seen = without_memory(UnivFD).preprocess(picture)
    red = picture.pixels[38:262, 18:242, 0] / 255
    assert np.allclose(seen[0].numpy(), (red - 0.48145466) / 0.26862954, atol=1e-5)


def test_only_the_head_is_trained():
    rival = without_memory(UnivFD)
    with pytest.raises(RecipeError, match="clip-vit-l14"):
        rival.start_training()
    rival.loaded["tower"] = "0" * 64
    rival.start_training()
    assert rival.loaded == {"tower": "0" * 64}
    assert [name for name, p in rival.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    features, generated = torch.randn(5, 768), torch.tensor([1, 0, 1, 1, 0])
    logits = features @ rival.head.weight[0] + rival.head.bias
    assert torch.allclose(rival.score(features), logits, atol=1e-5)
    literal = -(F.logsigmoid(logits) * generated + F.logsigmoid(-logits) * (1 - generated)).mean()
    assert torch.isclose(rival.loss(features, generated), literal, atol=1e-5)


def test_the_nearest_neighbour_is_found_by_cosine():
    rival = without_memory(UnivFDNearest)
    features, generated = torch.randn(7, 768), torch.tensor([0, 1, 1, 0, 0, 1, 0])
    rival.remember(features, generated)
    queries = torch.randn(3, 768)
    with pytest.raises(RecipeError, match="no weights of the network clip-vit-l14"):
        rival.score(queries)
    rival.loaded["tower"] = "0" * 64
    for query, score in zip(queries, rival.score(queries), strict=True):
        cosines = [F.cosine_similarity(query, one, dim=0) for one in features]
        fake = max(c for c, label in zip(cosines, generated, strict=True) if label)
        genuine = max(c for c, label in zip(cosines, generated, strict=True) if not label)
        assert torch.isclose(score, fake - genuine, atol=1e-5)


def test_banks_take_the_length_of_their_weights():
    rival, again = without_memory(UnivFDNearest), without_memory(UnivFDNearest)
    rival.remember(torch.randn(7, 768), torch.tensor([0, 1, 1, 0, 0, 1, 0]))
    fill(again, "banks", rival.banks.state_dict(), TRAINED, "a file")
    rival.loaded["tower"] = again.loaded["tower"] = "0" * 64
    queries = torch.randn(2, 768)
    assert torch.equal(rival.score(queries), again.score(queries))
    with pytest.raises(RecipeError, match="of another shape"):
        fill(
            again, "banks", {"genuine": torch.zeros(2, 5), "generated": torch.zeros(2, 5)}, TRAINED, "a file"
        )
    assert torch.equal(rival.score(queries), again.score(queries))  # what was refused changed nothing


def test_one_kind_alone_has_no_nearest_of_the_other():
    with pytest.raises(RecipeError, match="give both"):
        without_memory(UnivFDNearest).remember(torch.randn(2, 768), torch.ones(2))

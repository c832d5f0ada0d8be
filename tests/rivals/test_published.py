"""What a published network asks for before it computes: weights of a file, or training that has happened."""

import dataclasses

import pytest
import torch

from cameraborn.errors import RecipeError
from cameraborn.rivals import ENCODERS, RIVALS
from cameraborn.rivals.ladeda import TinyLaDeDa
from cameraborn.rivals.lgrad import LGrad
from cameraborn.rivals.published import TRAINED, without_memory
from tests.rivals.formula import formula_pictures, passes_for_loaded


def test_what_preprocesses_needs_no_weights():
    assert all(parameter.is_meta for parameter in without_memory("tiny-ladeda").parameters())
    assert dataclasses.is_dataclass(without_memory("tiny-ladeda").publication)


def test_training_needs_the_weights_of_what_is_not_trained():
    with torch.device("meta"):
        rival = LGrad()
    with pytest.raises(RecipeError, match="stylegan-discriminator"):
        rival.start_training()
    assert rival.loaded == {}


def test_training_that_was_started_computes_and_its_weights_score_when_it_has_happened():
    rival, pictures, generated = TinyLaDeDa(), formula_pictures(2, 16), torch.tensor([0, 1])
    with pytest.raises(RecipeError, match="no weights"):
        rival(pictures)
    rival.start_training()
    assert rival(pictures).shape == (2,)
    assert rival.loss(pictures, generated).requires_grad
    with pytest.raises(RecipeError, match="no weights"):
        rival.eval()(pictures)
    assert rival.loaded == {}
    rival.count_as_trained()
    assert rival(pictures).shape == (2,)
    assert rival.loaded == {"network": TRAINED}


def test_weights_that_training_changes_are_the_files_no_more():
    rival = passes_for_loaded(TinyLaDeDa())
    rival.start_training()
    assert rival.loaded == {}
    with pytest.raises(RecipeError, match="no weights"):
        rival.eval().score(formula_pictures(2, 16))


def test_every_class_asks_for_weights_in_what_it_computes():
    for name, make in {**RIVALS, **ENCODERS}.items():
        with torch.device("meta"):
            published = make()
        for method in {"compute", "score", "loss"} & {*dir(type(published))}:
            arguments = (torch.zeros(1, 3, 8, 8, device="meta"), torch.zeros(1))[: 1 + (method == "loss")]
            with pytest.raises(RecipeError, match=f"{name}: (no weights|it is not trained|it has no loss)"):
                getattr(published, method)(*arguments)

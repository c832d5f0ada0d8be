"""The regularised classifier: what is frozen, what is compared, what is learnt."""

import pytest
import torch
from torch.nn import functional as F

from cameraborn.binary.regularised import RegularisedClassifier, stages_of
from cameraborn.networks.patchnet import PatchNet
from cameraborn.networks.sdaie import SdaieNet

ENCODERS = {
    "sdaie": SdaieNet,
    "patch": lambda: PatchNet(widths=(4, 6, 8, 8), features=10, dropout=0.2),
}


def patches(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*shape, 3, 64, 64), generator=generator).float()


@pytest.fixture(params=ENCODERS)
def classifier(request):
    torch.manual_seed(0)
    return RegularisedClassifier(ENCODERS[request.param](), ENCODERS[request.param]())


def test_five_depths_and_a_feature(classifier):
    pictures = patches(2, 3)
    *stages, feature = stages_of(classifier.encoder.eval(), pictures)
    assert len(stages) == 5
    assert feature.shape == (2, classifier.encoder.features)
    if isinstance(classifier.encoder, SdaieNet):
        torch.testing.assert_close(feature, classifier.encoder(pictures))
    else:  # the mean over each picture's patches
        one_by_one = torch.stack([classifier.encoder(picture).mean(dim=0) for picture in pictures])
        torch.testing.assert_close(feature, one_by_one, atol=1e-5, rtol=1e-4)


def test_the_distance_is_the_sum_of_mean_squares_and_zero_from_itself(classifier):
    classifier.eval()
    pictures = patches(2, 2)
    logits, distance = classifier(pictures)
    torch.testing.assert_close(logits, classifier.logits(pictures))
    literal = 0.0
    for ours, theirs in zip(
        stages_of(classifier.encoder, pictures)[:5], stages_of(classifier.frozen, pictures)[:5], strict=True
    ):
        literal += float(((ours - theirs) ** 2).sum().detach()) / ours.numel()
    assert float(distance.detach()) == pytest.approx(literal, rel=1e-4)
    classifier.encoder.load_state_dict(classifier.frozen.state_dict())
    assert float(classifier(pictures)[1].detach()) == 0


def test_a_step_moves_the_encoder_and_leaves_the_frozen_copy(classifier):
    classifier.train()
    assert not classifier.frozen.training
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    optimiser = torch.optim.SGD(classifier.parameters(), lr=1e-3)
    logits, distance = classifier(patches(4, 2))
    (F.cross_entropy(logits, torch.tensor([0, 1, 0, 1])) + 0.05 * distance).backward()
    optimiser.step()
    after = classifier.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("frozen."))
    moved = [name for name, p in classifier.named_parameters() if not torch.equal(p, before[name])]
    assert {name.partition(".")[0] for name in moved} == {"encoder", "head"}
    assert all(name in moved for name, p in classifier.named_parameters() if p.requires_grad and p.ndim > 1)


def test_the_score_is_the_log_odds_of_generated(classifier):
    classifier.eval()
    pictures = patches(3, 2)
    probabilities = classifier.logits(pictures).softmax(dim=1)
    odds = (probabilities[:, 1] / probabilities[:, 0]).log()
    torch.testing.assert_close(classifier.score(pictures), odds, atol=1e-5, rtol=1e-4)

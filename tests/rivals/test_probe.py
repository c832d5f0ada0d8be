"""A linear probe trains its head on features, and leaves its encoder as it was."""

import inspect

import torch

from cameraborn.rivals.probe import LinearProbe
from cameraborn.rivals.published import Publication
from tests.rivals.test_similarity import Corners


def test_it_learns_what_a_linear_map_can():
    torch.manual_seed(0)
    encoder = Corners()
    encoder.publication = Publication("", 2024, "", "", "", "", "", "")
    probe = LinearProbe(encoder)
    assert probe.name == "probe-corners"
    assert probe.parts == {"head": "probe-head-12"}
    probe.start_training()
    generated = torch.arange(64) % 2 == 0
    pictures = torch.randn(64, 3, 4, 4)
    pictures[generated, 0, 0, 0] += 3
    features = probe.prepare(pictures)
    optimiser = torch.optim.AdamW(probe.head.parameters(), lr=0.1)
    first = float(probe.loss(features, generated))
    for _ in range(60):
        optimiser.zero_grad()
        probe.loss(features, generated).backward()
        optimiser.step()
    assert float(probe.loss(features, generated)) < first / 2
    probe.count_as_trained()
    scores = probe.eval()(pictures)
    assert ((scores > 0) == generated).float().mean() > 0.9


def test_its_file_opens_with_the_paper_of_its_idea():
    opening = inspect.getmodule(LinearProbe).__doc__
    assert "2016, arXiv 1610.01644" in opening
    assert "in `encoders.py`" in opening

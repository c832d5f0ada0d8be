"""Sections of networks in recipes: what they take, what they hand to the encoder, and what they refuse."""

from typing import ClassVar, Literal

import pytest
from pydantic import TypeAdapter, ValidationError
from torch import nn

from cameraborn.networks.registry import NETWORKS
from cameraborn.networks.section import InputKind, NetworkSection


class FlatSection(NetworkSection):
    """A section whose encoder is one layer."""

    input_kind: ClassVar[InputKind] = "crop"
    not_of_the_encoder: ClassVar[frozenset[str]] = frozenset({"type", "colour"})

    type: Literal["flat"] = "flat"
    features: int = 5
    bias: bool = False
    colour: bool = False

    def encoder(self):
        """One layer."""
        sizes = self.encoder_sizes()
        return nn.LazyLinear(sizes.pop("features"), **sizes)

    def ranker(self, head_sizes):
        """No heads."""
        raise NotImplementedError


def test_the_encoder_gets_every_field_but_those_that_are_not_its_own():
    section = FlatSection(features=7, bias=True, colour=True)
    assert section.encoder_sizes() == {"features": 7, "bias": True}
    assert section.encoder().out_features == 7
    assert section.encoder() is not section.encoder()  # freshly initialised


def test_a_crop_shows_a_face_and_patches_do_not():
    assert FlatSection().sees_faces
    shown = {name: section().sees_faces for name, section in NETWORKS.items()}
    assert shown == {"patch": False, "efficientnet-lite0": False, "resnet50": True, "sdaie": False}
    assert all(name == section().type for name, section in NETWORKS.items())


def test_tiles_are_asked_for_where_the_first_patch_decides():
    assert not FlatSection().tiles
    sdaie = NETWORKS["sdaie"]
    assert (sdaie(pool="first").tiles, sdaie(pool="mean").tiles) == (True, False)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_is_read_back_as_it_was_written(name):
    section = NETWORKS[name]()
    assert TypeAdapter(NETWORKS[name]).validate_json(section.model_dump_json()) == section


@pytest.mark.parametrize("name", NETWORKS)
def test_a_misspelt_size_and_a_change_afterwards_are_refused(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        NETWORKS[name](fetures=8)
    section = NETWORKS[name]()
    with pytest.raises(ValidationError, match="Instance is frozen"):
        section.type = "other"


def test_a_section_without_an_encoder_is_none():
    class Half(NetworkSection):
        """Says what it takes, and builds nothing."""

        input_kind: ClassVar[InputKind] = "crop"

    with pytest.raises(TypeError, match=r"abstract methods? '?encoder'?"):
        Half()

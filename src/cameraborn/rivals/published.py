"""What a published network is to this package: a detector of others (a rival), or an encoder of others.

Each comes with a record of its paper, code and licences; with its original's exact input; and with weights that are
either loaded from a file whose sha256 is kept, or trained here. Without weights it answers with one line that says
which file is missing, where its authors publish it, and how to import it: nothing is ever scored at random.

A network with weights of its own is known by a name in `NETWORKS`, and a form in which its authors publish these
weights by a name in `LAYOUTS`. A rival consists of such networks: `parts` names them.

Shapes: B pictures, H and W their height and width after `preprocess`, D features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.photo.decode import Picture
from cameraborn.registry import Registry

TRAINED = "trained here"  # in place of a file's sha256


@dataclass(frozen=True)
class Publication:
    """Where a published method comes from, and on which terms."""

    title: str  # of the paper
    year: int
    paper: str  # arXiv number or venue
    code: str  # address of the public code, or what is known of it
    code_licence: str
    weights_licence: str
    needs: str  # what it cannot do without
    differs: str = "It does not differ."  # how ours differs from the public code, if it does


@dataclass(frozen=True)
class Layout:
    """A form in which the weights of a network are published.

    Attributes:
        network: a name of `NETWORKS`.
        file: the published file's name.
        origin: where its authors publish it.
        sha256: of that file, where it is known; a file of another sum is refused.
        translate: from the file's keys to the network's; keys that it leaves out are dropped on purpose.
    """

    network: str
    file: str
    origin: str
    sha256: str | None = None
    translate: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict


NETWORKS: Registry[Callable[[], nn.Module]] = Registry("network", RecipeError)
LAYOUTS: Registry[Layout] = Registry("layout", RecipeError)


class Grown(nn.Module):
    """A network that holds as many rows as its weights bring; without weights none."""

    def grow(self, weights: Mapping[str, Tensor]) -> None:
        """Take on the number of rows that the weights have; all of a row but its number stays as it is."""
        for name, buffer in list(self.named_buffers()):
            if name in weights and weights[name].ndim == buffer.ndim:
                setattr(self, name, buffer.new_zeros(weights[name].shape[0], *buffer.shape[1:]))


class Published(nn.Module):
    """A network of others, whole or made of several.

    Attributes:
        name: by which users call it.
        publication: its record.
        parts: attribute that holds a network -> that network's name in `NETWORKS`.
        trained: the parts that training changes; None: all.
        loaded: attribute -> sha256 of the published file, or `TRAINED`.
    """

    name: str
    publication: Publication
    parts: Mapping[str, str]
    trained: tuple[str, ...] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.loaded: dict[str, str] = {}

    @abstractmethod
    def preprocess(self, picture: Picture) -> Tensor:
        """A picture to the original's exact input, float32 [3 H W]."""

    @abstractmethod
    def compute(self, batch: Tensor) -> Tensor:
        """What `forward` gives, whether or not there are weights."""

    def forward(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 H W] to scores [B] or features [B D].

        Raises:
            RecipeError: a part has no weights, and the network is not being trained.
        """
        if not self.training and (line := self.missing()):
            raise RecipeError(line)
        return self.compute(batch)

    def missing(self) -> str:
        """One line for the first part without weights: what to get where, and what to do with it; else nothing."""
        for part, network in self.parts.items():
            if part not in self.loaded:
                return f"{self.name}: {missing_weights(network)}"
        return ""

    def start_training(self) -> None:
        """Take the weights of what is trained, drawn at random or loaded, for a start: from now on they are ours.

        Raises:
            RecipeError: a part that is not trained has no weights.
        """
        trained = self.trained_parts()
        for part, network in self.parts.items():
            if part not in trained and part not in self.loaded:
                raise RecipeError(f"{self.name}: {missing_weights(network)}")
        self.loaded |= dict.fromkeys(trained, TRAINED)

    def trained_parts(self) -> list[str]:
        """The parts that training changes; the others stay as published."""
        return list(self.parts if self.trained is None else self.trained)

    def prepare(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 H W] to what the trained parts see; by default the pictures themselves."""
        return batch

    @property
    def prepares(self) -> bool:
        """Whether `prepare` does anything."""
        return type(self).prepare is not Published.prepare

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """The loss that training lowers.

        Args:
            prepared: what `prepare` gave, [B ...].
            generated: bool or 0 and 1, [B].

        Raises:
            RecipeError: there is none.
        """
        raise RecipeError(f"{self.name}: it is not trained: give it weights, and name it in a benchmark")


class Encoder(Published):
    """A network whose output is a feature, one row [D] a picture.

    Attributes:
        features: D.
        statistics: mean and deviation of red, green and blue in 0..1 that the input is normalised with.
    """

    features: int
    statistics: tuple[tuple[float, ...], tuple[float, ...]]
    trained: tuple[str, ...] | None = ()


class Rival(Published):
    """A detector of others: `forward` gives scores [B], higher for generated pictures; of a trained one 0 is even odds.

    `forward` is `prepare` and then `score`. What `prepare` gives never changes in training, so a trainer may compute
    it once for each picture and keep it; where it is slow (DIRE takes 40 passes of a large network) it should.
    """

    @abstractmethod
    def score(self, prepared: Tensor) -> Tensor:
        """What `prepare` gave to scores [B]."""

    def compute(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 H W] to scores [B]."""
        return self.score(self.prepare(batch))

    def loss(self, prepared: Tensor, generated: Tensor) -> Tensor:
        """Binary cross-entropy by default; see `Published.loss`.

        Raises:
            RecipeError: nothing of it is trained.
        """
        if not self.trained_parts():
            return super().loss(prepared, generated)
        return F.binary_cross_entropy_with_logits(self.score(prepared), generated.float())


class WholeNetwork(Rival):
    """A rival that is one network, the one that `parts` names."""

    network: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.network = NETWORKS[self.parts["network"]]()

    def score(self, prepared: Tensor) -> Tensor:
        """The network's output, the log-odds of generated, [B]."""
        score: Tensor = self.network(prepared)
        return score


RIVALS: Registry[Callable[[], Rival]] = Registry("rival", RecipeError)
ENCODERS: Registry[Callable[[], Encoder]] = Registry("encoder", RecipeError)


def make(name: str) -> Published:
    """A rival or an encoder by its name, without weights."""
    return ENCODERS[name]() if name in ENCODERS else RIVALS[name]()


@cache
def without_memory(name: str) -> Published:
    """One that can `preprocess` and no more."""
    with torch.device("meta"):
        return make(name)


def missing_weights(network: str) -> str:
    """One line: what to do for the weights of a network of `NETWORKS`."""
    lines = [
        f"{layout.file}, published at {layout.origin}"
        + (f" (sha256 {layout.sha256})" if layout.sha256 else " (sha256 not known)")
        + f", imported by: cameraborn import-checkpoint {layout.file} --layout {name} -o {network}.safetensors"
        for name, layout in LAYOUTS.items()
        if layout.network == network
    ]
    ways = "; or ".join(lines) or "none are published: train it by its recipe in configs/rivals/"
    return f"no weights of the network {network} were given: {ways}"


def empty_network(network: str) -> nn.Module:
    """The network with names and shapes, and no memory."""
    with torch.device("meta"):
        return NETWORKS[network]()

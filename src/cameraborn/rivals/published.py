"""What a published network is to this package: a detector of others (a rival), or an encoder of others.

Each comes with a record of its paper, code and licences; with its original's exact input; and with weights that are
either loaded from a file whose sha256 is kept, or trained here. Without weights it answers with one line that says
which file is missing, where its authors publish it, and how to import it: nothing is ever scored at random. So every
method of `_COMPUTING` looks for the weights first, in whatever class it is written.

A network with weights of its own is known by a name in `NETWORKS`, and a form in which its authors publish these
weights by a name in `LAYOUTS`. A rival consists of such networks: `parts` names them.

Shapes: B pictures, H and W their height and width after `preprocess`, D features.
"""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cameraborn.errors import RecipeError
from cameraborn.photo.decode import Picture
from cameraborn.registry import Registry, spelt_alike
from cameraborn.train.plain_state import plain_name, saving_command

TRAINED = "trained here"  # in place of a file's sha256
_COMPUTING = ("compute", "prepare", "score", "loss", "describe")  # methods that weights decide the answer of


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
    differs: str  # how ours differs from the public code, or that it does not


@dataclass(frozen=True)
class Layout:
    """A form in which the weights of a network are published.

    Attributes:
        network: a name of `NETWORKS`.
        file: the published file's name.
        origin: where its authors publish it; if they do not, the code whose training writes it.
        sha256: of that file, where it is known. A file of this name and kind and of another sum is refused; one of
            another name or kind is imported, and `Imported.notice` says that it is not the published file.
        translate: from the file's keys to the network's; keys that it leaves out are dropped on purpose.
        kind: of file: a state, or what holds code beside it and is never opened here.
        is_published: whether its authors publish the file at all.
    """

    network: str
    file: str
    origin: str
    sha256: str | None = None
    translate: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
    kind: Literal["state", "torchscript", "module"] = "state"
    is_published: bool = True

    @property
    def source(self) -> str:
        """The file's name, where it is had, and its sum."""
        if not self.is_published:
            return f"{self.file}, which training with {self.origin} writes (its authors publish none)"
        return f"{self.file}, published at {self.origin} (sha256 {self.sha256 or 'not known'})"

    def steps(self, name: str, file: str = "", output: str = "") -> str:
        """The commands that make weights of ours of the file, to follow what the file is.

        Args:
            name: of this layout.
            file: as the user has it; by default as it is published.
            output: to write.
        """
        file = file or self.file
        state = file if self.kind == "state" else plain_name(file)
        into = shlex.quote(output or f"{self.network}.safetensors")
        importing = f"cameraborn import-checkpoint {shlex.quote(state)} --layout {name} -o {into}"
        if self.kind == "state":
            return f"imported by: {importing}"
        what = "a TorchScript archive" if self.kind == "torchscript" else "a pickled module"
        saving = saving_command(file, archive=self.kind == "torchscript", sha256=self.sha256)
        return (
            f"{what}, which runs code when it is opened: where you trust it"
            + (" and its authors' code can be imported" if self.kind == "module" else "")
            + f", save its weights alone with: {saving} and import these with: {importing}"
        )


def without_prefix(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys less a prefix that some of them have.

    Raises:
        RecipeError: a key is there with the prefix and without, so that one of two tensors would be lost.
    """
    twice = sorted(key for key in weights if key.startswith(prefix) and key.removeprefix(prefix) in weights)
    if twice:
        raise RecipeError(
            f"the file holds {twice[0].removeprefix(prefix)!r} twice, with {prefix!r} before it and without: "
            "save one of both"
        )
    return {key.removeprefix(prefix): value for key, value in weights.items()}


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
        started: whether its training was started: in training mode what is trained then needs no weights.
    """

    name: str
    publication: Publication
    parts: Mapping[str, str]
    trained: tuple[str, ...] | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in _COMPUTING:
            if name in vars(cls):
                setattr(cls, name, _with_weights(vars(cls)[name]))

    def __init__(self) -> None:
        super().__init__()
        self.loaded: dict[str, str] = {}
        self.started = False

    @abstractmethod
    def preprocess(self, picture: Picture) -> Tensor:
        """A picture to the original's exact input, float32 [3 H W]."""

    @abstractmethod
    def compute(self, batch: Tensor) -> Tensor:
        """What `forward` gives."""

    def forward(self, batch: Tensor) -> Tensor:
        """Preprocessed pictures [B 3 H W] to scores [B] or features [B D].

        Raises:
            RecipeError: a part has no weights, and the network is not being trained.
        """
        return self.compute(batch)

    def missing(self, parts: Collection[str] | None = None) -> str:
        """One line for the first part without weights: what to get where, and what to do with it; else nothing.

        Args:
            parts: those that are asked for; None: all.
        """
        for part in self.parts if parts is None else parts:
            if part not in self.loaded:
                return f"{self.name}: {missing_weights(self.parts[part], self.recipe_of(part))}"
        return ""

    def recipe_of(self, part: str) -> str:
        """The recipe that trains a part, of those that come with the repository; or nothing."""
        ships = part in self.trained_parts() and (self.name in RIVALS or self.name in ENCODERS)
        return f"configs/rivals/{self.name.replace('-', '_')}.toml" if ships else ""

    def start_training(self) -> None:
        """Take the weights of what is trained, drawn at random or loaded, for a start: they are nobody's from now on.

        In training mode it then computes; `count_as_trained` says when these weights may score.

        Raises:
            RecipeError: a part that is not trained has no weights.
        """
        if line := self.missing(self.frozen_parts()):
            raise RecipeError(line)
        for part in self.trained_parts():
            self.loaded.pop(part, None)
        self.started = True

    def count_as_trained(self) -> None:
        """Training has happened: the weights of what is trained are ours, and may score.

        Raises:
            RecipeError: training was never started.
        """
        if not self.started:
            raise RecipeError(f"{self.name}: its training was not started: train it, or give it weights")
        self.loaded |= dict.fromkeys(self.trained_parts(), TRAINED)

    def count_as_loaded(self, part: str, sha256: str) -> None:
        """A part holds the weights of a file; an encoder inside, whose part it is, learns of it too."""
        self.loaded[part] = sha256
        inside, _, of_inside = part.rpartition(".")
        if inside and isinstance(published := self.get_submodule(inside), Published):
            published.count_as_loaded(of_inside, sha256)

    def frozen_parts(self) -> list[str]:
        """The parts that training leaves as they were published."""
        trained = self.trained_parts()
        return [part for part in self.parts if part not in trained]

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


def _with_weights(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method that raises the one line while a part that it computes with has no weights.

    What `prepare` gives never depends on what is trained.
    """

    @wraps(method)
    def checked(self: Published, *arguments: Any, **named: Any) -> Tensor:  # noqa: ANN401 (whatever the method takes)
        trains = self.started and self.training
        needed = self.frozen_parts() if trains or method.__name__ == "prepare" else None
        if line := self.missing(needed):
            raise RecipeError(line)
        return method(self, *arguments, **named)

    return checked


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

    Attributes:
        teacher: the rival whose scores it may learn in place of labels; of most there is none.
    """

    teacher = ""

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

    def distillation_loss(self, teacher: Rival, prepared: Tensor) -> Tensor:
        """How far its scores are from those of its teacher, which has weights, a scalar.

        Raises:
            RecipeError: it has no teacher.
        """
        raise RecipeError(f"{self.name}: there is none that it could learn from: choose another objective")


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


RIVALS: Registry[Callable[[], Rival]] = Registry(
    "rival", RecipeError, lambda name: _of_other_kind(name, "an encoder", "encoder", ENCODERS)
)
ENCODERS: Registry[Callable[[], Encoder]] = Registry(
    "encoder", RecipeError, lambda name: _of_other_kind(name, "a rival", "rival", RIVALS)
)


def _of_other_kind(name: str, what: str, key: str, known: Collection[str]) -> str:
    """What to say of a name that stands in the other registry; else nothing."""
    meant = spelt_alike(name, known)
    return f'{meant} is {what}: give it as {key} = "{meant}", or --{key} {meant}' if meant else ""


def make(name: str) -> Published:
    """A rival or an encoder by its name, without weights."""
    return ENCODERS[name]() if name in ENCODERS else RIVALS[name]()


@cache
def without_memory(name: str) -> Published:
    """One that can `preprocess` and no more."""
    with torch.device("meta"):
        return make(name)


def missing_weights(network: str, recipe: str = "", output: str = "") -> str:
    """One line: what to do for the weights of a network of `NETWORKS`.

    Args:
        network: its name.
        recipe: a file that trains it here, if there is one.
        output: to import weights into.
    """
    ways = [
        f"{layout.source}, {layout.steps(name, output=output)}"
        for name, layout in LAYOUTS.items()
        if layout.network == network
    ]
    begun = f"no weights of the network {network} were given: {'' if ways else 'none are published: '}"
    if recipe:
        ways.append(f"train it here with: cameraborn train {recipe}")
    return begun + ("; or ".join(ways) or "train it by a recipe of yours")


def empty_network(network: str) -> nn.Module:
    """The network with names and shapes, and no memory."""
    with torch.device("meta"):
        return NETWORKS[network]()

"""The kinds of pretext task: what a row says of a task, how its head is taught, and how it is measured.

A new kind is one class here, which `tasks` then names. Losses are imported by the methods that need them, so that what
a row says can be read without torch.

Shapes: B pictures in a batch, N in a validation; a task has `outputs` numbers of its head, O, and `width` columns of
targets, W, which are nan where nothing is known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from cameraborn.errors import ManifestError
from cameraborn.pretext.metrics import binary_accuracy, binary_auc, class_accuracy, pair_accuracy
from cameraborn.pseudo.names import MANIPULATIONS, RECONSTRUCTED

if TYPE_CHECKING:
    from torch import Tensor

    from cameraborn.data.manifest import Row

    PairLoss = Callable[[Tensor, Tensor], Tensor]  # of scores [B] and tags [B]

_UNKNOWN = math.nan


@dataclass(frozen=True)
class Task(ABC):
    """One thing to learn from a photograph: from its EXIF, or from what we did to it.

    Attributes:
        name: the task and its head.
        tag: the EXIF field (see `photo.exif.Exif`); none if what is learnt was done to the picture by us, or is a
            label of the data set's own.
        classes: names of the outputs, where there are several.
        class_of: the name of the class of a tag's value; None where the value says nothing.
        prompt: a sentence with a gap for the name of a class, where the classes can be told by text.
        of_faces: whether it was done to the face, so that the network must see faces.
    """

    name: str
    tag: str = ""
    classes: tuple[str, ...] = ()
    class_of: Callable[[object], str | None] = lambda value: None
    prompt: str = ""
    of_faces: ClassVar[bool] = False

    @property
    def outputs(self) -> int:
        """Width of the task's head."""
        return max(1, len(self.classes))

    @property
    def width(self) -> int:
        """Columns of the task's target."""
        return 1

    def of_row(self, row: Row) -> tuple[float, ...]:
        """What is to be learnt from a row, as `target`; a label that its data set gives for the task counts first.

        Raises:
            ManifestError: the label is the index of a class that the task does not have.
        """
        # What was done to a face is the dataset's to say, because it may do more.
        if self.of_faces:
            return self.target(row.exif, None)
        label = row.labels.get(self.name)
        if label is None:
            return self.target(row.exif, row.manipulation)
        if self.classes and not isinstance(self, Rank) and label not in range(len(self.classes)):
            raise ManifestError(
                f"{row.path}: label {label:g} of task {self.name}, which has {len(self.classes)} classes: "
                "import the data set again"
            )
        return (label,)

    @abstractmethod
    def target(self, exif: Mapping[str, object], manipulation: str | None = None) -> tuple[float, ...]:
        """What is to be learnt from a picture: `width` numbers, nan where nothing is known.

        Args:
            exif: of its photograph.
            manipulation: what was done to it; empty if nothing was, None if that is not known.
        """

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor, pair_loss: PairLoss) -> Tensor:
        """The loss, a scalar, of the head's output [B O] against the target [B W]; `pair_loss` is the recipe's."""

    @abstractmethod
    def figure(self, output: Tensor, target: Tensor, chosen: Tensor) -> float:
        """How well the task is told on the chosen pictures [N] of a validation: a share, nan if there is nothing.

        Args:
            output: of the head [N O].
            target: [N W].
            chosen: true for the pictures that the figure is of [N].
        """


class Rank(Task):
    """A number of EXIF to rank pictures by, over pairs."""

    def target(self, exif: Mapping[str, object], manipulation: str | None = None) -> tuple[float, ...]:
        """The tag's value."""
        value = exif.get(self.tag)
        return (float(value) if isinstance(value, int | float) else _UNKNOWN,)

    def score(self, output: Tensor) -> Tensor:
        """What is ranked, of the head's output [B O]: [B]."""
        return output[:, 0]

    def loss(self, output: Tensor, target: Tensor, pair_loss: PairLoss) -> Tensor:
        """The recipe's loss of pairs."""
        return pair_loss(self.score(output), target[:, 0])

    def figure(self, output: Tensor, target: Tensor, chosen: Tensor) -> float:
        """Share of pairs that are ordered rightly."""
        return pair_accuracy(self.score(output[chosen]), target[chosen, 0])


class Level(Rank):
    """The same by a few levels, of which the expected one is ranked (BLADES)."""

    def score(self, output: Tensor) -> Tensor:
        """The expected level."""
        from cameraborn.pretext.losses import expected_level

        return expected_level(output)


class Classify(Task):
    """The class of a value of EXIF, by cross-entropy."""

    def target(self, exif: Mapping[str, object], manipulation: str | None = None) -> tuple[float, ...]:
        """The index of the class."""
        name = self.class_of(exif.get(self.tag))
        return (_UNKNOWN if name is None else float(self.classes.index(name)),)

    def loss(self, output: Tensor, target: Tensor, pair_loss: PairLoss) -> Tensor:
        """Cross-entropy."""
        from cameraborn.pretext.losses import class_cross_entropy

        return class_cross_entropy(output, target[:, 0])

    def figure(self, output: Tensor, target: Tensor, chosen: Tensor) -> float:
        """Share of pictures whose class is told."""
        return class_accuracy(output[chosen], target[chosen, 0])


class Focal(Classify):
    """The same by focal fidelity (BLADES)."""

    def loss(self, output: Tensor, target: Tensor, pair_loss: PairLoss) -> Tensor:
        """Focal fidelity."""
        from cameraborn.pretext.losses import focal_fidelity

        return focal_fidelity(output, target[:, 0])


class Reconstruction(Classify):
    """Whether the whole picture was reconstructed (see `pseudo.reconstruct`); manipulated faces say nothing of it."""

    def target(self, exif: Mapping[str, object], manipulation: str | None = None) -> tuple[float, ...]:
        """1 if it was, else 0."""
        known = manipulation in ("", RECONSTRUCTED)
        return (float(manipulation == RECONSTRUCTED) if known else _UNKNOWN,)


class Manipulation(Task):
    """Whether the face was manipulated, by one output or by two (original, manipulated).

    Reconstructed pictures say nothing of it.
    """

    of_faces: ClassVar[bool] = True

    def target(self, exif: Mapping[str, object], manipulation: str | None = None) -> tuple[float, ...]:
        """1 if it was, else 0."""
        return (_UNKNOWN if manipulation in (None, RECONSTRUCTED) else float(manipulation != ""),)

    def loss(self, output: Tensor, target: Tensor, pair_loss: PairLoss) -> Tensor:
        """Fidelity."""
        from cameraborn.pretext.losses import binary_fidelity, focal_fidelity

        if self.outputs == 1:
            return binary_fidelity(output[:, 0], target[:, 0])
        return focal_fidelity(output, target[:, 0], gamma=0.0)

    def figure(self, output: Tensor, target: Tensor, chosen: Tensor) -> float:
        """Of manipulated faces the AUC, above all untouched ones; of these the share that is told."""
        logit, label = output[:, -1] - (output[:, 0] if self.outputs > 1 else 0.0), target[:, 0]
        if not bool((label[chosen] == 1).any()):
            return binary_accuracy(logit[chosen], label[chosen])
        compared = chosen | (label == 0)
        return binary_auc(logit[compared], label[compared])


class Regions(Task):
    """Which regions of the face were manipulated, an output and a column each (BLADES)."""

    of_faces: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """A column for each region."""
        return len(self.classes)

    def target(self, exif: Mapping[str, object], manipulation: str | None = None) -> tuple[float, ...]:
        """1 for each region that was, else 0."""
        if manipulation in (None, RECONSTRUCTED):
            return (_UNKNOWN,) * self.width
        regions = MANIPULATIONS[manipulation].regions if manipulation else ()
        return tuple(float(region in regions) for region in self.classes)

    def loss(self, output: Tensor, target: Tensor, pair_loss: PairLoss) -> Tensor:
        """Fidelity, the mean over regions."""
        from cameraborn.pretext.losses import binary_fidelity

        return binary_fidelity(output, target)

    def figure(self, output: Tensor, target: Tensor, chosen: Tensor) -> float:
        """Share of all regions of all faces that are told rightly."""
        return binary_accuracy(output[chosen], target[chosen])


def columns_of(tasks: Iterable[Task]) -> dict[str, slice]:
    """Where each task's target stands when those of all tasks stand one after the other: [B columns]."""
    tasks = list(tasks)
    ends = accumulate(task.width for task in tasks)
    return {task.name: slice(end - task.width, end) for task, end in zip(tasks, ends, strict=True)}

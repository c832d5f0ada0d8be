"""What networks that recipes may name have in common: a section of the recipe, which builds them.

Shapes: B pictures in a batch, N pictures or patches, P patches of a picture, S side of a crop, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from torch import nn

InputKind = Literal["patches", "patch-set", "crop"]  # and the name of the ONNX graph's input


class NetworkSection(BaseModel, ABC):
    """The sizes of a network. A subclass stands beside the network's modules; `registry` lists them.

    Attributes:
        input_kind: what the encoder takes, floats in 0..255: `patches` [N 3 64 64] or a `crop` [N 3 S S], of each of
            which it gives features [N D]; or a `patch-set` [B P 3 64 64], of which it gives [B D].
        not_of_the_encoder: fields that are no arguments of the encoder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_kind: ClassVar[InputKind]
    not_of_the_encoder: ClassVar[frozenset[str]] = frozenset({"type"})

    if TYPE_CHECKING:  # fields of each subclass

        @property
        def type(self) -> str:
            """The name of the network in recipes."""

        @property
        def features(self) -> int:
            """Width of the feature, D."""

    @property
    def sees_faces(self) -> bool:
        """Whether the encoder is shown a face, not patches of the picture."""
        return self.input_kind == "crop"

    @property
    def tiles(self) -> bool:
        """Whether scoring takes patches that do not overlap, of crops that are not shrunk."""
        return False

    def encoder_sizes(self) -> dict[str, Any]:
        """The arguments of the encoder."""
        return self.model_dump(exclude=set(self.not_of_the_encoder))

    @abstractmethod
    def encoder(self) -> Any:  # noqa: ANN401 (a module of the section's type)
        """The encoder, freshly initialised."""

    @abstractmethod
    def ranker(self, head_sizes: Mapping[str, int]) -> nn.Module:
        """The encoder with a linear head for each task, freshly initialised: a module with `encoder` and `heads`.

        It maps a batch of crops [B 3 S S] or of patches [B P 3 64 64], floats in 0..255, to each task's outputs
        [B size] by the task's name.
        """

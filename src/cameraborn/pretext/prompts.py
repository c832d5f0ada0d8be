"""BLADES' fifty prompts (arXiv 2507.22824): what each task's answers are called, and where they stand.

Every answer of every task is a sentence; the heads are one row of fifty cosines, cut into tasks. The order and the
words are those of the authors' code, so that their checkpoints' cosines mean what they meant; the sentences around
the words are ours wherever theirs are not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cameraborn.errors import RecipeError
from cameraborn.networks.clip import PromptHeads, TextTower, split_blades_checkpoint
from cameraborn.networks.tokenizer import Tokenizer, parse_merges
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.weights import read_weights

if TYPE_CHECKING:
    from cameraborn.pretext.recipe import PromptSection


def sentences() -> list[str]:
    """The fifty prompts."""
    return [task.prompt.format(word) for task in TASKS.values() if task.prompt for word in task.classes]


def prompt_slices() -> dict[str, slice]:
    """Task -> its logits among the fifty."""
    slices, start = {}, 0
    for task in (task for task in TASKS.values() if task.prompt):
        slices[task.name] = slice(start, start + task.outputs)
        start += task.outputs
    return slices


def prompt_tokens(tokenizer: Tokenizer) -> Tensor:
    """The fifty prompts as tokens, int64 [50 77]."""
    return torch.from_numpy(tokenizer.batch(sentences()))


def read_tokenizer(path: Path | None) -> Tokenizer:
    """CLIP's tokenizer with the merges of `bpe_simple_vocab_16e6.txt.gz`; without a file, one token a byte.

    Raises:
        RecipeError: the file is missing, damaged, or not CLIP's whole table.
    """
    if path is None:
        return Tokenizer()
    if not path.is_file():
        raise RecipeError(f"{path}: no such vocabulary: give CLIP's bpe_simple_vocab_16e6.txt.gz, or none")
    try:
        tokenizer = Tokenizer(parse_merges(path.read_bytes()))
    except ValueError as error:
        raise RecipeError(f"{path}: {error}: get CLIP's bpe_simple_vocab_16e6.txt.gz again") from error
    if not tokenizer.complete:
        raise RecipeError(
            f"{path}: holds only a part of CLIP's merges: get bpe_simple_vocab_16e6.txt.gz again"
        )
    return tokenizer


def prompt_heads(section: PromptSection, tasks: Iterable[str], features: int) -> PromptHeads:
    """The heads of some tasks, over a text tower from random weights.

    Raises:
        RecipeError: weights are to be imported, and CLIP's merges are not given: they would read letters for words.
    """
    tokenizer = read_tokenizer(section.vocabulary)
    if section.weights is not None and not tokenizer.complete:
        raise RecipeError(
            f"{section.weights}: an imported text tower knows words, not single bytes: give prompts.vocabulary, CLIP's "
            "bpe_simple_vocab_16e6.txt.gz, or leave prompts.weights out"
        )
    text = TextTower(
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        embedding=section.embedding,
        features=features,
    )
    slices = prompt_slices()
    return PromptHeads(text, prompt_tokens(tokenizer), {task: slices[task] for task in tasks})


def load_text_tower(tower: TextTower, path: Path) -> None:
    """Give a tower the text half of a one-class checkpoint of BLADES; its other half is left to `--init`.

    Raises:
        RecipeError: the file cannot be read safely, or its text half is not this tower's.
    """
    _, text = split_blades_checkpoint(read_weights(path))
    try:
        tower.load_state_dict(text)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:2])
        raise RecipeError(
            f"{path}: its text half is not this tower's ({reason}): give BLADES' OC.pth, and the sizes it has"
        ) from error

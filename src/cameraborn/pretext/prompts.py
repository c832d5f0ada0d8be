"""BLADES' fifty prompts (arXiv 2507.22824): what each task's answers are called, and where they stand.

Every answer of every task is a sentence; the heads are one row of fifty cosines, cut into tasks. The order and the
words are those of the authors' code. The sentences around the words are our own. Most differ from the authors', which
are public with their code, so a text tower of theirs needs theirs, given as a file. A detector uses the picture's half
alone and does not depend on sentences.

The file is a CSV table with the columns `task`, `answer` and `sentence`, a line for each of the answers in our order:

    blades_iso,low,a photo of ...
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from cameraborn.errors import RecipeError
from cameraborn.networks.clip import PromptHeads, TextTower, split_blades_checkpoint
from cameraborn.networks.tokenizer import Tokenizer, parse_merges
from cameraborn.photo.sniff import refuse_special
from cameraborn.pretext.tasks import TASKS, Task, chosen
from cameraborn.train.weights import metadata_of, read_weights

if TYPE_CHECKING:
    from cameraborn.pretext.recipe import PromptSection


OURS = (
    "the sentences around BLADES' answers are ours, and an imported text tower was taught its authors': its logits "
    "shift, though a detector's features do not; give theirs as a table (prompts.sentences)"
)


WORDS = (
    "an imported text tower knows words, not single bytes: give prompts.vocabulary, CLIP's "
    "bpe_simple_vocab_16e6.txt.gz"
)


Levels = Literal[3, 5]  # of ranked tags; with five there are eight answers more


def _prompted(levels: Levels) -> list[Task]:
    return chosen((name for name, task in TASKS.items() if task.prompt), levels)


def answers(levels: Levels = 3) -> list[tuple[str, str]]:
    """The fifty answers in order: task and class."""
    return [(task.name, word) for task in _prompted(levels) for word in task.classes]


def sentences(levels: Levels = 3) -> list[str]:
    """The fifty prompts of our own."""
    return [TASKS[task].prompt.format(word) for task, word in answers(levels)]


def read_sentences(path: Path, levels: Levels | None = None) -> list[str]:
    """Fifty prompts from a table, or the more that five levels need; without `levels` the table's length tells.

    Raises:
        RecipeError: it cannot be read, or does not name every answer once, in order, with a sentence of its own.
    """
    columns = ["task", "answer", "sentence"]
    refuse_special(path, RecipeError)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file)
            header, rows = next(table, []), [row for row in table if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{path}: cannot be read as a table ({error}): give a CSV file in UTF-8") from error
    if header != columns:
        raise RecipeError(f"{path}: its first line is not {','.join(columns)}: begin with these columns")
    expected = answers(levels or (5 if len(rows) == len(answers(5)) else 3))
    for number, (answer, row) in enumerate(zip_longest(expected, rows), 2):
        task, word = answer or ("no more", "answers")
        if row is None or answer is None or row[:2] != [task, word] or len(row) != len(columns):
            found = ",".join(row[:2]) if row else "nothing"
            raise RecipeError(
                f"{path}, line {number}: {found} in place of {task},{word}: list all {len(expected)} in this order"
            )
    given = [row[2].strip() for row in rows]
    for number, sentence in enumerate(given, 2):
        if not sentence or given.index(sentence) != number - 2:
            raise RecipeError(
                f"{path}, line {number}: no sentence of its own ({sentence!r}): give each answer one"
            )
    return given


def prompt_slices(levels: Levels = 3) -> dict[str, slice]:
    """Task -> its logits among the fifty."""
    slices, start = {}, 0
    for task in _prompted(levels):
        slices[task.name] = slice(start, start + task.outputs)
        start += task.outputs
    return slices


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


def prompt_heads(
    section: PromptSection, tasks: Iterable[str], features: int, *, levels: Levels = 3
) -> PromptHeads:
    """The heads of some tasks, over a text tower from random weights.

    Raises:
        RecipeError: weights are to be imported, and CLIP's merges are not given: they would read letters for words; or
            the table of sentences is broken.
    """
    tokenizer = read_tokenizer(section.vocabulary)
    if section.weights is not None and not tokenizer.complete:
        raise RecipeError(f"{section.weights}: {WORDS}, or leave prompts.weights out")
    text = TextTower(
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        embedding=section.embedding,
        features=features,
    )
    tokens, slices = torch.from_numpy(tokenizer.batch(_given(section, levels))), prompt_slices(levels)
    return PromptHeads(text, tokens, {task: slices[task] for task in tasks})


def check_taught(section: PromptSection, path: Path, levels: Levels = 3) -> None:
    """See that the text tower in a file that `import-checkpoint` made is asked what it was taught.

    Raises:
        RecipeError: the recipe has other sentences, or no vocabulary; or the file cannot be read.
    """
    taught = metadata_of(path).get("sentences")
    if taught is None:  # it holds no text tower, or that of a run of ours
        return
    if section.vocabulary is None:
        raise RecipeError(f"{path}: {WORDS}")
    if _given(section, levels) != json.loads(taught):
        raise RecipeError(
            f"{path}: its text tower was taught other sentences than the recipe has: give the table that it was "
            "imported with as prompts.sentences"
        )


def _given(section: PromptSection, levels: Levels) -> list[str]:
    return sentences(levels) if section.sentences is None else read_sentences(section.sentences, levels)


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

"""The fifty prompts: order, slices, tokens, and which towers they are for."""

import csv
import gzip
import json

import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from cameraborn.cli import app
from cameraborn.errors import RecipeError
from cameraborn.networks.resnet import ResNetSection
from cameraborn.networks.tokenizer import END, MERGES, START, Tokenizer
from cameraborn.pretext.objective import PretextObjective
from cameraborn.pretext.prompts import (
    OURS,
    answers,
    load_text_tower,
    prompt_heads,
    prompt_slices,
    read_sentences,
    read_tokenizer,
    sentences,
)
from cameraborn.pretext.recipe import PromptSection
from cameraborn.pretext.tasks import TASKS
from cameraborn.train.processes import Processes
from tests.train.test_weights import FEATURES, FILES, SIZE, written

from .test_objective import face_recipe

TINY = {"width": 8, "layers": 1, "heads": 2, "embedding": 6}

# BLADES' code, SSL_training.py: first and last logit of each task.
PUBLISHED = {
    "blades_iso": (0, 2),
    "blades_fnumber": (3, 5),
    "blades_exposure": (6, 8),
    "blades_focal": (9, 11),
    "blades_make": (12, 21),
    "blades_metering": (22, 29),
    "blades_exposure_mode": (30, 36),
    "blades_white_balance": (37, 38),
    "blades_program": (39, 44),
    "blades_coarse": (45, 46),
    "blades_fine": (47, 49),
}


def test_slices_are_the_published_ones():
    slices = prompt_slices()
    assert {task: (part.start, part.stop - 1) for task, part in slices.items()} == PUBLISHED
    assert all(TASKS[task].outputs == part.stop - part.start for task, part in slices.items())


def test_every_sentence_is_one_of_its_own():
    prompts = sentences()
    assert len(set(prompts)) == len(prompts) == 50
    assert prompts[1] == "a photo of a face with the medium value of ISO"
    assert prompts[12] == "a photo of a face with the camera make nikon"
    assert prompts[45:47] == ["a photographic face", "a manipulated face"]


def test_every_blades_task_has_a_prompt():
    prompted = [name for name, task in TASKS.items() if task.prompt]
    assert prompted == [name for name in TASKS if name.startswith("blades_")]


def test_prompts_fit_the_context_even_byte_by_byte():
    tokens = torch.from_numpy(Tokenizer().batch(sentences()))
    assert tokens.shape == (50, 77)
    assert (tokens[:, 0] == START).all()
    assert ((tokens == END).sum(dim=1) == 1).all()
    assert len(torch.unique(tokens, dim=0)) == 50


def whole_table(folder):
    """A file of CLIP's size: the real merges that spell `photo`, and many that spell nothing."""
    lines = ["#version", "p h", "o t", "ph ot", "phot o</w>"]
    lines += [f"Ā{n} Ā" for n in range(MERGES - 4)]
    path = folder / "vocabulary.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    return path


def checkpoint_of(tower, path):
    """As BLADES saves it, pictures' half and all."""
    state = {f"model.{name}": value for name, value in tower.state_dict().items()}
    torch.save({"model": state | {"model.visual.fc.bias": torch.zeros(3)}, "epoch": 1}, path)


def test_a_tower_from_elsewhere_needs_the_merges(tmp_path):
    section = PromptSection(**TINY)
    source = prompt_heads(section, ["blades_iso"], 5)
    checkpoint_of(source.text, tmp_path / "OC.pth")
    imported = section.model_copy(update={"weights": tmp_path / "OC.pth"})
    with pytest.raises(RecipeError, match=r"give prompts\.vocabulary"):
        prompt_heads(imported, ["blades_iso"], 5)
    whole = imported.model_copy(update={"vocabulary": whole_table(tmp_path)})
    heads = prompt_heads(whole, ["blades_iso"], 5)
    assert heads.tokens[0, 2] == 512 + 3  # photo
    assert source.tokens[0, 2] != 512 + 3
    load_text_tower(heads.text, tmp_path / "OC.pth")
    assert all(
        torch.equal(a, b) for a, b in zip(heads.text.parameters(), source.text.parameters(), strict=True)
    )


def test_another_tower_is_refused(tmp_path):
    wider = prompt_heads(PromptSection(**TINY), ["blades_iso"], 6)
    checkpoint_of(wider.text, tmp_path / "OC.pth")
    with pytest.raises(RecipeError, match=r"not this tower's \(size mismatch for text_fc"):
        load_text_tower(prompt_heads(PromptSection(**TINY), ["blades_iso"], 5).text, tmp_path / "OC.pth")


def test_heads_are_those_of_the_tasks_alone():
    heads = prompt_heads(PromptSection(**TINY), ["blades_make", "blades_coarse"], 5)
    logits = heads(torch.randn(2, 5))
    assert {name: tuple(value.shape) for name, value in logits.items()} == {
        "blades_make": (2, 10),
        "blades_coarse": (2, 2),
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no such vocabulary"),
        (b"#version\na b\n", "only a part of CLIP's merges"),
        (b"#version\na b c\n", "line 2 holds 3 symbols"),
        (b"\x1f\x8b", "not a table of merges"),
    ],
)
def test_a_vocabulary_that_is_not_clips_is_refused(tmp_path, data, message):
    path = tmp_path / "vocabulary.txt.gz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(RecipeError, match=message):
        read_tokenizer(path)


def table(folder, rows=None, header=("task", "answer", "sentence")):
    path = folder / "sentences.csv"
    theirs = [(*answer, f"face number {n}, which is {answer[1]}") for n, answer in enumerate(answers())]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *(theirs if rows is None else rows(theirs))])
    return path, [sentence for *_, sentence in theirs]


def test_given_sentences_are_what_the_tower_reads(tmp_path):
    path, theirs = table(tmp_path)
    assert read_sentences(path) == theirs
    torch.manual_seed(0)
    heads = prompt_heads(PromptSection(**TINY, sentences=path), prompt_slices(), 4)
    feature = torch.randn(3, 4)
    with torch.no_grad():
        logits = torch.cat(list(heads(feature).values()), dim=1)
        # One sentence at a time, by the tower itself.
        texts = torch.cat([heads.text(torch.from_numpy(Tokenizer().batch([text]))) for text in theirs])
        unit = feature / feature.norm(dim=1, keepdim=True)
        expected = heads.text.logit_scale.exp() * unit @ texts.T
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-5)
    with torch.no_grad():
        torch.manual_seed(0)
        ours = torch.cat(
            list(prompt_heads(PromptSection(**TINY), prompt_slices(), 4)(feature).values()), dim=1
        )
    assert (ours - logits).abs().max() > 0.01


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (lambda rows: rows[:-1], "line 51: nothing in place of blades_fine,nose"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "line 2: blades_iso,medium in place of blades_iso,low"),
        (lambda rows: [*rows, rows[0]], "line 52: blades_iso,low in place of no more,answers"),
        (lambda rows: [*rows[:4], (*rows[4][:2], " "), *rows[5:]], "line 6: no sentence of its own"),
        (lambda rows: [*rows[:4], (*rows[4][:2], rows[0][2]), *rows[5:]], "line 6: no sentence of its own"),
        (lambda rows: [row[:2] for row in rows], "line 2: blades_iso,low in place of"),
    ],
)
def test_a_table_that_is_not_the_fifty_answers_is_refused(tmp_path, rows, says):
    with pytest.raises(RecipeError, match=says):
        read_sentences(table(tmp_path, rows)[0])


def test_tables_that_are_none(tmp_path):
    with pytest.raises(RecipeError, match="first line is not task,answer,sentence"):
        read_sentences(table(tmp_path, header=("a", "b", "c"))[0])
    with pytest.raises(RecipeError, match=r"none.csv: cannot be read"):
        read_sentences(tmp_path / "none.csv")


def test_importing_blades_says_whose_the_sentences_are(tmp_path):
    path, theirs = table(tmp_path)
    checkpoint, output = written(tmp_path, FILES["blades"]()), tmp_path / "ours.safetensors"

    def run(*more):
        ran = CliRunner().invoke(
            app, ["import-checkpoint", str(checkpoint), "-o", str(output), *map(str, more)]
        )
        with safe_open(output, framework="pt") as file:
            return ran.stderr, file.metadata(), set(file.keys())

    said, _, names = run()
    assert OURS in said
    assert not any(name.startswith("heads.text.") for name in names)
    said, metadata, names = run("--sentences", path, "--overwrite")
    assert OURS not in said
    assert json.loads(metadata["sentences"]) == theirs
    assert {"heads.text.token_embedding.weight", "heads.text.text_fc.bias", "heads.text.logit_scale"} <= names


def test_training_on_from_an_imported_file_asks_its_tower_what_it_was_taught(faces, tmp_path):
    checkpoint, start = written(tmp_path, FILES["blades"]()), tmp_path / "start.safetensors"
    path, _ = table(tmp_path)
    given = ["import-checkpoint", str(checkpoint), "-o", str(start), "--sentences", str(path)]
    assert CliRunner().invoke(app, given).exit_code == 0
    network = ResNetSection(**SIZE, features=FEATURES)

    def build(**prompts):
        section, recipe = PromptSection(**TINY, **prompts), face_recipe(faces, tasks={"blades_iso": 1.0})
        recipe = recipe.model_copy(update={"network": network, "prompts": section, "init": start})
        return PretextObjective(recipe, Processes(torch.device("cpu"))).build()

    words = whole_table(tmp_path)
    with pytest.raises(RecipeError, match=r"start.safetensors: .* give prompts\.vocabulary"):
        build(sentences=path)
    with pytest.raises(RecipeError, match="was taught other sentences than the recipe has"):
        build(vocabulary=words)
    with pytest.raises(RecipeError, match=r"does not fit the recipe's text tower: missing: heads.text"):
        build(vocabulary=words, sentences=path)
    start.write_bytes(start.read_bytes()[:50])
    with pytest.raises(RecipeError, match="not a checkpoint that can be read safely"):
        build(vocabulary=words, sentences=path)
    start.unlink()
    with pytest.raises(RecipeError, match="no such file: give a checkpoint"):
        build(vocabulary=words, sentences=path)


def test_training_on_with_an_imported_tower_says_whose_the_sentences_are(faces, tmp_path):
    recipe = face_recipe(faces, tasks={"blades_iso": 1.0})
    processes = Processes(torch.device("cpu"))
    for given, notices in ((None, [f"{tmp_path / 'OC.pth'}: {OURS}"]), (tmp_path / "s.csv", [])):
        section = PromptSection(weights=tmp_path / "OC.pth", sentences=given)
        assert PretextObjective(recipe.model_copy(update={"prompts": section}), processes).notices == notices


def test_five_levels_have_eight_answers_more(tmp_path):
    assert len(answers(5)) == len(set(sentences(5))) == 58
    assert [word for _, word in answers(5)[:5]] == ["ultra-low", "low", "medium", "high", "ultra-high"]
    assert answers(5)[20:] == answers()[12:]
    heads = prompt_heads(PromptSection(**TINY), ["blades_iso", "blades_make"], 4, levels=5)
    assert {name: logits.shape[1] for name, logits in heads(torch.randn(2, 4)).items()} == {
        "blades_iso": 5,
        "blades_make": 10,
    }
    path = tmp_path / "five.csv"
    with path.open("w", newline="") as file:
        rows = [(*answer, f"sentence {number}") for number, answer in enumerate(answers(5))]
        csv.writer(file).writerows([("task", "answer", "sentence"), *rows])
    assert read_sentences(path, 5)[57] == "sentence 57"
    assert read_sentences(path) == read_sentences(path, 5)
    with pytest.raises(RecipeError, match="list all 50 in this order"):
        read_sentences(path, 3)


def test_a_tower_that_was_taught_five_levels_is_imported_with_its_sentences(tmp_path):
    rows = [(*answer, f"sentence {number}") for number, answer in enumerate(answers(5))]
    path, _ = table(tmp_path, lambda _: rows)
    checkpoint, output = written(tmp_path, FILES["blades"]()), tmp_path / "ours.safetensors"
    given = ["import-checkpoint", str(checkpoint), "-o", str(output), "--sentences", str(path)]
    assert CliRunner().invoke(app, given).exit_code == 0
    with safe_open(output, framework="pt") as file:
        assert json.loads(file.metadata()["sentences"]) == [sentence for *_, sentence in rows]

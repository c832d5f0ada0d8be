"""Training as BLADES does, on toys: its tasks and prompts, and weights of the tasks that are learnt."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from cameraborn.data.manifest import read_manifest, write_manifest
from cameraborn.errors import ManifestError
from cameraborn.pretext.architectures import build_network
from cameraborn.pretext.kinds import Rank
from cameraborn.pretext.objective import PretextObjective, task_losses, whole_gradient
from cameraborn.pretext.recipe import PretextSection, Recipe
from cameraborn.pretext.tasks import TASKS
from cameraborn.pretext.upper import column_of_made
from cameraborn.pretext.weighting import BilevelWeights
from cameraborn.train.loop import train
from cameraborn.train.processes import Processes

from ..train.test_processes import NAMES, TASK_LIST, batch, two_processes
from .test_objective import face_recipe, recipe_of, toys  # noqa: F401 (a fixture)

BLADES = {name: 1.0 for name in TASKS if name.startswith("blades_")}
# The tests' faces have these tags.
TAGGED = {name: 1.0 for name in BLADES if isinstance(TASKS[name], Rank) or not TASKS[name].tag}
DETECTION = {"primary": "detection", "learning_rate": 0.01, "upper_share": 0.25}
BILEVEL = {"primary": "blades_coarse", "learning_rate": 0.01, "upper_share": 0.25}
TINY_TOWER = {"width": 8, "layers": 1, "heads": 2, "embedding": 6}


def blades_recipe(faces, *, tasks=TAGGED, bilevel=BILEVEL, prompts=None, **optimise):
    changed = face_recipe(faces, tasks=tasks, **optimise).model_dump()
    return Recipe.model_validate(changed | {"bilevel": bilevel, "prompts": prompts})


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights_of(folder):
    """A mapping of each logged step."""
    names = [
        {name.removeprefix("weight/"): value for name, value in line.items() if name.startswith("weight/")}
        for line in log_of(folder)
    ]
    return [weights for weights in names if weights]


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    """A run with prompts and learnt weights, its recipe and its last figures."""
    folder = tmp_path_factory.mktemp("blades")
    recipe = blades_recipe(faces, prompts=TINY_TOWER, steps=4)
    return folder, recipe, train(PretextObjective, recipe, folder)


def test_weights_are_learnt_beside_the_network(run):
    folder, _, figures = run
    logged = weights_of(folder)
    assert len(logged) == 4
    assert all(set(weights) == set(TAGGED) for weights in logged)
    # Adam's first step is its learning rate long, up or down.
    assert all(abs(weight - 1) == pytest.approx(0.01, abs=1e-5) for weight in logged[0].values())
    assert all(math.isfinite(figures[f"portrait/{name}"]) for name in TAGGED)
    assert math.isfinite(figures["affine/blades_fine"])


def test_an_interrupted_run_resumes_to_the_bit(run, tmp_path):
    folder, recipe, _ = run

    def interrupt(progress):
        if progress.step == 3:  # one step behind the checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(PretextObjective, recipe, tmp_path, interrupt)
    train(PretextObjective, recipe, tmp_path)
    whole, parts = (load_file(place / "checkpoint.safetensors") for place in (folder, tmp_path))
    assert {f"weighting.{name}" for name in ("weights", "exp_avg", "exp_avg_sq", "step")} < whole.keys()
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert weights_of(folder) == weights_of(tmp_path)


def test_a_run_with_prompts_holds_its_tower(run):
    folder, recipe, _ = run
    weights = load_file(folder / "network.safetensors")
    assert "heads.text.transformer.resblocks.0.attn.in_proj_weight" in weights
    build_network(recipe).load_state_dict(weights)  # strictly, as export does


def test_equal_weights_and_plain_heads_are_the_default(faces, tmp_path):
    train(PretextObjective, blades_recipe(faces, bilevel=None, steps=1), tmp_path)
    assert not weights_of(tmp_path)
    weights = load_file(tmp_path / "network.safetensors")
    assert weights["heads.blades_iso.weight"].shape == (3, 16)
    assert weights["heads.blades_fine.weight"].shape == (3, 16)


def test_a_patch_network_learns_its_weights_too(toys, tmp_path):  # noqa: F811
    fields = recipe_of(toys, steps=3, tasks={"iso": 1.0, "make": 0.1, "blades_make": 0.5}).model_dump()
    train(
        PretextObjective, Recipe.model_validate(fields | {"bilevel": BILEVEL | {"primary": "iso"}}), tmp_path
    )
    first, *_ = weights_of(tmp_path)
    start = {"iso": 1.0, "make": 0.1, "blades_make": 0.5}
    assert all(0 < abs(weight - start[name]) < 0.011 for name, weight in first.items())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_are_learnt_in_full_precision_whatever_the_network_is(toys, tmp_path, precision):  # noqa: F811
    """In half precision a step of a hundredth, spread over all parameters, would be lost in rounding."""
    for name in ("float32", precision):
        fields = recipe_of(toys, steps=1, precision=name, tasks={"iso": 1.0, "make": 0.1}).model_dump()
        train(
            PretextObjective,
            Recipe.model_validate(fields | {"bilevel": BILEVEL | {"primary": "iso"}}),
            tmp_path / name,
        )
    whole, half = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("float32", precision))
    for name in ("weights", "exp_avg", "exp_avg_sq"):
        assert torch.equal(whole[f"weighting.{name}"], half[f"weighting.{name}"])


@pytest.mark.parametrize("prompts", [None, TINY_TOWER], ids=["heads", "prompts"])
def test_weights_are_chosen_by_detection(faces, tmp_path, prompts):
    recipe = blades_recipe(faces, prompts=prompts, bilevel=DETECTION, steps=3)
    train(PretextObjective, recipe, tmp_path)
    weights = weights_of(tmp_path)
    assert len(weights) == 3
    assert all(abs(weight - 1) == pytest.approx(0.01, abs=1e-5) for weight in weights[0].values())
    by_task = blades_recipe(faces, prompts=prompts, steps=3)
    train(PretextObjective, by_task, tmp_path / "task")
    assert weights_of(tmp_path / "task") != weights


def test_detection_weighs_tasks_of_patches_too(toys, tmp_path):  # noqa: F811
    rows = [
        row.model_copy(update={"manipulation": "reconstructed" if number % 2 else ""})
        for number, row in enumerate(read_manifest(toys))
    ]
    write_manifest(rows, tmp_path / "half.jsonl")
    tasks = {"iso": 1.0, "reconstructed": 1.0}
    fields = recipe_of(tmp_path / "half.jsonl", steps=2, tasks=tasks).model_dump()
    train(PretextObjective, Recipe.model_validate(fields | {"bilevel": DETECTION}), tmp_path / "run")
    first, *_ = weights_of(tmp_path / "run")
    assert all(abs(weight - 1) == pytest.approx(0.01, abs=1e-5) for weight in first.values())


def upper_gradients(processes, manifest):
    """The gradient of the upper objective by every parameter, with the part of the batch that this process has."""
    objective = PretextObjective(blades_recipe(manifest, bilevel=DETECTION), processes)
    torch.manual_seed(0)
    network = objective.build().eval()  # statistics of a batch are another test's
    share = 8 // processes.world
    own = slice(processes.rank * share, (processes.rank + 1) * share)
    batches = []
    for _ in range(2):
        pixels, targets = torch.rand(8, 3, 64, 64) * 255, torch.zeros(8, len(TAGGED) + 2)
        targets[:, column_of_made(objective.tasks)] = torch.arange(8) % 2
        batches.append((pixels[own], targets[own]))
    objective._upper_loss(network, *batches).backward()
    return {
        name: processes.gather(p.grad[None]).mean(0)
        for name, p in network.named_parameters()
        if p.grad is not None
    }


def test_two_processes_have_the_upper_gradient_of_one(faces, tmp_path):
    (tmp_path / "two.py").write_text(
        TWO.replace("one_update", "upper_gradients").replace("(processes)", "(processes, sys.argv[2])")
    )
    done = two_processes("two.py", "of", str(faces), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = upper_gradients(Processes(device=torch.device("cpu")), faces)
    assert max(float(value.abs().max()) for value in alone.values()) > 0.01
    for rank in range(2):
        theirs = load_file(tmp_path / f"of{rank}")
        assert theirs.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(theirs[name], value, rtol=1e-3, atol=1e-5)


def test_an_epoch_is_a_pass_over_what_the_network_learns_from(faces):
    recipe = blades_recipe(faces, steps=None, epochs=1)
    objective = PretextObjective(recipe, Processes(torch.device("cpu")))
    assert objective.rows_an_epoch == len(objective.lower) == len(objective.rows) - len(objective.upper)
    assert objective.upper


def test_the_virtual_step_is_given_the_momentum_of_the_network(faces, tmp_path, monkeypatch):
    given = []

    def update(self, network, *batches, velocity, **rest):
        given.append({name: value.clone() for name, value in velocity.items()})

    monkeypatch.setattr(BilevelWeights, "update", update)
    train(PretextObjective, blades_recipe(faces, optimiser="sgd", steps=2), tmp_path / "sgd")
    first, second = given
    assert not first  # nothing has moved yet
    assert any(value.abs().max() > 0 for value in second.values())


def test_too_few_photographs_for_two_levels(faces, tmp_path):
    with pytest.raises(
        ManifestError, match="12 photographs are left to train on and 4 to weigh the tasks by"
    ):
        train(PretextObjective, blades_recipe(faces, batch_size=14), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bilevel": {"primary": "face"}}, "face is not in pretext.tasks: name one of them, or detection"),
        (
            {"bilevel": DETECTION, "pretext": {"tasks": {"iso": 1.0}}},
            "detection needs pictures that were made: add face",
        ),
        ({"bilevel": BILEVEL, "optimise": {"grad_accum_steps": 2}}, "one batch of each level"),
        ({"prompts": {}, "pretext": {"tasks": {"iso": 1.0}}}, "task iso has no prompts"),
        ({"prompts": {"width": 10, "heads": 3}}, "width of 10 cannot be divided between 3 heads"),
        (
            {
                "prompts": TINY_TOWER,
                "network": {"type": "patch"},
                "pretext": {"tasks": {"blades_iso": 1.0}},
            },
            "only network.type = 'resnet50'",
        ),
    ],
)
def test_recipes_that_cannot_be(faces, changes, message):
    fields = blades_recipe(faces, bilevel=None).model_dump()
    for name, change in changes.items():
        inside = fields[name] if name == "optimise" else {}
        fields[name] = {**inside, **change} if isinstance(change, dict) else change
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(fields)


TWO = """
import sys, torch
from safetensors.torch import save_file
from cameraborn.train.processes import process_group
from tests.pretext.test_objective_blades import one_update
with process_group() as processes:
    save_file(one_update(processes), sys.argv[1] + str(processes.rank))
"""


def one_update(processes):
    """The tasks' weights after one update, with the part of the batch that this process has."""
    network, pixels, targets = batch()
    share = 8 // processes.world
    own = slice(processes.rank * share, (processes.rank + 1) * share)

    def losses(model, numbers):
        pixels, targets = numbers
        outputs = {name: processes.gather(output) for name, output in model(pixels).items()}
        of_task = task_losses(outputs, processes.gather(targets), TASK_LIST, PretextSection(tasks=NAMES))
        return {name: whole_gradient(value, processes.world) for name, value in of_task.items()}

    weighting = BilevelWeights(NAMES, "face")
    upper = pixels.flip(3)
    slopes = weighting.update(
        network, losses, (pixels[own], targets[own]), (upper[own], targets[own]), alpha=0.1, weight_decay=0.1
    )
    return {"slopes": torch.tensor(list(slopes.values())), "weights": weighting.state_dict()["weights"]}


@pytest.mark.long  # their upper gradient is compared each time
def test_two_processes_learn_the_weights_of_one(tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    done = two_processes("two.py", "of", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = one_update(Processes(device=torch.device("cpu")))
    for rank in range(2):
        theirs = load_file(tmp_path / f"of{rank}")
        torch.testing.assert_close(theirs["slopes"], alone["slopes"], rtol=0.02, atol=1e-6)
        torch.testing.assert_close(theirs["weights"], alone["weights"])


def test_a_frozen_text_tower_stays_as_it_is(faces, tmp_path):
    recipe = blades_recipe(faces, prompts=TINY_TOWER | {"freeze": True}, bilevel=None, steps=2, ema=0.0)
    train(PretextObjective, recipe, tmp_path)
    torch.manual_seed(recipe.optimise.seed)
    before, after = build_network(recipe).state_dict(), load_file(tmp_path / "network.safetensors")
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert {name for name in moved if name.startswith("heads.text.")} == {"heads.text.logit_scale"}
    assert "encoder.conv1.weight" in moved


def test_five_levels_are_trained(faces, tmp_path):
    recipe = blades_recipe(faces, prompts=TINY_TOWER, bilevel=None, steps=2)
    five = recipe.model_copy(update={"pretext": recipe.pretext.model_copy(update={"levels": 5})})
    with torch.no_grad():
        widths = [
            build_network(r).eval()(torch.zeros(1, 3, 64, 64))["blades_iso"].shape[1] for r in (recipe, five)
        ]
    assert widths == [3, 5]
    figures = train(PretextObjective, five, tmp_path)
    assert math.isfinite(figures["portrait/blades_iso"])

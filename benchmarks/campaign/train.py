"""Train one network on one thread, in the background, resumable: constant learning rate, then a decline to nothing.

    python benchmarks/campaign/train.py --work WORK --run NAME --imagenet efficientnet-lite0.pth --minutes 20 \
        --leave-out gan --leave-out gpt

Run again with the same name it goes on from its checkpoint (SIGTERM: saves and ends). Time is that of the
processor, and may be raised.
    WORK/runs/NAME/{options.json, state.pt, average.safetensors, log.csv}
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite import EfficientNetLogit
from patch_residual import PatchResidual
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import nn
from training_rows import TrainingRows, entries_of

from cameraborn.binary.generators import smoothed_cross_entropy
from cameraborn.binary.generators_recipe import GeneratorsRecipe, HistorySection
from cameraborn.binary.sampling import FaceBatches
from cameraborn.degrade.sharpness import sharpness
from cameraborn.train.optimise import average as follow
from cameraborn.train.processes import Processes

DECLINE = 0.3  # of the time, at the end
WARM_UP = 100  # steps


def built(options: argparse.Namespace) -> nn.Module:
    """The network that the options name."""
    if options.network == "patch":
        return PatchResidual(blocks=options.blocks)
    net = EfficientNetLogit(stem_stride=options.stem_stride, residual=options.residual)
    if options.imagenet is not None:
        net.load_imagenet(torch.load(options.imagenet, weights_only=True, map_location="cpu"))
    return net


def recipe_of(
    *,
    batch: Sequence[int],
    blank: int = 0,
    sides: Sequence[int] = (128,),
    seed: int = 0,
    **history: float,
) -> GeneratorsRecipe:
    """The package's recipe of a batch: one unit of these pictures; two patches of each under 128 px."""
    photographs, pairs, fakes = batch
    patches = [
        {"side": side, "share": count, "count": 2 if side < 128 else 1}
        for side, count in Counter(sides).items()
    ]
    return GeneratorsRecipe.model_validate(
        {
            "kind": "generators",
            "data": {"manifest": "none"},
            "batch": {"photographs": photographs, "pairs": pairs, "fakes": fakes, "blank": blank},
            "history": {"strength": 1.0, "native": 0.0, "light": 0.0, "shuffle": 0.0} | history,
            "patches": patches,
            "optimise": {"steps": 1, "batch_size": photographs + 2 * pairs + fakes + blank, "seed": seed},
        }
    )


def learning_rate(options: argparse.Namespace, step: int, spent: float) -> float:
    """Warm up, stay, decline."""
    left = 1 - spent / (60 * options.minutes)
    return float(options.lr * min(1.0, (step + 1) / WARM_UP, max(left, 0.0) / DECLINE))


def save(
    folder: Path,
    net: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    spent: float,
) -> None:
    """Write beside, then rename."""
    state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save(state | {"step": step, "spent": spent}, folder / "state.tmp")
    (folder / "state.tmp").replace(folder / "state.pt")
    save_file({k: v.contiguous() for k, v in average.state_dict().items()}, folder / "average.tmp")
    (folder / "average.tmp").replace(folder / "average.safetensors")


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--network", choices=("lite", "patch"), default="lite")
    parser.add_argument("--imagenet", type=Path)
    parser.add_argument("--stem-stride", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument(
        "--sides", type=int, nargs="+", default=(128,), help="of patches; each step draws one"
    )
    parser.add_argument(
        "--native", type=float, default=0.0, help="share of pictures that are not shrunk to 256 px"
    )
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--average", type=float, default=0.997)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, nargs=3, default=(10, 6, 10), help="photographs, pairs, fakes")
    parser.add_argument(
        "--blank", type=int, default=0, help="further pictures a batch without detail, which could be either"
    )
    parser.add_argument("--strength", type=float, default=1.0, help="how often edits happen")
    parser.add_argument(
        "--shuffle", type=float, default=0.0, help="share of patches whose tiles are shuffled"
    )
    parser.add_argument(
        "--hybrid", type=float, default=0.0, help="share of patches whose detail is put on another's content"
    )
    parser.add_argument(
        "--balanced", action="store_true", help="shrinking, noise and sharpness do not tell the classes"
    )
    parser.add_argument("--toned", type=float, default=0.0, help="share whose tone changes")
    parser.add_argument("--denoised", type=float, default=0.0, help="share from which noise is taken")
    parser.add_argument("--turned", type=float, default=0.0, help="share of patches turned by quarters")
    parser.add_argument("--light", type=float, default=0.0, help="share of deliveries without edits")
    parser.add_argument("--leave-out", action="append", default=[])
    parser.add_argument("--everything", action="store_true", help="train on validation's photographs as well")
    parser.add_argument(
        "--residual", action="store_true", help="give the network amplified residuals as well"
    )
    parser.add_argument("--shuffled", action="store_true", help="control: labels of chance")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    folder = options.work / "runs" / options.run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(vars(options), default=str, indent=1))

    recipe = recipe_of(
        batch=options.batch,
        blank=options.blank,
        sides=options.sides,
        seed=options.seed,
        **{name: getattr(options, name) for name in HistorySection.model_fields},
    )

    def batches_by_now() -> tuple[int, FaceBatches]:
        """The number of pairs that there are, and the batches that are drawn from them and all else."""
        pairs = len(entries_of(options.work))
        rows = TrainingRows.read(options.work, leave_out=options.leave_out, everything=options.everything)
        return pairs, FaceBatches(rows.sampler(recipe), recipe, Processes(torch.device("cpu")))

    n_pairs, batches = batches_by_now()
    net, average = built(options).to(memory_format=torch.channels_last), built(options)
    average.load_state_dict(net.state_dict())
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": options.decay},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=options.lr)
    step, spent = 0, 0.0
    if (folder / "state.pt").exists():
        state = torch.load(folder / "state.pt", weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    rng = np.random.default_rng([options.seed, step])
    log: list[tuple[float, float, float]] = []
    began, saved = time.process_time() - spent, time.monotonic()
    net.train()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    while spent < 60 * options.minutes and not stopped:
        pictures, y = batches[step]
        if options.shuffled:
            y = y[torch.from_numpy(rng.permutation(len(y)))]
        labels = y.numpy()
        x = pictures.float().contiguous(memory_format=torch.channels_last)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(options, step, spent)
        logits = net(x)
        loss = smoothed_cross_entropy(logits, y, options.smoothing)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        follow(average, net, min(options.average, (step + 1) / (step + 10)))
        told = labels != 0.5
        right = float(((logits.detach() > 0) == (y > 0.5))[told].float().mean())
        sharp = roc_auc_score(
            labels[told], [sharpness(one.transpose(1, 2, 0)) for one in pictures.numpy()[told]]
        )
        log.append((float(loss.detach()), right, sharp))
        step, spent = step + 1, time.process_time() - began
        if step % 50 == 0:
            loss_mean, right_mean, sharp = np.mean(log, axis=0)
            log = []
            with (folder / "log.csv").open("a") as out:
                out.write(f"{step},{spent / 60:.2f},{loss_mean:.4f},{right_mean:.3f},{sharp:.3f}\n")
            if len(entries_of(options.work)) != n_pairs:
                n_pairs, batches = batches_by_now()
        if time.monotonic() - saved > 300:
            save(folder, net, average, optimiser, step, spent)
            saved = time.monotonic()
    save(folder, net, average, optimiser, step, spent)


if __name__ == "__main__":
    main()

"""What a network has learnt, on photographs that it was not shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from cameraborn.pretext.face_dataset import ValidationBatch
from cameraborn.pretext.fidelity import expected_level, region_labels
from cameraborn.pretext.losses import pair_accuracy
from cameraborn.pretext.tasks import Task


class Validator:
    """Figures named `name/task`, where batches say what each of their pictures is called.

    A ranked tag: share of pairs ordered rightly. A class: share of pictures. A manipulation: under its own name the
    mean of the shares of manipulated and of all untouched faces that are told rightly, under the name of a kind of
    photographs the share of these. Regions: the share of all regions of all faces.
    """

    def __init__(
        self,
        batches: Iterable[ValidationBatch],
        tasks: Sequence[Task],
        device: torch.device,
        precision: torch.dtype | None,
    ) -> None:
        self.batches, self.tasks, self.device, self.precision = batches, tasks, device, precision

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The figures; nan where there is nothing to measure."""
        network.eval()
        outputs: dict[str, list[Tensor]] = {task.name: [] for task in self.tasks}
        targets, names = [], []
        for inputs, target, called in self.batches:
            with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
                for name, output in network(inputs.to(self.device).float()).items():
                    outputs[name].append(output.float().cpu())
            targets.append(target)
            names += called
        network.train()
        whole = torch.cat(targets)
        figures = {}
        for name in sorted(set(names)):
            of_name = torch.tensor([called == name for called in names])
            for column, task in enumerate(self.tasks):
                output, target = torch.cat(outputs[task.name]), whole[:, column]
                if task.kind == "manipulation":
                    figure = _balanced(manipulation_logit(output), target, of_name)
                elif task.kind == "regions":
                    figure = _share_of_regions(output[of_name], target[of_name])
                elif task.ordered:
                    score = output[:, 0] if task.kind == "rank" else expected_level(output)
                    figure = pair_accuracy(score[of_name], target[of_name])
                else:
                    figure = _accuracy(output[of_name], target[of_name])
                figures[f"{name}/{task.name}"] = figure
        return figures


def manipulation_logit(output: Tensor) -> Tensor:
    """The logit of "manipulated" [B], of one output or of two (original, manipulated)."""
    return output[:, 0] if output.shape[1] == 1 else output[:, 1] - output[:, 0]


def _share_of_regions(output: Tensor, bits: Tensor) -> float:
    labels = region_labels(bits, output.shape[1])
    right = ((output > 0) == (labels == 1)).float()
    return float(right[torch.isfinite(labels)].mean())


def _accuracy(output: Tensor, target: Tensor) -> float:
    known = torch.isfinite(target)
    return float((output[known].argmax(1) == target[known].long()).float().mean())


def _balanced(logits: Tensor, labels: Tensor, of_name: Tensor) -> float:
    right = ((logits > 0) == (labels == 1)).float()
    own = right[of_name & torch.isfinite(labels)].mean()
    manipulated = bool((labels[of_name] == 1).any())
    return float((own + right[labels == 0].mean()) / 2 if manipulated else own)

"""What a network has learnt, on photographs that it was not shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from cameraborn.pretext.face_dataset import ValidationBatch
from cameraborn.pretext.kinds import Task, columns_of


class Validator:
    """Figures named `name/task`, where batches say what each of their pictures is called. What they measure is
    each task's to say; a manipulated face is called by its manipulation, a photograph by its kind.
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
        whole, columns = torch.cat(targets), columns_of(self.tasks)
        figures = {}
        for name in sorted(set(names)):
            of_name = torch.tensor([called == name for called in names])
            for task in self.tasks:
                output, target = torch.cat(outputs[task.name]), whole[:, columns[task.name]]
                figures[f"{name}/{task.name}"] = task.figure(output, target, of_name)
        return figures

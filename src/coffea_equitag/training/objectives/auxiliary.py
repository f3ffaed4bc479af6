"""Auxiliary tasks: the constituents of the jets are classified beside what is learned of the jets themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...errors import JetError, explain
from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...layers.constituent_heads import with_heads
from ...layers.segments import segment_sum
from ..auxiliary_task import AuxiliaryTask
from ..data import LabelledJets
from .objective import Objective

__all__ = ["MultiTask"]

#: Columns of each task in the outputs: the loss of a jet, its labelled constituents, and how many of these are right.
_COLUMNS = 3


class MultiTask:
    """Another objective and auxiliary tasks: the sum of their losses.

    The loss of a task is the cross-entropy, averaged over the labelled constituents of a jet (0 if it has none).

    Parameters
    ----------
    main : Objective
        What is learned of the jets.
    tasks : mapping of str to AuxiliaryTask
        By the columns of the constituents that hold the labels. The network has a head for each.
    """

    def __init__(self, main: Objective, tasks: Mapping[str, AuxiliaryTask]) -> None:
        self.main, self.tasks = main, tasks
        losses = {f"{name}_loss": True for name in tasks}
        accuracies = {f"{name}_accuracy": False for name in tasks}
        self.monitors: Mapping[str, bool] = {**main.monitors, **losses, **accuracies}
        self.whole_batch = main.whole_batch

    def output(self, model: JetModel, jets: RaggedJets) -> Tensor:
        """What the network says of the jets, and for each task its three columns; shape (J, K + 3 T)."""
        outputs, logits, seen = with_heads(model, jets)
        return torch.cat([outputs, *(self._columns(name, logits[name], seen).to(outputs) for name in self.tasks)], 1)

    def _columns(self, name: str, logits_NK: Tensor, jets: RaggedJets) -> Tensor:
        labels = jets.columns[name].long()
        _check(name, labels, len(self.tasks[name].classes))
        known = labels >= 0
        losses = nn.functional.cross_entropy(logits_NK.float(), labels.clamp(min=0), reduction="none")
        right = (logits_NK.argmax(1) == labels) & known
        rows = torch.stack([torch.where(known, losses, 0.0), known.to(losses), right.to(losses)], dim=1)
        loss, number, correct = segment_sum(rows, jets.offsets).unbind(1)
        return torch.stack([loss / number.clamp(min=1), number, correct], dim=1)

    def _split(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The main objective's columns, and the tasks': (J, K) and (J, T, 3)."""
        width = output.shape[1] - _COLUMNS * len(self.tasks)
        return output[:, :width], output[:, width:].reshape(len(output), -1, _COLUMNS)

    def losses(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """Loss of each jet, shape (J,)."""
        main, tasks = self._split(output)
        return self.main.losses(main, sample) + tasks[:, :, 0] @ self._weights(tasks)

    def _weights(self, like: Tensor) -> Tensor:
        return like.new_tensor([task.weight for task in self.tasks.values()])

    def batch_loss(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """That of the main objective."""
        return self.main.batch_loss(self._split(output)[0], sample)

    def correct(self, output: Tensor, sample: LabelledJets) -> Tensor | None:
        """That of the main objective."""
        return self.main.correct(self._split(output)[0], sample)

    def observe(self, output: Tensor, sample: LabelledJets) -> dict[str, Tensor]:
        """As the main objective, and the tasks' columns."""
        main, tasks = self._split(output)
        return self.main.observe(main, sample) | {"tasks": tasks.double().cpu(), "task_weights": sample.weights.cpu()}

    def metrics(self, observed: Mapping[str, Tensor]) -> dict[str, float]:
        """Those of the main objective; ``loss`` has all terms; loss and accuracy of each task."""
        found = self.main.metrics(observed)
        tasks, weights = observed["tasks"], observed["task_weights"]
        for k, (name, task) in enumerate(self.tasks.items()):
            loss, number, right = tasks[:, k].unbind(1)
            found[f"{name}_loss"] = float((weights * loss).sum() / weights.sum())
            found[f"{name}_accuracy"] = float(right.sum() / number.sum().clamp(min=1))
            found["loss"] += task.weight * found[f"{name}_loss"]
        return found


def _check(name: str, labels: Tensor, n_classes: int) -> None:
    if bool((labels >= n_classes).any()):
        raise JetError(
            explain(
                f"constituents whose '{name}' is {int(labels.max())}",
                f"whole numbers 0 to {n_classes - 1}, negative where the class is not known",
                "name all of the classes of this task",
            )
        )

"""The training as Lightning sees it. Imported only when `fit` is called: this needs Lightning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ..errors import TaggerError, explain
from ..evaluation.metrics import measure
from ..models.base import JetModel
from .batches import PairBatches
from .recipes import Recipe
from .sample import Sample

__all__ = ["Batch", "Progress", "Training"]


@dataclass(frozen=True)
class Batch:
    """A sample with its place in the training: batch `index` of `total` in `epoch`."""

    sample: Sample
    epoch: int = 0
    index: int = 0
    total: int = 1

    def to(self, device: torch.device) -> Batch:
        """Copy to a device."""
        sample = Sample(self.sample.jets.to(device), self.sample.labels.to(device))
        return replace(self, sample=sample)


@dataclass
class Progress:
    """Where a training stands: `batches` of `epoch` are done, with these sums over their jets."""

    epoch: int = 0
    batches: int = 0
    loss: float = 0.0
    right: int = 0
    jets: int = 0


class Training(LightningModule):
    """One network, its loss and its schedule.

    An epoch's order, its dropout and its learning rates follow from (seed, epoch, batch) alone. So weights,
    optimiser and `Progress` are all there is to store, and a resumed training takes the very same steps.

    A batch's loss is Σ w l over its jets, divided by the mean Σ w of the epoch's batches and not by its own:
    batches differ in size under the pair budget, and so each jet weighs the same in an epoch's gradient,
    whichever batch it falls in.
    """

    class_weights: Tensor

    def __init__(
        self,
        model: JetModel,
        train: Sample,
        batches: PairBatches,
        validation: list[Sample],
        recipe: Recipe,
        *,
        epochs: int,
        class_weights: tuple[float, ...],
        signal: int,
        progress: Progress,
        optimizer_state: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.train_sample, self.batches, self.validation = train, batches, validation
        self.recipe, self.epochs, self.signal_class = recipe, epochs, signal
        self.progress = progress
        self.register_buffer("class_weights", torch.tensor(class_weights, dtype=torch.float32), persistent=False)
        self._optimizer_state = optimizer_state
        self._epoch_weight = float(torch.tensor(class_weights, dtype=torch.float64)[train.labels].sum())
        self._logits: list[Tensor] = []
        self.row: dict[str, float] = {}
        # sums stay on the device until somebody needs numbers: reading one waits for the GPU
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._right_sum = torch.zeros((), dtype=torch.int64)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimiser, where it was left."""
        kind = torch.optim.AdamW if self.recipe.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(self.model.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay)
        if self._optimizer_state is not None:
            optimizer.load_state_dict(dict(self._optimizer_state))
        return optimizer

    def train_dataloader(self) -> _Batches:
        """Batches of the current epoch, from where it was left."""
        return _Batches(self._remaining)

    def val_dataloader(self) -> _Batches:
        """Validation batches."""
        return _Batches(lambda: (Batch(sample) for sample in self.validation))

    def _remaining(self) -> Iterator[Batch]:
        epoch, first = self.progress.epoch, self.progress.batches
        chosen = self.batches.epoch(epoch)
        for index in range(first, len(chosen)):
            yield Batch(self.train_sample.select(chosen[index]), epoch, index, len(chosen))

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set what depends on the place in the training alone: randomness and learning rate."""
        if (batch.epoch, batch.index) != (self.progress.epoch, self.progress.batches):
            raise RuntimeError(f"batch {batch.epoch}/{batch.index} came at {self.progress}")
        seed = np.random.SeedSequence([self.batches.seed, batch.epoch, batch.index]).generate_state(1, np.uint64)
        torch.manual_seed(int(seed[0] >> np.uint64(1)))
        done = (batch.epoch + (batch.index + 0.5) / batch.total) / self.epochs
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.recipe.rate(done)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The batch's loss; see the class."""
        logits = self.model(batch.sample.jets)
        labels = batch.sample.labels
        losses = nn.functional.cross_entropy(logits.float(), labels, weight=self.class_weights, reduction="none")
        total = losses.sum()
        self._loss_sum = self._loss_sum.to(total.device) + total.detach().double()
        self._right_sum = self._right_sum.to(total.device) + (logits.detach().argmax(1) == labels).sum()
        # callbacks see a batch's end before this module would; the step is taken by then
        self.progress.batches += 1
        self.progress.jets += len(labels)
        loss: Tensor = total * (batch.total / self._epoch_weight)
        return loss

    def gather(self) -> Progress:
        """The progress with its sums up to date.

        Raises
        ------
        TaggerError
            If the loss is no longer finite.
        """
        self.progress.loss += float(self._loss_sum)
        self.progress.right += int(self._right_sum)
        self._loss_sum, self._right_sum = torch.zeros_like(self._loss_sum), torch.zeros_like(self._right_sum)
        if not math.isfinite(self.progress.loss):
            raise TaggerError(
                explain(
                    f"the training loss became {self.progress.loss} in epoch {self.progress.epoch + 1}",
                    "a finite loss",
                    f"lower the learning rate (now at most {self.recipe.learning_rate:g}), set gradient_clip=1.0 in "
                    "the recipe, or use precision='32'; the last good state is in last.ckpt",
                )
            )
        return self.progress

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the logits."""
        self._logits.append(self.model(batch.sample.jets).double().cpu())

    def on_validation_epoch_end(self) -> None:
        """One row of metrics; what follows is the next epoch."""
        done = self.gather()
        logits = torch.cat(self._logits)
        labels = torch.cat([sample.labels for sample in self.validation])
        self._logits = []
        if not bool(torch.isfinite(logits).all()):
            raise TaggerError(
                explain(
                    f"logits of validation jets are NaN or infinite after epoch {done.epoch + 1}",
                    "finite logits",
                    "lower the learning rate, or set gradient_clip=1.0 in the recipe",
                )
            )
        weights = self.class_weights.double().cpu()
        losses = nn.functional.cross_entropy(logits, labels, weight=weights, reduction="none")
        scores = torch.softmax(logits, dim=1)[:, self.signal_class]
        measured = measure(scores.numpy(), (labels == self.signal_class).long().numpy())
        rejections = {f"rejection_{100 * r.efficiency:g}": r.value for r in measured.rejections}
        self.row = {
            "epoch": done.epoch + 1,
            "learning_rate": float(self.trainer.optimizers[0].param_groups[0]["lr"]),
            "train_loss": done.loss / self._epoch_weight,
            "train_accuracy": done.right / done.jets,
            "loss": float(losses.sum() / weights[labels].sum()),
            "accuracy": float((logits.argmax(1) == labels).double().mean()),
            "auc": measured.auc,
            **rejections,
        }
        self.progress = Progress(epoch=done.epoch + 1)


class _Batches:
    """An iterable that begins anew each time; without a length, since epochs differ in theirs."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Batch]:
        return self._make()

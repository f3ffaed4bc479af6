"""The training as a Lightning module. Imported only when `fit` is called, as it needs Lightning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ...errors import TaggerError, explain
from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ..data import LabelledJets, Source
from ..objectives import Objective
from ..recipes import Recipe
from .batch_statistics import BatchStatistics, has_batch_norm
from .moving_average import MovingAverage
from .optimizer import make_optimizer, set_rate
from .pair_budget import halved
from .pieces import pieces
from .process_group import ProcessGroup
from .progress import Batch, Progress

__all__ = ["Batch", "Progress", "Training"]


class Training(LightningModule):
    """One network, its objective and its schedule.

    The order of the jets, the dropout and the learning rates follow from (seed, epoch, batch) alone. So weights,
    optimiser and `Progress` are all there is to store, and a resumed training takes exactly the same steps.

    The loss of a batch is Σ w l over its jets, divided by the mean Σ w of the epoch's batches and not by its own: so
    each jet has the same weight in an epoch's gradient, whichever batch it is in, including the last and smaller one.

    A batch is what one step of the optimiser learns from. It is processed in pieces (see `pieces`), whose gradients add
    up to that of the batch; only batch normalisation takes its statistics piece by piece, and its running statistics
    follow from all pieces of the batch together. Several processes (see `ProcessGroup`) share the pieces of each batch
    and of the validation jets, and add up what they find; all of them then take the same step. If a GPU runs out of
    memory, the pair budget of a network without batch normalisation is halved and the batch started again, with the
    same random numbers.
    """

    #: This class runs the backward passes and the optimiser's step itself.
    automatic_optimization = False

    class_weights: Tensor

    def __init__(
        self,
        model: JetModel,
        objective: Objective,
        source: Source,
        validation: Callable[[], Iterator[LabelledJets]],
        recipe: Recipe,
        *,
        epochs: int,
        seed: int,
        class_weights: Sequence[float],
        progress: Progress,
        optimizer_state: Mapping[str, Any] | None,
        average: MovingAverage | None = None,
        scales: Mapping[str, float] | None = None,
        frozen: Sequence[nn.Module] = (),
        steps: int = 0,
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        # not as a part of this module: they are the network's
        self._frozen: tuple[nn.Module, ...] = tuple(frozen)
        self.model, self.objective, self.group = model, objective, group or ProcessGroup()
        self.source, self.validation = source, validation
        self.recipe, self.epochs, self.seed = recipe, epochs, seed
        self.progress, self.average = progress, average
        self.register_buffer("class_weights", torch.tensor(class_weights, dtype=torch.float64), persistent=False)
        self._optimizer_state, self._scales = optimizer_state, scales or {}
        self._epoch_weight = float(np.dot(class_weights, source.weight_sums))
        self._observed: list[tuple[int, dict[str, Tensor]]] = []
        #: What the last validation observed of its jets.
        self.observed: dict[str, Tensor] = {}
        self.row: dict[str, float] = {}
        self.rate, self.steps, self.batch_loss = recipe.learning_rate, steps, torch.zeros(())
        # sums stay on the device until their values are needed: reading one waits for the GPU
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._right_sum = torch.zeros((), dtype=torch.int64)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimiser, in its stored state when resuming."""
        return make_optimizer(self.model, self.recipe, self._scales, self._optimizer_state)

    def train(self, mode: bool = True) -> Training:
        """Set the mode of all parts but the frozen ones, which stay as they are evaluated."""
        super().train(mode)
        for part in self._frozen:
            part.train(False)
        return self

    def train_dataloader(self) -> _Batches:
        """Batches of the current epoch that are not done yet."""
        return _Batches(self._remaining)

    def val_dataloader(self) -> _Batches:
        """Validation batches."""
        return _Batches(
            lambda: (Batch(sample, index=k) for k, sample in self.group.share(enumerate(self.validation())))
        )

    def _remaining(self) -> Iterator[Batch]:
        epoch, first = self.progress.epoch, self.progress.batches
        total = self.source.num_batches(epoch)
        for index, sample in enumerate(self.source.batches(epoch, first), first):
            yield Batch(sample.hardest(self.recipe.max_constituents), epoch, index, total)

    def weighted(self, sample: LabelledJets) -> LabelledJets:
        """The jets with their weights multiplied by those of their classes."""
        return replace(sample, weights=sample.weights * self.class_weights[sample.labels])

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate, which depends only on the place in the training."""
        if (batch.epoch, batch.index) != (self.progress.epoch, self.progress.batches):
            raise RuntimeError(f"batch {batch.epoch}/{batch.index} came at {self.progress}")
        done = (batch.epoch + (batch.index + 0.5) / batch.total) / self.epochs
        self.rate = self.recipe.rate(done)
        set_rate(self.trainer.optimizers[0], self.rate)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One step of the optimiser."""
        optimizer: Any = self.optimizers()
        total, right = self.accumulate(batch)
        if self.recipe.gradient_clip is not None:
            self.clip_gradients(optimizer, self.recipe.gradient_clip, "norm")
        optimizer.step()
        if self.average is not None:
            self.average.update()
        self.steps += 1
        self.batch_loss = total * (batch.total / self._epoch_weight)
        self._loss_sum = self._loss_sum.to(total.device) + total
        self._right_sum = self._right_sum.to(right.device) + right
        # callbacks run at the end of a batch before this module's own hook would
        self.progress.batches += 1
        self.progress.jets += len(batch.sample.labels)

    def accumulate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the gradient of a batch's loss (see the class) into the weights' ``grad``.

        Returns
        -------
        (Tensor, Tensor)
            Sum of the losses, float64, and the number of correctly classified jets.

        Raises
        ------
        TaggerError
            If the GPU does not have enough memory for a single jet.
        """
        statistics = BatchStatistics(self.model)
        while True:
            self.model.zero_grad(set_to_none=True)
            found, failed = self._by_pieces(batch, statistics)
            if found is not None:
                return found
            self.progress.pair_budget = halved(
                self.model, failed, self.progress.pair_budget, alone=self.group.size == 1
            )

    def _by_pieces(self, batch: Batch, statistics: BatchStatistics) -> tuple[tuple[Tensor, Tensor] | None, RaggedJets]:
        """The sums, or None and the piece that was too large; memory of a failed attempt is free again on return."""
        sample = self.weighted(batch.sample)
        jets = sample.jets
        right = torch.zeros((), dtype=torch.int64, device=jets.device)
        budget, extra = self.progress.pair_budget, self.model.extra_nodes
        most = self.recipe.batch_size
        if not has_batch_norm(self.model):
            most = min(most, -(-jets.num_jets // self.group.size))  # a piece for each process, at least
        parts = list(sample.cut(pieces(jets, most, budget, extra)))
        in_pieces = len(parts) > 1 or self.group.size > 1
        try:
            losses, grad_outputs = self._of_whole_batch(batch, sample, parts, statistics)
            statistics.start()
            for k, piece in self.group.share(enumerate(parts)):
                self._seed(batch, k)
                output = self.objective.output(self.model, piece.jets)
                loss = (self.objective.losses(output, piece) * piece.weights.float()).sum()
                losses += loss.detach().double()
                if grad_outputs is not None:
                    loss = loss + (output * grad_outputs[k]).sum()
                elif self.objective.whole_batch:
                    together = self._together(output, piece)
                    losses += together.detach()
                    loss = loss + together
                torch.autograd.backward(loss * (batch.total / self._epoch_weight))
                correct = self.objective.correct(output.detach(), piece)
                right += 0 if correct is None else correct
                if in_pieces:
                    statistics.add(piece.jets.num_jets / jets.num_jets)
        except torch.cuda.OutOfMemoryError:
            statistics.start()
            return None, max((piece.jets for piece in parts), key=lambda piece: int(piece.counts.square().sum()))
        self.group.add_gradients(self.model.parameters(), [losses, right, *statistics.sums])
        if in_pieces:
            statistics.finish()
        return (losses, right), jets

    def _of_whole_batch(
        self, batch: Batch, sample: LabelledJets, parts: Sequence[LabelledJets], statistics: BatchStatistics
    ) -> tuple[Tensor, Sequence[Tensor] | None]:
        """What a batch in several pieces loses as a whole, and the gradients of that with respect to their outputs.

        The outputs of all pieces come first, each without what it keeps for its own gradients.
        """
        if not self.objective.whole_batch or len(parts) < 2:
            return torch.zeros((), dtype=torch.float64, device=sample.jets.device), None
        # as in the second pass, gradients are recorded: kernels choose by that, and so does what they draw
        outputs = []
        for k, piece in enumerate(parts):
            self._seed(batch, k)
            outputs.append(self.objective.output(self.model, piece.jets).detach())
            statistics.reset()
        whole = torch.cat(outputs).requires_grad_()
        loss = self._together(whole, sample)
        (grad_outputs,) = torch.autograd.grad(loss, whole)
        return loss.detach() * self.group.is_first, torch.split(grad_outputs, [len(output) for output in outputs])

    def _together(self, output: Tensor, sample: LabelledJets) -> Tensor:
        """The loss of all jets together, with the weight of all."""
        return self.objective.batch_loss(output, sample).double() * sample.weights.sum()

    def _seed(self, batch: Batch, piece: int) -> None:
        """Seed what a piece draws, whichever process it is in."""
        place = [self.seed, batch.epoch, batch.index] + ([piece] if piece else [])
        seed = np.random.SeedSequence(place).generate_state(1, np.uint64)
        torch.manual_seed(int(seed[0] >> np.uint64(1)))

    def gather(self) -> Progress:
        """Bring the sums of the progress up to date and return it.

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
        """Collect what the metrics need."""
        sample = self.weighted(batch.sample)
        observed = self.objective.observe(self.objective.output(self.model, sample.jets), sample)
        # which jets these are, and how much they count: for comparisons of runs
        kept = {"sample_weights": batch.sample.weights, "jet_p4": batch.sample.jets.jet_p4}
        self._observed.append((batch.index, observed | {name: value.cpu() for name, value in kept.items()}))

    def averaged(self) -> AbstractContextManager[None]:
        """The network with the weights that are validated and stored: their moving average, if there is one."""
        return nullcontext() if self.average is None else self.average.in_place()

    def on_validation_epoch_start(self) -> None:
        """Validate the averaged weights."""
        self._own = ExitStack()
        self._own.enter_context(self.averaged())

    def on_validation_epoch_end(self) -> None:
        """Compute the row of metrics, and move on to the next epoch."""
        self._own.close()
        done = self.gather()
        found = sorted((one for part in self.group.gather(self._observed) for one in part), key=lambda one: one[0])
        self.observed = {name: torch.cat([one[name] for _, one in found]) for name in found[0][1]}
        observed, self._observed = self.observed, []
        if not bool(torch.isfinite(observed["output"]).all()):
            raise TaggerError(
                explain(
                    f"outputs for validation jets are NaN or infinite after epoch {done.epoch + 1}",
                    "finite outputs",
                    "lower the learning rate, or set gradient_clip=1.0 in the recipe",
                )
            )
        metrics = self.objective.metrics(observed)
        self.row = {
            "epoch": done.epoch + 1,
            "learning_rate": self.rate,
            "train_loss": done.loss / self._epoch_weight,
            **({"train_accuracy": done.right / done.jets} if "accuracy" in metrics else {}),
            **metrics,
        }
        self.progress = Progress(epoch=done.epoch + 1, pair_budget=done.pair_budget)


class _Batches:
    """An iterable that restarts each time; it has no length, as epochs differ in theirs."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Batch]:
        return self._make()

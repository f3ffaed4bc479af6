"""What a run writes to disk and prints while it trains. Imported only when `fit` is called."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ... import kernels
from ...cpu_name import cpu_name
from ...errors import TimeLimitError, explain
from .folder import RunFolder
from .module import Training
from .process_group import ProcessGroup
from .progress import Batch
from .stopping import Clock, Stopping

__all__ = ["CheckpointWriter", "ProgressReporter"]


class CheckpointWriter(Callback):
    """Writes ``last.ckpt`` at the start, at intervals and at the end of each epoch; the tagger when it has improved.

    The order at the end of an epoch matters: best tagger, table, last checkpoint. A kill in between repeats the
    epoch, which writes the same files again.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        monitor: str,
        lower_is_better: bool,
        seconds: float,
        rows: list[dict[str, float]],
        save_tagger: Callable[[dict[str, float]], None],
        stopping: Stopping,
        clock: Clock,
        group: ProcessGroup,
        seconds_before: float = 0.0,
    ) -> None:
        self.folder, self.monitor, self.seconds, self.rows = folder, monitor, seconds, rows
        self._sign = 1 if lower_is_better else -1
        self._save_tagger, self._stopping, self._clock, self._group = save_tagger, stopping, clock, group
        self._saved = time.monotonic()
        self._began = self._saved - seconds_before

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state that a run begins with: its weights may be random."""
        if not self.folder.last.exists():
            self._save(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save in the middle of an epoch if the last checkpoint is old enough, or the time is up."""
        if batch.index + 1 == batch.total:
            return
        is_up = self._is_up(trainer)
        if is_up or time.monotonic() - self._saved >= self.seconds:
            self._save(trainer, pl_module)
        if is_up:
            self._end(f"in epoch {batch.epoch + 1} after batch {batch.index + 1} of {batch.total}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the epoch's metrics, and the tagger if it is the best so far."""
        assert isinstance(pl_module, Training)
        row = pl_module.row
        best = min((self._figure(r) for r in self.rows), default=math.inf)
        self.rows.append(row)
        if self._figure(row) < best and self._group.is_first:
            with pl_module.averaged():
                self.folder.write(
                    self.folder.best,
                    {"model": pl_module.model.state_dict(), "metrics": row, "validation": pl_module.observed},
                )
                self._save_tagger(row)
        if self._group.is_first:
            self.folder.write_metrics(self.rows)
        self._save(trainer, pl_module)
        if self._stopping.ends(self.rows):
            trainer.should_stop = True
        elif len(self.rows) < pl_module.epochs and self._is_up(trainer):
            self._end(f"after epoch {row['epoch']:.0f}")

    def _is_up(self, trainer: Trainer) -> bool:
        """Whether the time is up, or the batch system asks to end, in any process."""
        return self._group.any(self._clock.is_up or bool(getattr(trainer, "received_sigterm", False)))

    def _end(self, where: str) -> None:
        reason = "time limit" if self._clock.is_up else "SIGTERM"
        raise TimeLimitError(
            explain(
                f"{reason}: training stopped {where}",
                "more time to finish",
                "repeat the call, which continues from last.ckpt",
            )
        )

    def _figure(self, row: dict[str, float]) -> float:
        return self._sign * row[self.monitor]

    def _save(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Training)
        if not self._group.is_first:
            return
        self.folder.write(
            self.folder.last,
            {
                "progress": asdict(module.gather()),
                "model": module.model.state_dict(),
                "optimizer": trainer.optimizers[0].state_dict(),
                "rows": self.rows,
                "steps": module.steps,
                "cost": {"seconds": time.monotonic() - self._began, "processor": _processor(module.device)},
            }
            | ({} if module.average is None else {"average": module.average.state()}),
        )
        self._saved = time.monotonic()


def _processor(device: torch.device) -> str:
    """Name of the processor that trains, and on a CPU the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"


class ProgressReporter(Callback):
    """Shows a progress bar within each epoch, and prints a line after it, and first one on what trains."""

    def __init__(self, epochs: int, model: str) -> None:
        console = Console(stderr=True)
        self.epochs, self.model = epochs, model
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal and not console.is_jupyter,
        )
        self._console, self._told = console, False
        self._task = self._bar.add_task(model, total=None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Advance the bar; say once which implementation of the network trains, and why."""
        if not self._told:
            choice = kernels.last_choice(self.model) or kernels.Choice("reference", "no kernels for this network")
            self._console.print(f"{self.model} trains on {choice}", highlight=False, soft_wrap=True)
            self._told = True
        described = f"{self.model}: epoch {batch.epoch + 1} of {self.epochs}"
        self._bar.update(self._task, description=described, completed=batch.index + 1, total=batch.total)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch's line."""
        assert isinstance(pl_module, Training)
        row = pl_module.row
        metrics = "  ".join(
            f"{_title(name)} {value:.4g}" for name, value in row.items() if name not in ("epoch", "learning_rate")
        )
        self._console.print(
            f"epoch {row['epoch']:>3.0f}/{self.epochs}  {metrics}",
            highlight=False,
            soft_wrap=True,
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self._bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the bar."""
        self._bar.stop()


def _title(metric: str) -> str:
    """How a metric is called in print."""
    if metric.startswith("rejection_"):
        return f"1/ε_B({metric.removeprefix('rejection_')}%)"
    return {"auc": "AUC"}.get(metric, metric.replace("_", " "))

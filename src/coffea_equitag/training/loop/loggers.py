"""What a run tells while it trains: steps.csv, TensorBoard, or any logger of Lightning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch import Callback, LightningModule, Trainer

from ...atomic_file import write_atomic
from ...errors import TaggerError, explain
from .module import Training
from .progress import Batch

__all__ = ["LOGGERS", "StepLogger", "make_loggers"]

#: Loggers that have a name.
LOGGERS = ("csv", "tensorboard")


class Logger(Protocol):
    """Anything that takes metrics by step, e.g. Lightning's loggers."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Take in some metrics."""

    def finalize(self, status: str) -> None:
        """Write what is still to be written."""


class StepTable:
    """``steps.csv``: a row per logged step.

    Parameters
    ----------
    path : Path
        The file; rows of steps after `done`, which will be taken again, are dropped from it.
    done : int
        Steps that are done.
    """

    _COLUMNS = ("step", "epoch", "learning_rate", "loss")

    def __init__(self, path: Path, done: int) -> None:
        kept = [",".join(self._COLUMNS)]
        if path.is_file():
            lines = path.read_text().splitlines()[1:]
            kept += [line for line in lines if line.count(",") == 3 and int(line.split(",")[0]) <= done]
        write_atomic(path, ("\n".join(kept) + "\n").encode())
        self._file = path.open("a")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row, if it is one of a step and not of an epoch."""
        if "train/loss" in metrics:
            values = (metrics["epoch"], metrics["train/learning_rate"], metrics["train/loss"])
            self._file.write(f"{step},{','.join(map(repr, values))}\n")
            self._file.flush()

    def finalize(self, status: str) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """TensorBoard's files in a folder.

    Parameters
    ----------
    folder : Path
        The folder.
    done : int
        Steps that are done: what an interrupted call wrote of later ones is hidden.
    """

    def __init__(self, folder: Path, done: int) -> None:
        if find_spec("tensorboard") is None:
            raise TaggerError(
                explain("no package tensorboard", "tensorboard", "pip install 'coffea-equitag[tensorboard]'")
            )
        from torch.utils.tensorboard import SummaryWriter

        writer: Any = SummaryWriter
        self._writer = writer(str(folder), purge_step=done + 1 if done else None)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write some scalars."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finalize(self, status: str) -> None:
        """Close the file."""
        self._writer.close()


def make_loggers(wanted: Sequence[str | Logger], folder: Path, done: int) -> list[Logger]:
    """The loggers that are asked for, by name or themselves; `done` steps are done.

    Raises
    ------
    TaggerError
        For a name that is none, or without TensorBoard's package.
    """
    made: list[Logger] = []
    for one in wanted:
        if one == "csv":
            made.append(StepTable(folder / "steps.csv", done))
        elif one == "tensorboard":
            made.append(TensorBoard(folder / "tensorboard", done))
        elif hasattr(one, "log_metrics") and hasattr(one, "finalize"):
            made.append(one)
        else:
            raise TaggerError(
                explain(f"loggers = {one!r}", f"{', '.join(LOGGERS)}, or a logger of Lightning", "correct the name")
            )
    return made


class StepLogger(Callback):
    """Gives loss and learning rate of every n-th step, and the metrics of every epoch, to loggers.

    Parameters
    ----------
    loggers : sequence of Logger
        Who wants them.
    every : int
        Steps between two that are logged.
    """

    def __init__(self, loggers: Sequence[Logger], every: int) -> None:
        self.loggers, self.every = loggers, every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Log the step."""
        assert isinstance(pl_module, Training)
        if pl_module.steps % self.every == 0:
            place = batch.epoch + (batch.index + 1) / batch.total
            loss = float(pl_module.batch_loss)
            self._log({"epoch": place, "train/learning_rate": pl_module.rate, "train/loss": loss}, pl_module.steps)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's metrics."""
        assert isinstance(pl_module, Training)
        row = {f"validation/{name}": value for name, value in pl_module.row.items() if name != "epoch"}
        self._log(row, pl_module.steps)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is still to be written."""
        self._finalize("success")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what is still to be written."""
        self._finalize("failed")

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        for logger in self.loggers:
            logger.log_metrics(dict(metrics), step)

    def _finalize(self, status: str) -> None:
        for logger in self.loggers:
            logger.finalize(status)

"""The training handed to Lightning, and Lightning kept to itself."""

from __future__ import annotations

import logging
import signal as signals
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch

from ..jet_model import JetModel
from ..tagger.inference import default_budget, pieces
from .batches import Batches
from .folder import RunFolder
from .recipes import Recipe
from .sample import Sample

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

__all__ = ["PRECISIONS", "own_randomness", "run"]

#: Precision -> what Lightning calls it.
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"32": "32-true", "bf16-mixed": "bf16-mixed"}


def run(
    model: JetModel,
    sample: Sample,
    held: Sample,
    batches: Batches,
    *,
    recipe: Recipe,
    pair_budget: int | None,
    epochs: int,
    weights: tuple[float, ...],
    signal: int,
    state: Mapping[str, Any] | None,
    folder: RunFolder,
    monitor: str,
    save_every: float,
    save_tagger: Any,
    device: torch.device,
    precision: str,
    progress: bool,
) -> None:
    """Let Lightning run the epochs that are left."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch import Trainer

    from .callbacks import Keeper, Narrator
    from .module import Progress, Training

    done = Progress(**state["progress"]) if state is not None else Progress(pair_budget=pair_budget)
    module = Training(
        model.train(),
        sample,
        batches,
        list(_pieces(held, model)),
        recipe,
        epochs=epochs,
        class_weights=weights,
        signal=signal,
        progress=done,
        optimizer_state=state["optimizer"] if state is not None else None,
    )
    rows = list(state["rows"]) if state is not None else []
    callbacks: list[Any] = [Keeper(folder, monitor=monitor, seconds=save_every, rows=rows, save_tagger=save_tagger)]
    if progress:
        callbacks.append(Narrator(epochs, model.kind))
    with _quietly():
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=PRECISIONS[precision],
            max_epochs=epochs - done.epoch,
            callbacks=callbacks,
            # one process, whatever batch system it runs in
            plugins=[LightningEnvironment()],
            num_sanity_val_steps=0,
            # Keeper and Narrator do these, and nothing is written outside the run's folder
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder.path,
        )
        with _exactly(device):
            _fit(trainer, module)


def _pieces(held: Sample, model: JetModel) -> Iterator[Sample]:
    """Validation jets in pieces that scoring would have."""
    done = 0
    for piece in pieces(model, held.jets, default_budget(model)):
        yield Sample(piece, held.labels[done : done + piece.num_jets])
        done += piece.num_jets


def own_randomness() -> AbstractContextManager[None]:
    """Leave the caller's random numbers as they were."""
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))


@contextmanager
def _exactly(device: torch.device) -> Iterator[None]:
    """On a CPU, the same sums in the same order whatever the threads do: without it, steps differ by rounding.

    On a GPU some of the sums have no such form.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled


def _fit(trainer: Trainer, module: Any) -> None:
    """Fit, leaving the caller's random numbers and Ctrl-C as they were."""
    main = threading.current_thread() is threading.main_thread()
    before = signals.getsignal(signals.SIGINT) if main else None
    try:
        with own_randomness():
            trainer.fit(module)
    except SystemExit as error:
        # Lightning ends the process on Ctrl-C; a notebook wants its kernel back
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if main and before is not None:
            signals.signal(signals.SIGINT, before)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Lightning's greetings, and without two of its warnings that no caller can heed."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 walks its loaders with a class that torch 2.13 is about to retire
            warnings.filterwarnings("ignore", r".*LeafSpec.*is deprecated", FutureWarning)
            # the caller said device="cpu"
            warnings.filterwarnings("ignore", r"GPU available but not used", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

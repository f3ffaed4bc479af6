"""The training handed to Lightning, whose side effects stay inside."""

from __future__ import annotations

import logging
import signal as signals
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ...errors import CheckpointError, TaggerError, explain
from ...jet_model import JetModel
from ...reading import reading
from ...tagger import Tagger
from ...tagger.inference import default_budget, pieces
from ..data import LabelledJets, Source
from ..fine_tuning import frozen, frozen_modules
from ..options import Precision
from ..plan import Plan
from .batch_statistics import has_batch_norm
from .folder import RunFolder
from .malloc import retained_memory
from .moving_average import MovingAverage
from .pair_budget import fitting_budget, warn_of_memory
from .process_group import ProcessGroup
from .stopping import Clock, Stopping

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

__all__ = ["check_trainable", "keep_random_state", "run"]

#: Precision -> what Lightning calls it.
_PRECISIONS: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"32": "32-true", "bf16-mixed": "bf16-mixed"}


def check_trainable(model: Any) -> None:
    """Refuse what `fit` cannot train, and an environment in which it cannot train.

    Raises
    ------
    TaggerError
        Without Lightning; for what is not a network, or not in float32.
    """
    if find_spec("lightning") is None:
        raise TaggerError(explain("no package lightning", "lightning >= 2.6.6", "pip install 'coffea-equitag[train]'"))
    if not isinstance(model, JetModel):
        remedy = f"coffea_equitag.models.build({model!r})" if isinstance(model, str) else "coffea_equitag.models.build"
        raise TaggerError(explain(f"a model of type {type(model).__name__}", "a network", f"build one: {remedy}"))
    if model.dtype != torch.float32:
        raise TaggerError(explain(f"a model in {model.dtype}", "float32, as taggers are stored", "call model.float()"))


def check_pieces(model: JetModel, accumulate: int, group: ProcessGroup) -> None:
    """Refuse processes that would have to share the statistics of a batch.

    Raises
    ------
    TaggerError
        For a network with batch normalisation on more processes than a batch has parts.
    """
    if has_batch_norm(model) and accumulate < group.size:
        raise TaggerError(
            explain(
                f"{group.size} processes, a network with batch normalisation, and accumulate = {accumulate}",
                "a part of each batch for each process: its statistics are those of the part",
                f"give accumulate={group.size}: each process then takes batch_size jets per step",
            )
        )


def run(
    model: JetModel,
    plan: Plan,
    folder: RunFolder,
    state: Mapping[str, Any] | None,
    *,
    save_every: float,
    progress: bool,
    pretrained: frozenset[str] = frozenset(),
    clock: Clock | None = None,
    group: ProcessGroup,
    loggers: Sequence[Any] = (),
    log_every: int = 50,
) -> None:
    """Train the epochs that are left, if any, from the state that `RunFolder.begin` found.

    `pretrained` names the weights that come from the tagger that the training begins with.
    """
    settings, device = plan.settings, group.device
    pair_budget = settings.pair_budget
    state = state or {}
    continued = state.get("continued", [])
    stopping = Stopping(
        settings.recipe.patience,
        settings.monitor,
        plan.objective.monitors[settings.monitor],
        since=continued[-1]["at"] if continued else 0,
    )
    if state:
        with reading(folder.last, "a checkpoint of this run", CheckpointError, "give resume=False (--restart)"):
            model.load_state_dict(state["model"])
            pair_budget = state["progress"].get("pair_budget", pair_budget)
        if state["progress"]["epoch"] >= settings.epochs or stopping.ends(state["rows"]):
            return
    elif pair_budget is None:
        some = plan.training.probe(16).hardest(settings.recipe.max_constituents)
        pair_budget = group.first(lambda: fitting_budget(model, some, device, settings.precision))
        if pair_budget is None:
            warn_of_memory(model, some, settings.recipe.batch_size, device, settings.precision)
    check_pieces(model, settings.recipe.accumulate, group)

    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch import Trainer

    from .callbacks import CheckpointWriter, ProgressReporter
    from .loggers import StepLogger, make_loggers
    from .module import Progress, Training

    card = plan.card(model, pair_budget, continued)

    def save_tagger(row: Mapping[str, float]) -> None:
        metrics = {key: float(value) for key, value in row.items() if np.isfinite(value)}
        was_training = model.training
        Tagger.from_model(model, **card, metrics=metrics).save(folder.tagger, overwrite=True)
        module.train(was_training)

    done = Progress(**state["progress"]) if state else Progress(pair_budget=pair_budget)
    kept_modules, kept_weights = frozen_modules(model, settings.frozen)
    ema = settings.recipe.ema
    module = Training(
        model,
        plan.objective,
        plan.training,
        lambda: _pieces(plan.validation, model),
        settings.recipe,
        epochs=settings.epochs,
        seed=settings.seed,
        class_weights=plan.class_weights,
        progress=done,
        optimizer_state=state.get("optimizer"),
        average=None if ema is None else MovingAverage(model, ema, state.get("average")),
        scales=dict.fromkeys(pretrained, settings.pretrained_rate),
        frozen=kept_modules,
        steps=state.get("steps", 0),
        group=group,
    )
    module.train()
    rows = list(state.get("rows", []))
    callbacks: list[Any] = [
        CheckpointWriter(
            folder,
            monitor=settings.monitor,
            lower_is_better=plan.objective.monitors[settings.monitor],
            seconds=save_every,
            rows=rows,
            save_tagger=save_tagger,
            stopping=stopping,
            clock=clock or Clock(None),
            group=group,
            seconds_before=state.get("cost", {}).get("seconds", 0.0),
        )
    ]
    if loggers and group.is_first:
        callbacks.append(StepLogger(make_loggers(loggers, folder.path, module.steps), log_every))
    if progress and group.is_first:
        callbacks.append(ProgressReporter(settings.epochs, model.kind))
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=_PRECISIONS[settings.precision],
            max_epochs=settings.epochs - done.epoch,
            callbacks=callbacks,
            # one process for Lightning, whatever started it: those of torchrun exchange what they find themselves
            plugins=[LightningEnvironment()],
            num_sanity_val_steps=0,
            # our callbacks do these, and nothing is written outside the run's folder
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder.path,
        )
        with _deterministic(device), frozen(kept_weights), retained_memory():
            _fit(trainer, module)


def _pieces(validation: Source, model: JetModel) -> Iterator[LabelledJets]:
    """Validation jets in the pieces that scoring would use."""
    for chunk in validation.chunks():
        seen = chunk.hardest(model.max_constituents)
        yield from seen.cut(pieces(model, seen.jets, default_budget(model)))


def keep_random_state() -> AbstractContextManager[None]:
    """Leave the caller's random number generators as they were."""
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """On a CPU, sum in the same order whatever the threads do: otherwise steps differ by rounding.

    On a GPU some of the sums have no deterministic form.
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
    """Fit, leaving the caller's random number generators and Ctrl-C handler as they were."""
    main = threading.current_thread() is threading.main_thread()
    before = signals.getsignal(signals.SIGINT) if main else None
    try:
        with keep_random_state():
            trainer.fit(module)
    except SystemExit as error:
        # Lightning ends the process on Ctrl-C; a notebook needs its kernel
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if main and before is not None:
            signals.signal(signals.SIGINT, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Lightning's greetings, and two of its warnings that no caller can act on."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 traverses its loaders with a class that torch 2.13 deprecates
            warnings.filterwarnings("ignore", r".*LeafSpec.*is deprecated", FutureWarning)
            # frozen parts are meant to be
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode", UserWarning)
            # the caller said device="cpu"
            warnings.filterwarnings("ignore", r"GPU available but not used", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

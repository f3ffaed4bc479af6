"""`fit`: from a network and labelled jets to a tagger."""

from __future__ import annotations

import logging
import os
import platform
import signal as signals
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import awkward as ak
import numpy as np
import torch

from ..errors import TaggerError, explain
from ..models.base import JetModel
from ..tagger import Tagger, load
from .batches import PairBatches
from .folder import RunFolder
from .recipes import Recipe, recipe_of
from .sample import Sample

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

__all__ = ["fit"]

#: Pairs a batch where the caller does not say: about 3 GB for LorentzNet at its published size, forward and backward.
PAIR_BUDGET = 200_000

_PRECISIONS = {"32": "32-true", "64": "64-true", "bf16-mixed": "bf16-mixed"}


def fit(
    model: JetModel,
    jets: ak.Array,
    labels: str | Any = "label",
    *,
    validation: float | ak.Array | tuple[ak.Array, Any] = 0.1,
    out: str | os.PathLike[str] = "run",
    epochs: int | None = None,
    batch_size: int | None = None,
    pair_budget: int | None = None,
    pool: int = 0,
    class_weights: Literal["balanced"] | Sequence[float] | None = None,
    recipe: Recipe | Mapping[str, Any] | str | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    precision: Literal["32", "64", "bf16-mixed"] = "32",
    monitor: Literal["loss", "auc", "accuracy"] = "loss",
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = True,
    resume: bool = True,
    save_every: float = 60.0,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    signal: str | None = None,
    data: str | None = None,
    jet_definition: str | None = None,
) -> Tagger:
    """Train a network on labelled jets; resume where an interrupted call stopped.

    The same call again goes on from the last checkpoint, in mid-epoch if need be, and takes the very steps that
    the unbroken run would have taken (bit for bit on a CPU with the same number of threads; on a GPU up to the
    order of its atomic sums). A finished run is only loaded.

    Parameters
    ----------
    model : JetModel
        The network, trained in place: it ends with the last weights, the tagger has the best.
    jets : ak.Array
        Canonical jets, any nesting; missing jets are left out.
    labels : str or array-like
        Name of a jet field, or a label a jet in the jets' structure: 0 to n_classes − 1.
    validation : float, ak.Array or (jets, labels)
        Fraction of each class to hold out (chosen by `seed`), or jets of their own.
    out : path-like
        Folder of the run: ``tagger/`` (the best so far), ``metrics.csv`` (a row an epoch), ``best.ckpt``,
        ``last.ckpt``, ``run.json``. ``coffea_equitag.load(out)`` finds the tagger.
    epochs, batch_size, learning_rate, weight_decay : optional
        Replace the recipe's; its schedule is stretched to the epochs.
    pair_budget : int, optional
        Pairs Σ(n + extra)² a batch, at most, which bounds the memory; batches are smaller where it binds, and each
        jet still weighs the same in the epoch's gradient. Networks that do not see pairs have none.
    pool : int
        Sort jets by n within random pools of this many batches; 0 (default) leaves them in random order, which
        batch normalisation prefers.
    class_weights : None, "balanced" or sequence of float
        Weights of the classes in the loss; "balanced" gives each class the same sum. Their mean over jets is
        made 1.
    recipe : Recipe, mapping, str, optional
        Default: that of the model's paper, see `coffea_equitag.training.recipe_of`.
    precision : {"32", "64", "bf16-mixed"}
        Of the network; invariants are float64 in all.
    monitor : {"loss", "auc", "accuracy"}
        Validation figure that tells the best epoch.
    seed : int
        Of validation split, batches and dropout; not of the weights the model comes with.
    device : str, optional
        "cpu", "cuda", "cuda:1"; default the GPU where there is one.
    progress : bool
        A progress bar within, and a line after, each epoch.
    resume : bool
        False begins anew in place of a run that `out` holds.
    save_every : float
        Seconds between checkpoints within an epoch.
    name, classes, signal, data, jet_definition : optional
        For the card: name (default the model's kind), names of the classes by label (default background, signal),
        which is the signal (default the last), where the jets are from, how they were clustered.

    Returns
    -------
    Tagger
        The best epoch's, loaded from ``out/tagger``.

    Raises
    ------
    TaggerError
        Without Lightning; for settings that cannot be; if `out` holds another run; if the loss diverges.
    JetError
        For jets or labels that cannot be trained on.
    """
    if find_spec("lightning") is None:
        raise TaggerError(
            explain("no package lightning", "lightning >= 2.6.6", "pip install 'coffea-equitag[train]'")
        )
    chosen_recipe, epochs = _settled(
        recipe_of(model.kind, recipe), epochs, batch_size=batch_size, learning_rate=learning_rate, decay=weight_decay
    )
    _check(precision in _PRECISIONS, f"precision = {precision!r}", f"one of {', '.join(_PRECISIONS)}")
    _check(monitor in ("loss", "auc", "accuracy"), f"monitor = {monitor!r}", "'loss', 'auc' or 'accuracy'")
    _check(pair_budget is None or pair_budget >= 1, f"pair_budget = {pair_budget}", "a positive number of pairs")
    _check(pool >= 0, f"pool = {pool}", "0 or more batches")
    _check(seed >= 0, f"seed = {seed}", "a whole number, 0 or more")
    if model.sees_pairs and pair_budget is None:
        pair_budget = PAIR_BUDGET
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    classes = _class_names(classes, model.n_classes)
    signal = classes[-1] if signal is None else signal
    _check(signal in classes, f"signal = {signal!r}", f"one of the classes {', '.join(classes)}")

    train, held = _samples(model, jets, labels, validation, seed, classes)
    weights = _weights(class_weights, train, classes)
    settings = {
        "architecture": model.kind,
        "options": model.options,
        "classes": list(classes),
        "signal": signal,
        "epochs": epochs,
        "recipe": chosen_recipe.model_dump(exclude={"reference"}),
        "pair_budget": pair_budget,
        "pool": pool,
        "class_weights": list(weights),
        "precision": precision,
        "monitor": monitor,
        "seed": seed,
    }
    asked = {
        "settings": settings,
        "jets": {
            "training": {"number": len(train.labels), "sha256": train.fingerprint()},
            "validation": {"number": len(held.labels), "sha256": held.fingerprint()},
        },
        "card": {"name": name or model.kind, "data": data, "jet_definition": jet_definition},
    }
    folder = RunFolder(out)
    state = folder.begin(asked, resume=resume)
    card = {
        "name": name or model.kind,
        "classes": classes,
        "signal": signal,
        "contract": {
            "constituent_fields": model.fields,
            "jet_definition": jet_definition,
            "pt_range": train.pt_range(),
        },
        "training": {
            "data": data or f"awkward array, sha256 {asked['jets']['training']['sha256'][:16]}",  # type: ignore[index]
            "num_jets": len(train.labels),
            "num_validation_jets": len(held.labels),
            "seed": seed,
            "recipe": {key: settings[key] for key in _RECORDED},
            "versions": _versions(),
        },
    }

    def save_tagger(row: Mapping[str, float]) -> None:
        metrics = {key: float(value) for key, value in row.items() if np.isfinite(value)}
        was_training = model.training
        Tagger.from_model(model, **card, metrics=metrics).save(folder.tagger, overwrite=True)
        model.train(was_training)

    if state is not None:
        model.load_state_dict(state["model"])
    if state is None or state["progress"]["epoch"] < epochs:
        budget = pair_budget if model.sees_pairs else None
        _train(
            model,
            train,
            held,
            PairBatches(
                train.jets.counts.numpy(),
                chosen_recipe.batch_size,
                budget,
                extra=model.extra_nodes,
                seed=seed,
                pool=pool,
            ),
            recipe=chosen_recipe,
            epochs=epochs,
            weights=weights,
            signal=classes.index(signal),
            state=state,
            folder=folder,
            monitor=monitor,
            save_every=save_every,
            save_tagger=save_tagger,
            device=device,
            precision=precision,
            progress=progress,
        )
    model.eval()
    return load(folder.tagger, device)


#: Settings that the card records of how the weights came about.
_RECORDED = ("epochs", "recipe", "pair_budget", "pool", "class_weights", "precision", "monitor")


def _train(
    model: JetModel,
    train: Sample,
    held: Sample,
    batches: PairBatches,
    *,
    recipe: Recipe,
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
    from lightning.pytorch import Trainer
    from lightning.pytorch.plugins.environments import LightningEnvironment

    from .keeper import Keeper, Narrator
    from .module import Progress, Training

    done = Progress(**state["progress"]) if state is not None else Progress()
    order = np.arange(len(held.labels))
    ordered = PairBatches(held.jets.counts.numpy(), recipe.batch_size, batches.budget, extra=model.extra_nodes)
    module = Training(
        model.train(),
        train,
        batches,
        [held.select(index) for index in ordered.cut(order)],
        recipe,
        epochs=epochs,
        class_weights=weights,
        signal=signal,
        progress=done,
        optimizer_state=state["optimizer"] if state is not None else None,
    )
    rows = list(state["rows"]) if state is not None else []
    callbacks: list[Any] = [
        Keeper(folder, monitor=monitor, seconds=save_every, rows=rows, save_tagger=save_tagger)
    ]
    if progress:
        callbacks.append(Narrator(epochs, model.kind))
    with _quietly():
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=_PRECISIONS[precision],  # type: ignore[arg-type]
            max_epochs=epochs - done.epoch,
            callbacks=callbacks,
            # one process, whatever batch system it runs in
            plugins=[LightningEnvironment()],
            gradient_clip_val=recipe.gradient_clip,
            num_sanity_val_steps=0,
            # Keeper and Narrator do these, and nothing is written outside the run's folder
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder.path,
        )
        _run(trainer, module)


def _run(trainer: Trainer, module: Any) -> None:
    """Fit, leaving the caller's random numbers and Ctrl-C as they were."""
    main = threading.current_thread() is threading.main_thread()
    before = signals.getsignal(signals.SIGINT) if main else None
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), warnings.catch_warnings():
            # Lightning 2.6 walks its loaders with a class that torch 2.13 is about to retire
            warnings.filterwarnings("ignore", r".*LeafSpec.*is deprecated", FutureWarning)
            trainer.fit(module)
    except SystemExit as error:
        # Lightning ends the process on Ctrl-C; a notebook wants its kernel back
        raise KeyboardInterrupt from error
    finally:
        if main and before is not None:
            signals.signal(signals.SIGINT, before)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Lightning's greetings; its warnings stay."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check(good: bool, given: str, expected: str) -> None:
    if not good:
        raise TaggerError(explain(given, expected, "see the documentation of coffea_equitag.fit"))


def _settled(
    recipe: Recipe,
    epochs: int | None,
    *,
    batch_size: int | None,
    learning_rate: float | None,
    decay: float | None,
) -> tuple[Recipe, int]:
    """The recipe with the values that replace its own, and the epochs to train for."""
    given = {"batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": decay}
    replaced = {key: value for key, value in given.items() if value is not None}
    epochs = recipe.epochs if epochs is None else epochs
    _check(epochs >= 1, f"epochs = {epochs}", "1 or more")
    return recipe_of("", recipe.model_dump() | replaced), epochs


def _class_names(classes: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    if classes is None and n_classes == 2:
        return ("background", "signal")
    _check(
        classes is not None and len(classes) == n_classes and len(set(classes)) == n_classes,
        f"classes = {classes} for a network of {n_classes} classes",
        f"{n_classes} different names, in the order of the labels: classes=(...)",
    )
    return tuple(classes or ())


def _samples(
    model: JetModel, jets: ak.Array, labels: Any, validation: Any, seed: int, classes: tuple[str, ...]
) -> tuple[Sample, Sample]:
    """Training and validation jets."""
    sample = Sample.of(jets, labels, model.n_classes, model.fields)
    if isinstance(validation, int | float):
        return sample.split(float(validation), seed, classes)
    sample.require(classes, "training")
    if isinstance(validation, tuple):
        held = Sample.of(*validation, model.n_classes, model.fields)
    else:
        _check(
            isinstance(labels, str),
            "validation jets without their labels, beside labels given as an array",
            "validation=(jets, labels), or labels as a field of both",
        )
        held = Sample.of(validation, labels, model.n_classes, model.fields)
    held.require(classes, "validation")
    return sample, held


def _weights(class_weights: Any, train: Sample, classes: tuple[str, ...]) -> tuple[float, ...]:
    """Weights of the classes, of mean 1 over the training jets."""
    number = np.bincount(train.labels.numpy(), minlength=len(classes))
    if class_weights is None:
        return (1.0,) * len(classes)
    if isinstance(class_weights, str):
        _check(class_weights == "balanced", f"class_weights = {class_weights!r}", "None, 'balanced' or numbers")
        weights = 1 / number
    else:
        weights = np.asarray(class_weights, dtype=np.float64)
        good = weights.shape == (len(classes),) and bool(np.all(np.isfinite(weights) & (weights >= 0)))
        good = good and bool((weights * number).sum() > 0)
        _check(good, f"class_weights = {class_weights}", f"{len(classes)} numbers, none negative, not all 0")
    return tuple((weights * number.sum() / (weights * number).sum()).tolist())


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("coffea-equitag", "torch", "lightning", "awkward", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found

"""`fit`: from a network and labelled jets to a tagger."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import awkward as ak
import torch

from ..jet_model import JetModel
from ..layers.constituent_heads import set_heads
from ..readers import JetStream
from ..tagger import Tagger, load
from ..tagger.device import device_of
from .auxiliary_task import AuxiliaryTask
from .data.augmentation import Augmentation
from .data.flat_weights import FlatWeights
from .data.preparation import Select
from .fine_tuning import begin_with, frozen_modules, pretrained_parts
from .loop.folder import RunFolder
from .loop.process_group import process_group
from .loop.runner import check_trainable, keep_random_state, run
from .loop.stopping import Clock
from .options import Monitor, Options, Precision
from .plan import Plan
from .recipes import Recipe
from .settings import Settings

__all__ = ["fit"]


def fit(
    model: JetModel,
    jets: ak.Array | JetStream,
    labels: str | Any = "label",
    *,
    validation: float | ak.Array | JetStream | tuple[ak.Array | JetStream, Any] = 0.1,
    out: str | os.PathLike[str] = "run",
    epochs: int | None = None,
    batch_size: int | None = None,
    pair_budget: int | None = None,
    pool: int = 0,
    class_weights: Literal["balanced"] | Sequence[float] | None = None,
    label_map: Mapping[Any, str] | None = None,
    unmapped: Literal["error", "drop"] = "error",
    select: Select | None = None,
    weights: str | Callable[[ak.Array], Any] | Any = None,
    flat: FlatWeights | Mapping[str, Any] | None = None,
    folds: int | None = None,
    fold: int | None = None,
    event_id: Sequence[str] | None = None,
    augmentation: Augmentation | Mapping[str, Any] | None = None,
    recipe: Recipe | Mapping[str, Any] | str | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    target: str | None = None,
    decorrelate: str | None = None,
    decorrelation: float = 10.0,
    auxiliary: Mapping[str, AuxiliaryTask | Mapping[str, Any] | Sequence[str]] | None = None,
    keep_auxiliary: bool = False,
    precision: Precision = "32",
    monitor: Monitor = "loss",
    seed: int = 0,
    split_seed: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
    resume: bool = True,
    save_every: float = 60.0,
    accumulate: int | None = None,
    label_smoothing: float | None = None,
    ema: float | None = None,
    patience: int | None = None,
    max_constituents: int | None = None,
    init_from: str | os.PathLike[str] | Tagger | None = None,
    frozen: Sequence[str] = (),
    pretrained_rate: float = 1.0,
    time_limit: float | str | None = None,
    loggers: Sequence[Any] = (),
    log_every: int = 50,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    signal: str | None = None,
    data: str | None = None,
    jet_definition: str | None = None,
) -> Tagger:
    """Train a network on labelled jets; resume where an interrupted call stopped.

    The same call again continues from the last checkpoint, in the middle of an epoch if need be, and takes exactly the
    steps that the uninterrupted run would have taken: bit for bit on a CPU with the same number of threads, on a GPU
    up to the order of its atomic sums. A finished run is only loaded.

    Parameters
    ----------
    model : JetModel
        The network, trained in place: it ends with the last weights, while the tagger has the best ones.
    jets : ak.Array or JetStream
        Canonical jets, any nesting; missing jets are left out. Or those of files that need not fit into the memory:
        see `coffea_equitag.readers.stream`.
    labels : str, array-like, list or mapping
        Name of a jet field, or a formula of several (``"|flavour|"``), or one label per jet in the jets' structure:
        0 to n_classes − 1, or what `label_map` says. Or one column per class: ``["is_qcd", "is_top"]``, or ``{"qcd":
        "is_qcd", "top": ["is_top", "is_top_lepton"]}``, where [] stands for jets of no other class.
    validation : float, ak.Array or (jets, labels)
        Fraction of each class to hold out (selected by `seed`; of a stream, by a hash of each jet's event or place in
        its file), or separate jets, which may also be a stream.
    out : path-like
        Folder of the run: ``tagger/`` (the best so far), ``metrics.csv`` (one row per epoch), ``best.ckpt``,
        ``last.ckpt``, ``run.json``. ``coffea_equitag.load(out)`` finds the tagger.
    epochs, batch_size, learning_rate, weight_decay : optional
        Replace those of the recipe; its schedule is scaled to the epochs. A run that is given more epochs than it was
        begun with goes on, finished or not, with the schedule of that many epochs from where it is; ``run.json`` and
        the card say so under ``continued``.
    pair_budget : int, optional
        Most pairs Σ(n + extra)² processed at once, which bounds the memory: larger batches are processed in pieces,
        cut by their jets alone, whose gradients add up to that of the batch. With batch normalisation, whose statistics
        are those of a piece, the default is the whole batch, whatever the memory: give all runs of a study the same
        budget. Otherwise the default is chosen from the free memory (a power of two; on a CPU for at most 2 GB) and
        kept when the run is resumed; networks that do not see pairs have none; and if a GPU still runs out of memory,
        the budget is halved, with a warning, and the batch started again.
    pool : int
        Sort jets by multiplicity within random pools of this many batches; 0 (default) leaves them in random order,
        which suits batch normalisation better.
    class_weights : None, "balanced" or sequence of float
        Weights of the classes in the loss; "balanced" gives each class the same total weight. They are scaled to a
        mean of 1 over the jets.
    label_map : mapping, optional
        Values of the labels -> names of their classes, ``{5: "b", 4: "c", (0, 1, 2, 3, 21): "light"}``. The classes are
        in the order of their smallest values (here light, c, b), unless `classes` gives another.
    unmapped : {"error", "drop"}
        Jets that belong to no class are refused, or left out; ``run.json`` says how many.
    select : str or callable, optional
        Jets to use: a cut (``"pt > 200 & |eta| < 2"``, of fields, or of pt, eta, phi, mass, rapidity, energy and
        multiplicity where they are not stored), or a function of the jets.
    weights : str, array-like or callable, optional
        Weight of each jet, in training and validation: a field or formula, one per jet, or a function of the jets. They
        may be negative where their sums in each class are positive.
    flat : FlatWeights or mapping, optional
        Spectra that the classes should have: ``{"bins": {"pt": edges}}`` makes them flat, ``"reference": "b"`` gives
        them that of a class; by weights or, with ``"method": "resample"``, by how often training jets are drawn. The
        histograms are made once from the training jets, and stored in ``run.json``.
    folds, fold : int, optional
        Leave out the jets of one of several folds, 0 to folds − 1, which follow from a hash of the event's numbers; the
        validation jets are then whole events, too. See `coffea_equitag.training.folds`.
    event_id : sequence of str, optional
        Columns that identify the event; default run, luminosityBlock and event, or as many of them as there are.
    augmentation : Augmentation or mapping, optional
        Random transformations of training jets, each time anew: ``{"rotate_beam": True, "smear_energy": 0.05}``.
    recipe : Recipe, mapping, str, optional
        Default: the recipe of the model's paper, see `coffea_equitag.training.recipe_of`.
    target : str, optional
        The vector to learn, for networks with ``output="momentum"`` (loss of PELICAN, 0.05 |Δm| + 0.01 |Δp|) or
        ``"vector"`` (|Δv|): a field of records, or the first part of the names of the fields of its components, as in
        ``true_pt, true_eta, true_phi, true_mass``. ``"momentum"``, the default for momenta, finds these too. `labels`
        are not read.
    decorrelate, decorrelation : str and float, optional
        A column of the jets, e.g. ``"mass"``, that the score of the background should not depend on: `decorrelation` ·
        dCorr² (arXiv:2001.05310) of each whole batch is added to the loss. Batches of a few hundred jets or more are
        needed. To plane the column's spectrum instead, use weights.
    auxiliary : mapping, optional
        Classes of the constituents to be learned beside the jets: the column of their labels (whole numbers, negative
        where unknown) -> names of the classes, or ``{"classes": names, "weight": 0.5}``. The network's layers run, not
        its kernels.
    keep_auxiliary : bool
        Keep the heads of these tasks: then `Tagger.constituents` gives the probabilities. By default the tagger is the
        same network without them.
    precision : {"32", "bf16-mixed"}
        Of the network's arithmetic; weights are float32 and invariants float64 in both cases.
    monitor : str
        Validation metric that selects the best epoch: ``"loss"``, ``"auc"`` or ``"accuracy"``; of momenta
        ``"mass_resolution"``, ``"pt_resolution"`` or ``"angle_resolution"``; with `decorrelate`
        ``"distance_correlation"``; ``"origin_accuracy"`` of an auxiliary task ``origin``.
    seed : int
        Of validation split, batches and dropout; not of the model's initial weights.
    split_seed : int, optional
        Of the validation split alone; default `seed`. With the same one, runs of other seeds have the same validation
        jets, and can be compared on them.
    device : str, optional
        "cpu", "cuda", "cuda:1"; default the GPU if there is one.
    progress : bool
        Show a progress bar during each epoch, and a line after it.
    resume : bool
        False starts over and replaces a run in `out`.
    save_every : float
        Seconds between checkpoints within an epoch.
    accumulate : int, optional
        Batches per step of the optimiser: their gradients add up, and each is a piece of its own for batch
        normalisation. Default 1.
    label_smoothing : float, optional
        Share of a jet's label that the training's loss spreads evenly over all classes; the metrics of the validation
        do without. Default 0.
    ema : float, optional
        Decay per step of a moving average of the weights, e.g. 0.999. The average is validated and stored as the
        tagger; the optimiser goes on with the weights themselves. Default: none.
    patience : int, optional
        Stop after this many epochs without a better value of the `monitor`. Default: never.
    max_constituents : int, optional
        The hardest constituents of each jet that the network sees, in training and, by the card's contract, in scoring.
    init_from : path-like, str or Tagger, optional
        A tagger of the same network to begin with: its folder, that of its run, a name from the zoo, or itself, e.g.
        a converted checkpoint. Where the classes or the output differ, the head keeps its own first weights.
    frozen : sequence of str
        Parts of the network that keep their weights and their running statistics, by name: ``"embedding"``,
        ``"blocks.0"``, ``"blocks.*.coordinate"``.
    pretrained_rate : float
        Learning rate of the weights that come from `init_from`, in units of that of the new ones.
    time_limit : float or str, optional
        Seconds, or ``"3:50:00"``, or ``"1-12:00:00"``, after which the training stops with a checkpoint and raises
        `TimeLimitError`; the same call continues. Leave a batch system's limit the time of one step and of one
        validation. SIGTERM does the same.
    loggers : sequence
        ``"csv"`` (``steps.csv``), ``"tensorboard"`` (a folder of that name), or loggers of Lightning.
    log_every : int
        Steps between two that they log; they also get the metrics of each epoch.
    name, classes, signal, data, jet_definition : optional
        For the card: name (default the model's kind), names of the classes by label (default background, signal),
        which of them is the signal (default the last), where the jets come from, how they were clustered.

    Returns
    -------
    Tagger
        That of the best epoch, loaded from ``out/tagger``.

    Raises
    ------
    TaggerError
        Without Lightning; for impossible settings; if `out` holds another run; if the loss diverges.
    TimeLimitError
        At the time limit.
    JetError
        For jets or labels that cannot be trained on.
    """
    if isinstance(jets, JetStream):
        labels, select, weights = jets.asked_for(labels, select, weights)
    options = Options.of(
        recipe=recipe,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        pair_budget=pair_budget,
        accumulate=accumulate,
        label_smoothing=label_smoothing,
        ema=ema,
        patience=patience,
        max_constituents=max_constituents,
        init_from=init_from.name if isinstance(init_from, Tagger) else init_from,
        frozen=frozen,
        pretrained_rate=pretrained_rate,
        pool=pool,
        class_weights=class_weights,
        target=target,
        decorrelate=decorrelate,
        decorrelation=decorrelation,
        auxiliary=auxiliary,
        keep_auxiliary=keep_auxiliary,
        label_map=label_map,
        unmapped=unmapped,
        select=select,
        weights=weights,
        flat=flat,
        folds=folds,
        fold=fold,
        event_id=event_id,
        augmentation=augmentation,
        precision=precision,
        monitor=monitor,
        seed=seed,
        split_seed=split_seed,
        name=name,
        classes=classes,
        signal=signal,
        jet_definition=jet_definition,
    )
    return fit_options(
        model,
        jets,
        labels,
        options,
        validation=validation,
        out=out,
        device=device,
        progress=progress,
        resume=resume,
        save_every=save_every,
        data=data,
        select=select,
        weights=weights,
        init_from=init_from,
        time_limit=time_limit,
        loggers=loggers,
        log_every=log_every,
    )


def fit_options(
    model: JetModel,
    jets: ak.Array | JetStream,
    labels: str | Any,
    options: Options,
    *,
    validation: float | ak.Array | JetStream | tuple[ak.Array | JetStream, Any],
    out: str | os.PathLike[str],
    device: str | torch.device | None,
    progress: bool,
    resume: bool,
    save_every: float,
    data: str | None,
    config: str | None = None,
    select: Select | None = None,
    weights: Any = None,
    init_from: str | os.PathLike[str] | Tagger | None = None,
    time_limit: float | str | None = None,
    loggers: Sequence[Any] = (),
    log_every: int = 50,
) -> Tagger:
    """`fit`, with its options in one object.

    Parameters
    ----------
    init_from : path-like, str or Tagger, optional
        Instead of what the options name.
    config : str, optional
        Contents of ``config.yaml`` in the run's folder.
    select, weights : optional
        Functions or arrays of which `options` have only the names.
    """
    clock = Clock(time_limit)
    check_trainable(model)
    group = process_group(device_of(device))
    folder = RunFolder(out)
    source = init_from or options.init_from
    tagger = source if isinstance(source, Tagger) or source is None else load(source, "cpu")
    settings = Settings.of(
        model,
        options.with_classes(labels, model.n_classes),
        data,
        init_from=None if tagger is None else tagger.content_hash,
        default=group.first(folder.first_recipe) if resume else None,
    )
    frozen_modules(model, settings.frozen)
    pretrained = frozenset() if tagger is None else pretrained_parts(model, tagger, settings.classes)
    select, weights = (options.select if select is None else select), (options.weights if weights is None else weights)
    plan = Plan.of(settings, model, jets, labels, validation, select=select, weights=weights)
    heads = {name: len(task.classes) for name, task in (settings.auxiliary or {}).items()}
    set_heads(model, heads, plan.training.probe(1).jets, settings.seed)
    Tagger.from_model(model, **plan.card(model, settings.pair_budget))  # refused here, not after hours of training
    state = group.first(lambda: folder.begin(plan.run_record, resume=resume, config=config))
    if tagger is not None and state is None:
        begin_with(model, tagger, pretrained)
    group.copy_weights(model.to(group.device))
    if progress and group.is_first:
        _tell(plan.facts.get("left_out", {}))
    run(
        model,
        plan,
        folder,
        state,
        save_every=save_every,
        progress=progress,
        pretrained=pretrained,
        clock=clock,
        group=group,
        loggers=loggers,
        log_every=log_every,
    )
    group.first(lambda: folder.previous.unlink(missing_ok=True))
    model.eval()
    set_heads(model, {})
    with keep_random_state():
        return load(folder.tagger, group.device)


def _tell(left_out: Mapping[str, Mapping[str, int]]) -> None:
    """Print how many jets are left out, and why."""
    for sample, reasons in left_out.items():
        told = ", ".join(f"{number} ({reason})" for reason, number in reasons.items())
        print(f"{sample} jets left out: {told}", file=sys.stderr)

"""Options of a training: one schema for `fit`, for the flags of ``equitag train`` and for its configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from pydantic import BeforeValidator, Field, model_validator

from ..errors import TaggerError, explain
from ..validation import Strict, faults
from .auxiliary_task import AuxiliaryTask
from .data.augmentation import Augmentation
from .data.flat_weights import FlatWeights
from .data.label_map import is_array, label_map
from .data.labelled_jets import LABEL
from .recipes import MOST, Recipe

__all__ = ["Monitor", "Options", "Precision"]

Precision = Literal["32", "bf16-mixed"]

#: A metric of the validation jets; which ones there are depends on what is learned.
Monitor = str


def _recipe(given: Any) -> Any:
    return given.model_dump() if isinstance(given, Recipe) else given


def _text(given: Any) -> Any:
    """A number as text: YAML reads 32 as a number."""
    return str(given) if isinstance(given, int) else given


def _path(given: Any) -> Any:
    return os.fspath(given) if isinstance(given, os.PathLike) else given


def _names(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


def _class_weights(given: Any) -> Any:
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    try:
        return tuple(np.asarray(given, dtype=np.float64).tolist())
    except (TypeError, ValueError):
        raise ValueError("None, 'balanced' or numbers are possible") from None


def _label_map(given: Any) -> Any:
    """Keys as strings, as in JSON: numbers, and several of them at once."""
    if not isinstance(given, Mapping):
        return given
    return {", ".join(map(str, key)) if isinstance(key, tuple) else str(key): name for key, name in given.items()}


def _described(given: Any) -> Any:
    """A function, or an array, by what can be stored of it."""
    if given is None or isinstance(given, str):
        return given
    return f"<function {getattr(given, '__qualname__', given)}>" if callable(given) else "<array>"


class Options(Strict):
    """Options that decide the result of a training, as they are given; None is the default that the text names.

    `fit` has a keyword of the same name and default for each.
    """

    epochs: int | None = Field(default=None, ge=1, le=MOST, description="number of epochs (default: as in the paper)")
    batch_size: int | None = Field(default=None, ge=1, le=MOST, description="jets per batch (default: as in the paper)")
    learning_rate: float | None = Field(
        default=None, gt=0, description="highest learning rate of the schedule (default: as in the paper)"
    )
    weight_decay: float | None = Field(default=None, ge=0, description="weight decay (default: as in the paper)")
    accumulate: int | None = Field(
        default=None, ge=1, le=MOST, description="batches per step of the optimiser (default: as in the paper, 1)"
    )
    label_smoothing: float | None = Field(
        default=None, ge=0, lt=1, description="share of a label that is spread evenly over the classes (default: 0)"
    )
    ema: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="decay per step, e.g. 0.999, of a moving average of the weights, which becomes the tagger "
        "(default: none)",
    )
    patience: int | None = Field(
        default=None, ge=1, le=MOST, description="stop after this many epochs without a better monitor (default: never)"
    )
    max_constituents: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="hardest constituents of a jet that the network sees (default: as in the paper)",
    )
    recipe: Annotated[str | dict[str, Any] | None, BeforeValidator(_recipe)] = Field(
        default=None,
        description="network whose recipe to use, or values that replace some of it, e.g. {gradient_clip: 1.0} "
        "(default: that of the network's paper)",
    )
    pair_budget: int | None = Field(
        default=None,
        ge=1,
        lt=2**63,
        description="largest number of constituent pairs processed at once (default: what fits in memory; with batch "
        "normalisation, the whole batch)",
    )
    pool: int = Field(
        default=0, ge=0, le=MOST, description="sort jets by multiplicity within random pools of this many batches"
    )
    class_weights: Annotated[Literal["balanced"] | tuple[float, ...] | None, BeforeValidator(_class_weights)] = Field(
        default=None,
        description="weights of the classes in the loss; 'balanced' gives each class the same total weight",
    )
    target: str | None = Field(
        default=None,
        description="vector to learn, for a network with output='momentum' or 'vector': a jet field, or the first part "
        "of the names of its components (default: momentum, which also finds the true_pt, true_eta, ... of simulated "
        "jets)",
    )
    decorrelate: str | None = Field(
        default=None,
        description="column of the jets that the score of the background should not tell, e.g. mass (default: none)",
    )
    decorrelation: float = Field(
        default=10.0, gt=0, description="weight of the squared distance correlation of the score with that column"
    )
    auxiliary: dict[str, AuxiliaryTask] | None = Field(
        default=None,
        min_length=1,
        description="classes of constituents to learn beside the jets, by the column of their labels, e.g. "
        "{origin: {classes: [pileup, light, b], weight: 0.5}}",
    )
    keep_auxiliary: bool = Field(
        default=False, description="keep the heads of the auxiliary tasks in the tagger (default: drop them)"
    )
    label_map: Annotated[dict[str, str] | None, BeforeValidator(_label_map)] = Field(
        default=None,
        description="classes of the values of the labels, e.g. {5: b, 4: c, '0, 1, 2, 3, 21': light}; they are in the "
        "order of their smallest values, unless `classes` gives another",
    )
    unmapped: Literal["error", "drop"] = Field(
        default="error", description="what to do with jets that belong to no class: refuse them, or leave them out"
    )
    select: Annotated[str | None, BeforeValidator(_described)] = Field(
        default=None,
        description="jets to use, by a cut on their columns, e.g. 'pt > 200 & |eta| < 2' (default: all of them)",
    )
    weights: Annotated[str | None, BeforeValidator(_described)] = Field(
        default=None, description="column of the jets' weights, or a formula of columns (default: each counts once)"
    )
    flat: FlatWeights | None = Field(
        default=None,
        description="spectra that the classes should have: {bins: {pt: [200, 300, 500]}} makes them flat in pT, "
        "reference: b gives all classes the spectrum of b, and method: resample draws jets instead of weighting them",
    )
    folds: int | None = Field(
        default=None, ge=2, le=MOST, description="number of folds, by event: jets of one fold are left out"
    )
    fold: int | None = Field(default=None, ge=0, description="the fold to leave out, 0 to folds - 1")
    event_id: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="columns that identify the event (default: run, luminosityBlock, event, or as many as there are)",
    )
    augmentation: Augmentation | None = Field(
        default=None,
        description="how training jets are transformed at random, e.g. {rotate_beam: true, smear_energy: 0.05, "
        "drop: 0.02}",
    )
    precision: Annotated[Precision, BeforeValidator(_text)] = Field(
        default="32", description="precision of the network's arithmetic"
    )
    monitor: Monitor = Field(default="loss", description="metric of the validation jets that selects the best epoch")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of the split, the batches and dropout")
    split_seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**63,
        description="seed of the split alone (default: `seed`; the repeats of `seeds` share that of the first)",
    )
    init_from: Annotated[str | None, BeforeValidator(_path)] = Field(
        default=None, description="tagger to begin with: its folder, that of its run, or a name from the zoo"
    )
    frozen: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=(), description="parts of the network that keep their weights, by name, e.g. embedding,blocks.0"
    )
    pretrained_rate: float = Field(
        default=1.0, gt=0, description="learning rate of the weights from init_from, in units of that of the new ones"
    )
    name: str | None = Field(default=None, description="name of the tagger (default: the network's)")
    classes: tuple[str, ...] | None = Field(
        default=None, description="names of the classes, in the order of the labels (default: background, signal)"
    )
    signal: str | None = Field(default=None, description="class that counts as signal (default: the last)")
    jet_definition: str | None = Field(default=None, description="how the jets were clustered, for the card")

    @model_validator(mode="after")
    def _folds_together(self) -> Options:
        if (self.fold is None) != (self.folds is None):
            raise ValueError(f"fold = {self.fold} with folds = {self.folds}: both are needed, e.g. fold=0, folds=5")
        if self.fold is not None and self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold = {self.fold}: 0 to {self.folds - 1} are possible with folds = {self.folds}")
        return self

    def with_classes(self, labels: Any, n_classes: int) -> Options:
        """The same with the names of the classes, where the labels tell them.

        Raises
        ------
        JetError
            For labels, or a map of them, that mean nothing.
        """
        column = LABEL if is_array(labels) else labels
        _, names = label_map(column, self.label_map, self.classes, n_classes)
        return self if names is None else self.model_copy(update={"classes": names})

    @classmethod
    def of(cls, **given: Any) -> Options:
        """Check the arguments of `fit`.

        Raises
        ------
        TaggerError
            For a value that an option cannot have.
        """
        try:
            return cls(**given)
        except pydantic.ValidationError as error:
            raise refused(error) from error


def refused(error: pydantic.ValidationError) -> TaggerError:
    """The error of `fit` for values that pydantic has refused."""
    return TaggerError(
        explain(
            f"fit with {faults(error)}",
            "settings as the documentation of coffea_equitag.fit describes them",
            "change the values named",
        )
    )

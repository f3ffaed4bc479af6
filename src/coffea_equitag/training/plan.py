"""A training that can begin: its settings, its jets, and what ``run.json`` and the card say of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from ..array_types import F8
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..plain_numbers import plain
from .data import InMemory, Source
from .data.augmented_source import AugmentedSource
from .data.folds import event_ids
from .data.label_map import is_array, label_map
from .data.labelled_jets import LABEL, WEIGHT, with_column
from .data.preparation import Preparation, Prepared, Select
from .data.sample_weights import check_sums
from .data.truth import Truth
from .objectives import Objective
from .objectives.chosen import objective_of
from .settings import Settings

if TYPE_CHECKING:
    from .data.spectra import Spectra  # which needs hist, slow to import

__all__ = ["Plan"]

#: Settings that belong to the card and change nothing in the training.
_CARD_ONLY = ("name", "data", "jet_definition")

#: Settings that the card records of how the weights were obtained; the pair budget in use joins them.
_RECORDED = (
    "epochs",
    "recipe",
    "pool",
    "class_weights",
    "precision",
    "monitor",
    "init_from",
    "frozen",
    "pretrained_rate",
)

#: The same where they are given.
_CHOSEN = (
    "label_map",
    "select",
    "weights",
    "flat",
    "augmentation",
    "target",
    "decorrelate",
    "auxiliary",
)


@dataclass(frozen=True)
class Plan:
    """Settings of a training with the jets they apply to.

    Attributes
    ----------
    settings : Settings
        Checked.
    objective : Objective
        What is minimised and measured.
    training, validation : Source
        Jets to train on, and jets that the metrics are measured on; each has jets of every class.
    class_weights : tuple of float
        Weights of the classes in the loss, of mean 1 over the training jets.
    facts : mapping
        What else ``run.json`` says of the samples, where it is not empty.
    event_id : tuple of str, optional
        Columns that identify the event, if folds are made.
    """

    settings: Settings
    objective: Objective
    training: Source
    validation: Source
    class_weights: tuple[float, ...]
    facts: Mapping[str, Any]
    event_id: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        model: JetModel,
        jets: ak.Array,
        labels: Any,
        validation: Any,
        *,
        select: Select | None = None,
        weights: Any = None,
    ) -> Plan:
        """Take the jets, labels, validation, selection and weights that `fit` was given.

        Raises
        ------
        JetError
            For jets or labels that cannot be trained on.
        TaggerError
            For validation jets without labels or weights.
        """
        if settings.augmentation is not None:
            settings.augmentation.check(model.fields, model.output)
        parts = _split(settings, model, jets, labels, validation, select, weights)
        (training, copies), (held_out, _), spectra = _flattened(settings, *parts)
        options: dict[str, Any] = {"seed": settings.seed, "pool": settings.pool, "copies": copies}
        number, classes = len(settings.classes) or 1, settings.classes or (model.output,)
        source: Source = InMemory(training.sample, number, batch_size=settings.recipe.jets_per_step, **options)
        if settings.augmentation:
            source = AugmentedSource(source, settings.augmentation, settings.seed)
        measured = InMemory(held_out.sample, number)
        for sample, what in ((source, "training"), (measured, "validation")):
            check_sums(sample.weight_sums, classes, what)
        left_out = {"training": training.left_out} | (
            {} if isinstance(plain(validation), int | float) else {"validation": held_out.left_out}
        )
        facts = {
            "left_out": {name: dict(reasons) for name, reasons in left_out.items() if reasons},
            "spectra": None if spectra is None else spectra.to_json(),
        }
        event_id = None if settings.folds is None else event_ids(jets.fields, settings.event_id)
        return cls(
            settings, objective_of(settings), source, measured, _class_weights(settings, source), facts, event_id
        )

    @cached_property
    def run_record(self) -> dict[str, Any]:
        """What ``run.json`` holds: a call of `fit` resumes a run if it is the same in all of this."""
        samples = {"training": self.training, "validation": self.validation}
        return {
            "settings": self._deciding(),
            "jets": {
                name: {"number": int(sample.numbers.sum()), "sha256": sample.fingerprint()}
                for name, sample in samples.items()
            },
            "card": {name: getattr(self.settings, name) for name in _CARD_ONLY},
        } | {name: fact for name, fact in self.facts.items() if fact}

    def card(
        self, model: JetModel, pair_budget: int | None, continued: Sequence[Mapping[str, int]] = ()
    ) -> dict[str, Any]:
        """What the tagger's card says, as keywords of `Tagger.from_model`; `continued` is that of ``run.json``."""
        settings, deciding = self.settings, self._deciding()
        return {
            "name": settings.name,
            "classes": settings.classes,
            "signal": settings.signal or None,
            "auxiliary": {name: task.classes for name, task in (settings.auxiliary or {}).items()}
            if settings.keep_auxiliary
            else {},
            "contract": {
                "constituent_fields": model.fields,
                "max_constituents": settings.recipe.max_constituents,
                "jet_definition": settings.jet_definition,
                "pt_range": self.training.pt_range,
            },
            "training": {
                "data": settings.data or f"awkward array, sha256 {self.run_record['jets']['training']['sha256'][:16]}",
                "num_jets": int(self.training.numbers.sum()),
                "num_validation_jets": int(self.validation.numbers.sum()),
                "seed": settings.seed,
                "recipe": {name: deciding[name] for name in _RECORDED}
                | {name: deciding[name] for name in _CHOSEN if deciding[name]}
                | {"pair_budget": pair_budget}
                | ({"continued": [dict(one) for one in continued]} if continued else {}),
                "versions": _versions(),
                "fold": settings.fold,
                "folds": settings.folds,
                "event_id": self.event_id,
            },
        }

    def _deciding(self) -> dict[str, Any]:
        """All settings that decide the result."""
        exclude: dict[str, Any] = dict.fromkeys(_CARD_ONLY, True) | {"recipe": {"reference"}}
        return self.settings.model_dump(exclude=exclude) | {"class_weights": list(self.class_weights)}


def _prepared(
    settings: Settings, model: JetModel, jets: ak.Array, labels: Any, select: Select | None, weights: Any
) -> Prepared:
    """Labelled jets of an array."""
    labels = labels if settings.classifies else {model.output: "1"}
    if is_array(labels):
        jets, labels = with_column(jets, labels, LABEL), LABEL
    if weights is not None and not isinstance(weights, str) and not callable(weights):
        jets, weights = with_column(jets, weights, WEIGHT), WEIGHT
    chosen = {name: getattr(settings, name) for name in ("unmapped", "flat", "fold", "folds", "event_id")}
    mapped, _ = label_map(labels, settings.label_map, settings.classes or None, model.n_classes)
    fields = (*model.fields, *(name for name in settings.auxiliary or () if name not in model.fields))
    truth = Truth(settings.target, model.output, settings.decorrelate)
    return Preparation(mapped, select=select, weights=weights, fields=fields, truth=truth, **chosen)(jets)


def _split(
    settings: Settings,
    model: JetModel,
    jets: ak.Array,
    labels: Any,
    validation: Any,
    select: Select | None,
    weights: Any,
) -> tuple[Prepared, Prepared]:
    """Training and validation jets."""
    classes = settings.classes or (model.output,)
    training, validation = _prepared(settings, model, jets, labels, select, weights), plain(validation)
    if isinstance(validation, int | float):
        return training.split(float(validation), settings.seed, classes)
    training.sample.require(classes, "training")
    if not isinstance(validation, tuple) and not is_array(labels):
        validation = (validation, labels)
    if not isinstance(validation, tuple) or len(validation) != 2:
        given = f"{len(validation)} items" if isinstance(validation, tuple) else "jets alone, beside labels as an array"
        raise TaggerError(
            explain(
                f"validation = {given}",
                "a fraction, jets with the field of the labels, or jets and their labels",
                "give validation=(jets, labels), or labels as the name of a field of both",
            )
        )
    if weights is not None and not isinstance(weights, str) and not callable(weights):
        raise TaggerError(
            explain(
                "validation jets without weights, beside weights of the training jets as an array",
                "weights that both samples have",
                "store them with the jets, jets['weight'] = ..., and give weights='weight'",
            )
        )
    held_out = _prepared(settings, model, *validation, select, weights)
    held_out.sample.require(classes, "validation")
    return training, held_out


def _flattened(
    settings: Settings, training: Prepared, held_out: Prepared
) -> tuple[tuple[Prepared, F8 | None], tuple[Prepared, F8 | None], Spectra | None]:
    """Both samples with the spectra that are wanted, and how often each training jet is to be drawn."""
    if settings.flat is None:
        return (training, None), (held_out, None), None
    from .data.spectra import Spectra

    spectra = Spectra.empty(settings.flat, settings.classes)
    spectra.fill(training.coordinates, training.sample.labels.numpy(), training.sample.weights.numpy())
    spectra.warn()
    return spectra.apply(training, resample=settings.flat.method == "resample"), spectra.apply(held_out), spectra


def _class_weights(settings: Settings, training: Source) -> tuple[float, ...]:
    """Weights of the classes, of mean 1 over the training jets."""
    sums = training.weight_sums
    if settings.class_weights is None:
        return (1.0,) * len(sums)
    weights = 1 / sums if settings.class_weights == "balanced" else np.asarray(settings.class_weights)
    return tuple((weights * sums.sum() / (weights * sums).sum()).tolist())


def _versions() -> dict[str, str]:
    """Versions of the software that trains."""
    found = {"python": platform.python_version()}
    for package in ("coffea-equitag", "torch", "lightning", "awkward", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found

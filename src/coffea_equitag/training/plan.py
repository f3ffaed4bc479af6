"""A training that can begin: its settings, its jets, and what ``run.json`` and the card say of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import awkward as ak
import numpy as np

from ..jet_model import JetModel
from ..readers import JetStream
from .data import Source
from .data.augmented_source import AugmentedSource
from .data.folds import event_ids
from .data.preparation import Select
from .data.sample_weights import check_sums
from .objectives import Objective
from .objectives.chosen import objective_of
from .settings import Settings
from .sources import Wanted, sources_of

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
        jets: ak.Array | JetStream,
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
        found = sources_of(settings, model, jets, validation, Wanted(labels, select, weights))
        source, measured, classes = found.training, found.validation, settings.classes or (model.output,)
        if settings.augmentation:
            source = AugmentedSource(source, settings.augmentation, settings.seed)
        for sample, what in ((source, "training"), (measured, "validation")):
            check_sums(sample.weight_sums, classes, what)
        facts = {
            "left_out": found.left_out,
            "spectra": None if found.spectra is None else found.spectra.to_json(),
        }
        fields = jets.prototype.fields if isinstance(jets, JetStream) else jets.fields
        event_id = None if settings.folds is None else event_ids(fields, settings.event_id)
        return cls(
            settings, objective_of(settings), source, measured, _class_weights(settings, source), facts, event_id
        )

    @cached_property
    def run_record(self) -> dict[str, Any]:
        """What ``run.json`` holds: a call of `fit` resumes a run if it is the same in all of this."""
        samples = {"training": self.training, "validation": self.validation}
        return {
            "settings": self._deciding(),
            "jets": {name: sample.record for name, sample in samples.items()},
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
                "data": settings.data or self.training.description,
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

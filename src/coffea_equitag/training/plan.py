"""A training that can begin: its settings, its jets, and what ``run.json`` and the card say of them."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import awkward as ak
import numpy as np

from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..plain_numbers import plain
from .data import InMemory, LabelledJets, Source
from .data.truth import Truth
from .objectives import Objective
from .objectives.chosen import objective_of
from .settings import Settings

__all__ = ["Plan"]

#: Settings that belong to the card and change nothing in the training.
_CARD_ONLY = ("name", "data", "jet_definition")

#: Settings that the card records of how the weights were obtained; the pair budget in use joins them.
_RECORDED = ("epochs", "recipe", "pool", "class_weights", "precision", "monitor")

#: The same where they are given.
_CHOSEN = ("target", "decorrelate", "auxiliary")


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
    """

    settings: Settings
    objective: Objective
    training: Source
    validation: Source
    class_weights: tuple[float, ...]

    @classmethod
    def of(cls, settings: Settings, model: JetModel, jets: ak.Array, labels: Any, validation: Any) -> Plan:
        """Take the jets, labels and validation that `fit` was given.

        Raises
        ------
        JetError
            For jets or labels that cannot be trained on.
        TaggerError
            For validation jets without labels.
        """
        training, held_out = (
            InMemory(
                sample,
                len(settings.classes) or 1,
                batch_size=settings.recipe.batch_size,
                seed=settings.seed,
                pool=settings.pool,
            )
            for sample in _split(settings, model, jets, labels, validation)
        )
        return cls(settings, objective_of(settings), training, held_out, _class_weights(settings, training))

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
        }

    def card(self, model: JetModel, pair_budget: int | None) -> dict[str, Any]:
        """What the tagger's card says, as keywords of `Tagger.from_model`."""
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
                | {"pair_budget": pair_budget},
                "versions": _versions(),
            },
        }

    def _deciding(self) -> dict[str, Any]:
        """All settings that decide the result."""
        exclude: dict[str, Any] = dict.fromkeys(_CARD_ONLY, True) | {"recipe": {"reference"}}
        return self.settings.model_dump(exclude=exclude) | {"class_weights": list(self.class_weights)}


def _split(
    settings: Settings, model: JetModel, jets: ak.Array, labels: Any, validation: Any
) -> tuple[LabelledJets, LabelledJets]:
    """Training and validation jets."""

    def labelled(jets: ak.Array, labels: Any) -> LabelledJets:
        labels = labels if settings.classifies else None
        return LabelledJets.of(jets, labels, model.n_classes, fields, truth)

    fields = (*model.fields, *(name for name in settings.auxiliary or () if name not in model.fields))
    truth = Truth(settings.target, model.output, settings.decorrelate)
    classes = settings.classes or (model.output,)
    training, validation = labelled(jets, labels), plain(validation)
    if isinstance(validation, int | float):
        return training.split(float(validation), settings.seed, classes)
    training.require(classes, "training")
    if not isinstance(validation, tuple) and isinstance(labels, str):
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
    held_out = labelled(*validation)
    held_out.require(classes, "validation")
    return training, held_out


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

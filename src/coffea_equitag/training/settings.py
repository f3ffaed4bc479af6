"""What a call of `fit` asks for, checked before anything is trained or written."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import awkward as ak
import numpy as np
import torch

from ..errors import TaggerError, explain
from ..jet_model import JetModel
from .recipes import Recipe, recipe_of
from .sample import Sample

__all__ = ["check", "check_model", "class_names", "samples", "settled", "versions", "weigh"]


def check(good: bool, given: str, expected: str) -> None:
    """Refuse a setting."""
    if not good:
        raise TaggerError(explain(given, expected, "see the documentation of coffea_equitag.fit"))


def check_model(model: Any) -> None:
    """Refuse what `fit` cannot train."""
    if not isinstance(model, JetModel):
        remedy = f"coffea_equitag.models.build({model!r})" if isinstance(model, str) else "coffea_equitag.models.build"
        raise TaggerError(explain(f"a model of type {type(model).__name__}", "a network", f"build one: {remedy}"))
    if model.output != "classes":
        raise TaggerError(
            explain(
                f"a network whose output is a {model.output}",
                "a network with one logit a class: fit trains classifiers",
                "train it in a loop of your own, e.g. with coffea_equitag.training.losses.momentum_loss",
            )
        )
    check(model.dtype == torch.float32, f"a model in {model.dtype}", "float32, as taggers are stored: model.float()")


def settled(
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
    check(epochs >= 1, f"epochs = {epochs}", "1 or more")
    return recipe_of("", recipe.model_dump() | replaced), epochs


def class_names(classes: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    """Names of the classes: background and signal for two where none are given."""
    if classes is None and n_classes == 2:
        return ("background", "signal")
    check(
        classes is not None and len(classes) == n_classes and len(set(classes)) == n_classes,
        f"classes = {classes} for a network of {n_classes} classes",
        f"{n_classes} different names, in the order of the labels: classes=(...)",
    )
    return tuple(classes or ())


def samples(
    model: JetModel, jets: ak.Array, labels: Any, validation: Any, seed: int, classes: tuple[str, ...]
) -> tuple[Sample, Sample]:
    """Training and validation jets."""
    sample = Sample.of(jets, labels, model.n_classes, model.fields)
    if isinstance(validation, int | float):
        return sample.split(float(validation), seed, classes)
    sample.require(classes, "training")
    if isinstance(validation, tuple):
        check(len(validation) == 2, f"validation of {len(validation)} things", "(jets, labels)")
        held = Sample.of(validation[0], validation[1], model.n_classes, model.fields)
    else:
        check(
            isinstance(labels, str),
            "validation jets without their labels, beside labels given as an array",
            "validation=(jets, labels), or labels as a field of both",
        )
        held = Sample.of(validation, labels, model.n_classes, model.fields)
    held.require(classes, "validation")
    return sample, held


def weigh(class_weights: Any, train: Sample, classes: tuple[str, ...]) -> tuple[float, ...]:
    """Weights of the classes, of mean 1 over the training jets."""
    number = np.bincount(train.labels.numpy(), minlength=len(classes))
    if class_weights is None:
        return (1.0,) * len(classes)
    if isinstance(class_weights, str):
        check(class_weights == "balanced", f"class_weights = {class_weights!r}", "None, 'balanced' or numbers")
        weights = 1 / number
    else:
        weights = np.asarray(class_weights, dtype=np.float64)
        good = weights.shape == (len(classes),) and bool(np.all(np.isfinite(weights) & (weights >= 0)))
        good = good and bool((weights * number).sum() > 0)
        check(good, f"class_weights = {class_weights}", f"{len(classes)} numbers, none negative, not all 0")
    return tuple((weights * number.sum() / (weights * number).sum()).tolist())


def versions() -> dict[str, str]:
    """Versions of the software that trains, as pip knows them: without the mark of torch's build where it has none."""
    found = {"python": platform.python_version()}
    for package in ("coffea-equitag", "torch", "lightning", "awkward", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found

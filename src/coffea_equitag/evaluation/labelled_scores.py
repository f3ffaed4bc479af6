"""Scores and labels of jets, checked against each other and flattened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import F8, I8, Bools
from ..errors import JetError, explain
from .structure import flat_entries, flat_pair, same_shape

__all__ = ["LabelledScores", "labelled_scores"]


@dataclass(frozen=True)
class LabelledScores:
    """Flat scores with their labels, without jets that have no score.

    Attributes
    ----------
    probabilities : ndarray of float64, shape (J, C)
        Scores of all classes; of two classes that of the first is what the second's leaves to 1.
    labels : ndarray of int64, shape (J,)
        Class of each jet.
    most_probable : ndarray of int64, shape (J,)
        Class of the highest score.
    signal : int
        The class that is signal.
    shape : tuple
        Lengths of the lists that the jets were in, those without a score included.
    present : ndarray of bool
        Which of these jets have a score.
    """

    probabilities: F8
    labels: I8
    most_probable: I8
    signal: int
    shape: tuple[Any, ...]
    present: Bools

    @property
    def scores(self) -> F8:
        """Score of the signal, shape (J,)."""
        return self.probabilities[:, self.signal]

    @property
    def num_missing(self) -> int:
        """Jets without a score."""
        return int((~self.present).sum())

    @property
    def is_signal(self) -> Bools:
        """Which jets are signal."""
        return np.asarray(self.labels == self.signal)

    def column(self, values: Any, name: str) -> F8:
        """Another number of each jet with a score, shape (J,), from one per jet or one per event.

        Raises
        ------
        JetError
            If the structure is another, or a number is missing or not finite.
        """
        flat, shape = flat_entries(ak.Array(values))
        depth = len(shape)
        if depth < len(self.shape) and same_shape(shape, [*self.shape[: depth - 1], len(self.shape[depth - 1])]):
            for lengths in self.shape[depth - 1 : -1]:
                flat = flat[np.repeat(np.arange(len(flat)), lengths)]
            shape = [*self.shape]
        if not same_shape(shape, self.shape):
            raise JetError(
                explain(
                    f"{name} of type {ak.Array(values).type} for {len(self.present)} jets with and without scores",
                    "one per jet, in the structure of the scores, or one per event",
                    f"correct {name}",
                )
            )
        found = np.asarray(ak.to_numpy(ak.fill_none(flat[self.present], np.nan)), np.float64)
        if bad := int((~np.isfinite(found)).sum()):
            raise JetError(
                explain(f"{name} that are missing or not finite for {bad} jets", "finite numbers", "drop them")
            )
        return found

    def weights(self, values: Any) -> F8:
        """The jets' weights, shape (J,); ones for None."""
        return np.ones(len(self.labels)) if values is None else self.column(values, "weights")


def labelled_scores(scores: Any, labels: Any, signal: int | str | None = None, *, both: bool = True) -> LabelledScores:
    """Check scores and labels against each other and flatten them; see `measure`.

    Parameters
    ----------
    both : bool
        Whether jets of signal and of background must be there; a chunk of a larger sample may lack either.
    """
    scores, labels = ak.Array(scores), ak.Array(labels)
    classes = scores.fields
    first = scores[classes[0]] if classes else scores
    flat_first, flat_labels = flat_pair(first, labels)
    shape = flat_entries(first)[1]
    present = ~_missing(flat_first)
    columns = [np.asarray(ak.to_numpy(flat_entries(scores[c])[0][present]), np.float64) for c in classes] or [
        np.asarray(ak.to_numpy(flat_first[present]), np.float64)
    ]
    values = np.stack(columns, axis=1) if classes else np.stack([1 - columns[0], columns[0]], axis=1)
    _check_finite(values)
    numbers = _labels(flat_labels[present], values.shape[1])
    index = _signal(signal, classes, values.shape[1])
    if both:
        _check_both(numbers == index)
    # two classes: a score of exactly one half counts as signal, as with the cut `score >= 0.5`
    most_probable = values.argmax(axis=1) if classes else (values[:, 1] >= 0.5).astype(np.int64)
    return LabelledScores(values, numbers, most_probable, index, tuple(shape), present)


def _check_finite(values: F8) -> None:
    bad = np.logical_or.reduce(~np.isfinite(values), axis=1)
    if bad.any():
        raise JetError(
            explain(
                f"{int(bad.sum())} of {len(bad)} scores are NaN or infinite, first of jet {int(np.argmax(bad))}",
                "finite scores",
                "check that jet's constituents; missing jets should be None, not NaN",
            )
        )


def _signal(signal: int | str | None, classes: list[str], number: int) -> int:
    if isinstance(signal, str):
        if signal not in classes:
            raise JetError(
                explain(f"signal '{signal}'", f"one of {', '.join(classes) or '0, 1'}", "see tagger.classes")
            )
        return classes.index(signal)
    return number - 1 if signal is None else signal


def _check_both(is_signal: Bools) -> None:
    kinds = np.unique(is_signal)
    if len(kinds) < 2:
        what = (
            "no jets" if len(kinds) == 0 else f"only {'signal' if kinds[0] else 'background'} jets ({len(is_signal)})"
        )
        raise JetError(
            explain(f"{what} with a score", "jets of signal and of background", "check the labels and the selection")
        )


def _labels(labels: ak.Array, number: int) -> I8:
    """Whole numbers of classes."""
    unlabelled = _missing(labels)
    if unlabelled.any():
        raise JetError(
            explain(f"{int(unlabelled.sum())} jets with a score but no label", "one label per jet", "drop those jets")
        )
    found = _numbers(labels)
    beyond = ~((found >= 0) & (found < number) & (found == np.floor(found)))
    if beyond.any():
        raise JetError(
            explain(
                f"label {found[int(np.argmax(beyond))]:g} of jet {int(np.argmax(beyond))}",
                f"whole numbers 0 to {number - 1}",
                "number the classes as the tagger does (tagger.classes)",
            )
        )
    return found.astype(np.int64)


def _numbers(labels: ak.Array) -> F8:
    try:
        return np.asarray(ak.to_numpy(labels), np.float64)
    except (TypeError, ValueError) as error:
        raise JetError(
            explain(
                f"labels of type {labels.type}",
                "the index of its class for each jet",
                "number the classes as the tagger does (tagger.classes)",
            )
        ) from error


def _missing(values: ak.Array) -> Bools:
    return np.asarray(ak.to_numpy(ak.is_none(values)), dtype=bool)

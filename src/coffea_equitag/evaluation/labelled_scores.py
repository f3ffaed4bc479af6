"""Scores and labels of jets, checked against each other and flattened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import F8, I8, Bools
from ..errors import JetError, explain
from .structure import flat_entries, flat_pair

__all__ = ["LabelledScores", "labelled_scores"]


@dataclass(frozen=True)
class LabelledScores:
    """Flat scores of the signal with their labels, without jets that have no score.

    `shape` holds the lengths of the lists that the jets were in, and `present` which of the flat jets have a score.
    """

    scores: F8
    labels: I8
    most_probable: I8
    signal: int
    shape: tuple[Any, ...]
    present: Bools

    @property
    def num_missing(self) -> int:
        """Jets without a score."""
        return int((~self.present).sum())

    @property
    def is_signal(self) -> Bools:
        """Which jets are signal."""
        return np.asarray(self.labels == self.signal)


def labelled_scores(scores: Any, labels: Any, signal: int | str | None = None) -> LabelledScores:
    """Check scores and labels against each other and flatten them; see `measure`."""
    scores, labels = ak.Array(scores), ak.Array(labels)
    classes = scores.fields
    first = scores[classes[0]] if classes else scores
    flat_first, flat_labels = flat_pair(first, labels)
    shape = flat_entries(first)[1]
    present = ~_missing(flat_first)
    columns = [np.asarray(ak.to_numpy(flat_entries(scores[c])[0][present]), np.float64) for c in classes] or [
        np.asarray(ak.to_numpy(flat_first[present]), np.float64)
    ]
    kept = flat_labels[present]
    unlabelled = _missing(kept)
    if unlabelled.any():
        raise JetError(
            explain(f"{int(unlabelled.sum())} jets with a score but no label", "one label per jet", "drop those jets")
        )
    numbers = _numbers(kept)
    values = np.stack(columns, axis=1) if classes else np.stack([1 - columns[0], columns[0]], axis=1)
    bad = np.logical_or.reduce(~np.isfinite(values), axis=1)
    if bad.any():
        raise JetError(
            explain(
                f"{int(bad.sum())} of {len(bad)} scores are NaN or infinite, first of jet {int(np.argmax(bad))}",
                "finite scores",
                "check that jet's constituents; missing jets should be None, not NaN",
            )
        )
    beyond = ~((numbers >= 0) & (numbers < values.shape[1]) & (numbers == np.floor(numbers)))
    if beyond.any():
        raise JetError(
            explain(
                f"label {numbers[int(np.argmax(beyond))]:g} of jet {int(np.argmax(beyond))}",
                f"whole numbers 0 to {values.shape[1] - 1}",
                "number the classes as the tagger does (tagger.classes)",
            )
        )
    index = values.shape[1] - 1
    if isinstance(signal, str):
        if signal not in classes:
            raise JetError(
                explain(f"signal '{signal}'", f"one of {', '.join(classes) or '0, 1'}", "see tagger.classes")
            )
        index = classes.index(signal)
    elif signal is not None:
        index = signal
    number_labels = numbers.astype(np.int64)
    kinds = np.unique(number_labels == index)
    if len(kinds) < 2:
        what = "no jets" if len(kinds) == 0 else f"only {'signal' if kinds[0] else 'background'} jets ({len(numbers)})"
        raise JetError(
            explain(f"{what} with a score", "jets of signal and of background", "check the labels and the selection")
        )
    # two classes: a score of exactly one half counts as signal, as with the cut `score >= 0.5`
    most_probable = values.argmax(axis=1) if classes else (values[:, 1] >= 0.5).astype(np.int64)
    return LabelledScores(values[:, index], number_labels, most_probable, index, tuple(shape), present)


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

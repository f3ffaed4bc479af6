"""The structure of scores and labels: the lists that each entry is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain

__all__ = ["flat_entries", "flat_pair", "same_shape"]


def flat_entries(values: ak.Array) -> tuple[ak.Array, list[Any]]:
    """All entries in one flat array, including missing ones, and the lengths of the lists they were in."""
    shape: list[Any] = []
    while values.ndim > 1:
        values = ak.fill_none(values, [], axis=0)
        shape.append(ak.to_numpy(ak.num(values, axis=1)))
        values = ak.flatten(values, axis=1)
    return values, [*shape, len(values)]


def same_shape(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether the lengths from `flat_entries` are the same."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def flat_pair(scores: ak.Array, labels: ak.Array) -> tuple[ak.Array, ak.Array]:
    """Flat scores and labels, one label per score.

    Raises
    ------
    JetError
        If they differ in structure.
    """
    flat_scores, shape = flat_entries(scores)
    flat_labels, label_shape = flat_entries(labels)
    if not same_shape(shape, label_shape):
        raise JetError(
            explain(
                f"scores of type {scores.type} and labels of type {labels.type}",
                "one label per score, in the same structure",
                "take both from the same jets: measure(tagger(jets), jets.label)",
            )
        )
    return flat_scores, flat_labels

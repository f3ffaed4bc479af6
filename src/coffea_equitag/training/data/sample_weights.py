"""Weights of single jets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ...array_types import F8, I8, AnyArray
from ...errors import JetError, explain
from .expression import Expression
from .jet_columns import JetColumns

__all__ = ["Weigh", "check_numbers", "check_sums", "class_sums", "numbers", "sample_weights"]

#: A column or formula, or a function of the jets.
Weigh: TypeAlias = str | Callable[[Any], Any]


def sample_weights(weights: Weigh | None, columns: JetColumns) -> F8:
    """The weight of each jet, shape (J,); 1 without `weights`. They may be negative.

    Parameters
    ----------
    weights : str or callable, optional
        A column or a formula (``"weight"``, ``"genWeight * puWeight"``), or a function of the jets (an ak.Array).

    Raises
    ------
    JetError
        If a weight is not a finite number, or there is not one for each jet.
    """
    if weights is None:
        return np.ones(len(columns))
    if isinstance(weights, str):
        name, found = f"weight '{weights}'", Expression(weights)(columns.__getitem__, len(columns))
    else:
        name, found = "weight", numbers(weights(columns.jets), len(columns), "weights")
    values: F8 = found.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise JetError(
            explain(
                f"the {name} of {columns.first(bad)} is {values[bad][0]} ({int(bad.sum())} such of {len(bad)})",
                "finite numbers",
                "leave these jets out by a selection, e.g. select='isfinite(weight)'",
            )
        )
    return values


def numbers(given: Any, number: int, what: str) -> AnyArray:
    """What a function of the jets returned, as an array of one number per jet.

    Raises
    ------
    JetError
        If it is anything else.
    """
    try:
        values = ak.to_numpy(given)
    except (TypeError, ValueError):  # lists of different lengths, records
        values = np.array(None, dtype=object)
    if values.shape != (number,) or values.dtype.kind not in "biuf" or np.ma.is_masked(values):
        raise JetError(
            explain(
                f"a function for the {what} that returned {getattr(given, 'type', type(given).__name__)}",
                f"one number for each of {number} jets",
                "return an array as long as the jets it is given",
            )
        )
    return np.ma.getdata(values)


def class_sums(labels: I8, weights: F8, n_classes: int) -> F8:
    """Σ w of the jets of each class, shape (n_classes,)."""
    return np.bincount(labels, weights, minlength=n_classes).astype(np.float64, copy=False)


def check_numbers(numbers: I8, classes: Sequence[str], what: str) -> None:
    """Refuse jets that lack a class; `what` names the sample in the error.

    Raises
    ------
    JetError
        Naming the class.
    """
    if (numbers == 0).any():
        k = int(np.argmin(numbers))
        raise JetError(
            explain(
                f"no {what} jets of class {k} ('{classes[k]}') among {int(numbers.sum())}",
                "jets of each class",
                "add jets of that class, or check the labels",
            )
        )


def check_sums(sums: F8, classes: Sequence[str], what: str) -> None:
    """Refuse classes whose weights do not add up to something positive; `what` names the sample in the error.

    Raises
    ------
    JetError
        Naming the class.
    """
    bad = ~(sums > 0)
    if bad.any():
        k = int(np.argmax(bad))
        raise JetError(
            explain(
                f"the weights of the {what} jets of class {k} ('{classes[k]}') add up to {sums[k]:g}",
                "a positive sum in each class",
                "check the sign and the normalisation of the weights",
            )
        )

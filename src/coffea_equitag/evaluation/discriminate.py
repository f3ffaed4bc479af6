"""Scores of several classes as one discriminant between some of them, for metrics and plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np

from ..errors import TaggerError, explain
from ..tagger.discriminant import discriminants
from .structure import flat_pair

__all__ = ["discriminate"]


def discriminate(
    scores: Any, labels: Any, signal: str, backgrounds: str | Sequence[str], *, classes: Sequence[str] | None = None
) -> tuple[ak.Array, ak.Array]:
    """Discriminant p_signal / (p_signal + Σ p_background) and labels of the jets of these classes.

    ::

        measure(*discriminate(tagger(jets), jets.label, "top", ["qcd"]))

    Parameters
    ----------
    scores : array-like
        A record with a field per class, any nesting; None where a jet is missing.
    labels : array-like
        Index of the class of each jet in `classes`, in the same structure.
    signal, backgrounds : str, and str or sequence of str
        The classes between which to discriminate; jets of others are left out.
    classes : sequence of str, optional
        Classes in the order of the labels; default the scores' fields.

    Returns
    -------
    (ak.Array of float32, ak.Array of int64)
        Discriminant and label (1 for signal, 0 for background) of the jets kept, both flat. The discriminant is None
        where the jet is missing or the probabilities of all these classes are 0.

    Raises
    ------
    TaggerError
        If the scores lack a class.
    JetError
        If scores and labels differ in structure.
    """
    scores, labels = ak.Array(scores), ak.Array(labels)
    order = tuple(scores.fields if classes is None else classes)
    (chosen,) = discriminants({"discriminant": (signal, backgrounds)})
    if not scores.fields:
        raise TaggerError(
            explain(
                f"scores of type {scores.type}",
                "a record with one probability per class",
                "use the score as it is: with two classes it is p_signal / (p_signal + p_background)",
            )
        )
    chosen.check(scores.fields if classes is None else order, "these scores")
    each, truth = flat_pair(scores, labels)
    is_signal = truth == order.index(chosen.signal)
    kept = is_signal
    for name in chosen.backgrounds:
        kept = kept | (truth == order.index(name))
    # a jet without a label stays, so that the metrics refuse it
    kept = ak.fill_none(kept, True)
    found = chosen(each[kept])
    return ak.mask(found, ak.fill_none(~np.isnan(found), True)), ak.values_astype(is_signal[kept], np.int64)

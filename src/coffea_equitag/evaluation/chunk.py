"""One chunk of jets, as an evaluation counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import F8, I8, Bools
from ..errors import JetError, explain
from ..tagger.discriminant import Discriminant, Discriminants, discriminants
from .labelled_scores import LabelledScores, labelled_scores
from .variables import jet_columns

__all__ = ["SCORE", "bins_of", "check_classes", "in_order", "scores_of", "value_of"]

#: Name of the score of the signal class, against all other classes.
SCORE = "score"


def check_classes(classes: Sequence[str], signal: str | None) -> tuple[tuple[str, ...], str]:
    """Classes, and the signal among them, by default the last.

    Raises
    ------
    JetError
        If there are not at least two different classes, or the signal is none of them.
    """
    names = tuple(classes)
    if len(names) < 2 or len(set(names)) < len(names):
        raise JetError(explain(f"classes {names}", "at least two different names", "give tagger.classes"))
    if signal is not None and signal not in names:
        raise JetError(explain(f"signal {signal!r}", f"one of {', '.join(names)}", "see tagger.classes"))
    return names, names[-1] if signal is None else signal


def scores_of(classes: tuple[str, ...], signal: str, given: Discriminants | None) -> dict[str, Discriminant]:
    """What is measured, by name: the score of the signal against all other classes, and discriminants.

    Raises
    ------
    JetError
        If a discriminant is called `SCORE`.
    TaggerError
        If it is not valid, or of other classes.
    """
    found = {SCORE: Discriminant(SCORE, signal, tuple(name for name in classes if name != signal))}
    for one in discriminants(given):
        one.check(classes, "this evaluation")
        if one.name == SCORE:
            raise JetError(explain(f"a discriminant called {SCORE!r}", "another name", "rename it"))
        found[one.name] = one
    return found


def value_of(one: Discriminant, given: LabelledScores, classes: tuple[str, ...]) -> tuple[F8, Bools]:
    """A score of every jet, NaN where it has none, and which jets are of its classes."""
    if one.name == SCORE:
        return given.scores, np.ones(len(given.labels), bool)
    columns = {each: given.probabilities[:, classes.index(each)] for each in one.classes}
    kept = np.isin(given.labels, [classes.index(each) for each in one.classes])
    return np.asarray(ak.to_numpy(one(columns)), np.float64), kept


def in_order(scores: Any, labels: Any, classes: tuple[str, ...], signal: str) -> LabelledScores:
    """Scores and labels with the classes in the order given.

    Parameters
    ----------
    scores : array-like
        The signal's probability, of two classes, or a record with a field per class.
    labels : array-like
        Index of each jet's class.
    classes : tuple of str
        All classes, in the order of the labels.
    signal : str
        The class that is signal.

    Raises
    ------
    JetError
        If the scores are of other classes, or do not fit the labels.
    """
    scores = ak.Array(scores)
    if scores.fields:
        if set(scores.fields) != set(classes):
            given = f"scores of the classes {', '.join(scores.fields)}"
            raise JetError(explain(given, f"those of {', '.join(classes)}", "give tagger.classes"))
        return labelled_scores(scores[list(classes)], labels, signal, both=False)
    if len(classes) > 2:
        given = f"scores of type {scores.type} for the classes {', '.join(classes)}"
        raise JetError(explain(given, "a record with a field per class", "give the classes of this tagger"))
    if signal == classes[1]:
        return labelled_scores(scores, labels, 1, both=False)
    # the score is the first class's probability, which must not be taken from 1 twice
    found = labelled_scores(scores, 1 - ak.Array(labels), 1, both=False)
    return LabelledScores(
        found.probabilities[:, ::-1], 1 - found.labels, 1 - found.most_probable, 0, found.shape, found.present
    )


def bins_of(
    given: LabelledScores,
    variables: Mapping[str, Sequence[float]],
    jets: ak.Array | None,
    columns: Mapping[str, Any],
) -> dict[str, tuple[I8, int]]:
    """For each variable the bin of each jet, those below and above included, and how many bins there are.

    Parameters
    ----------
    given : LabelledScores
        The jets that have scores.
    variables : mapping of str to sequence of float
        Name -> edges; without any there is one bin, of the name "".
    jets : ak.Array, optional
        The jets, for variables that are not among the columns.
    columns : mapping
        Values of variables, in the structure of the scores.

    Raises
    ------
    JetError
        If a variable is neither given nor known, or columns are of none.
    """
    if unknown := [name for name in columns if name not in variables]:
        known = ", ".join(variables) or "none"
        raise JetError(explain(f"values of {unknown[0]!r}", f"those of {known}", "give it edges: variables={...}"))
    wanted = [name for name in variables if name not in columns]
    if wanted and jets is None:
        raise JetError(
            explain(
                f"no jets, and no values of {', '.join(wanted)}",
                "the jets, or each variable's values",
                "give fill(scores, labels, jets), or Evaluation(..., variables={})",
            )
        )
    if not variables:
        return {"": (np.zeros(len(given.labels), np.int64), 1)}
    every = {**columns, **(jet_columns(jets, wanted) if wanted else {})}
    return {
        name: (np.searchsorted(edges, given.column(every[name], name), side="right"), len(edges) + 1)
        for name, edges in variables.items()
    }

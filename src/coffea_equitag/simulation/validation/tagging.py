"""Performance of a tagger on simulated and on real jets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import vector

from ...errors import JetError, explain
from ...jets import flatten
from ...jets.nesting import unnest

if TYPE_CHECKING:
    from ...tagger import Tagger

__all__ = ["TaggerResult", "stored_alike", "tag"]


@dataclass(frozen=True)
class TaggerResult:
    """AUC (with Hanley and McNeil's uncertainty) and accuracy of a tagger on both samples."""

    name: str
    auc_simulated: float
    auc_simulated_error: float
    auc_real: float
    auc_real_error: float
    accuracy_simulated: float
    accuracy_real: float


def tag(path: str | os.PathLike[str], simulated: ak.Array, real: ak.Array, labels: str = "label") -> TaggerResult:
    """Measure a tagger on both samples, with jets stored alike (`stored_alike`) but not cut.

    Parameters
    ----------
    path : path-like
        Folder of the tagger or of a training run, or a name from the zoo.
    simulated, real : ak.Array
        Canonical jets.
    labels : str
        Jet field that holds the class, numbered like the tagger's classes.

    Raises
    ------
    TaggerError, JetError
        If there is no such tagger, it needs columns that the jets lack, or it cannot score them by these labels.
    """
    from ...evaluation import measure
    from ...tagger import load

    tagger: Tagger = load(path)
    if tagger.model.output != "classes":
        raise JetError(explain(f"{tagger.name}, which does not give classes", "a classifier", "choose another tagger"))
    signal = tagger.classes.index(tagger.card.signal)
    found = []
    for jets in (simulated, real):
        jets = stored_alike(jets)
        scores, classes = tagger(jets), jets[labels]
        if not scores.fields and signal == 0:
            # with two classes the score is that of the signal alone: label the signal 1
            classes = 1 - classes
        found.append(measure(scores, classes, signal=signal if scores.fields else 1))
    return TaggerResult(
        name=tagger.name,
        auc_simulated=found[0].auc,
        auc_simulated_error=found[0].auc_uncertainty,
        auc_real=found[1].auc,
        auc_real_error=found[1].auc_uncertainty,
        accuracy_simulated=found[0].accuracy,
        accuracy_real=found[1].accuracy,
    )


def stored_alike(jets: ak.Array) -> ak.Array:
    """The same jets with constituents as in the published datasets: (px, py, pz, E), E = |p|, in float32.

    Official checkpoints have learned the rounding noise of these numbers and do not know a mass of exactly 0. Further
    columns and the labels are kept; a jet's own momentum is dropped, so that it is the sum of its constituents.
    """
    flat = flatten(jets, _extra(jets))
    p4 = flat.momenta.p4.copy()
    p4[:, 0] = np.sqrt((p4[:, 1:] ** 2).sum(axis=1))
    columns: dict[str, Any] = dict(zip(("E", "px", "py", "pz"), p4.astype(np.float32).T, strict=True))
    lists = ak.unflatten(
        ak.zip(columns | dict(flat.columns), with_name="Momentum4D", behavior=vector.backends.awkward.behavior),
        np.diff(flat.offsets),
    )
    _, records = unnest(jets)
    kept = {name: records[name] for name in records.fields if name not in ("constituents", *_MOMENTUM)}
    return ak.zip(kept | {"constituents": lists}, depth_limit=1)


#: Fields of a momentum, under all their names.
_MOMENTUM = frozenset({"pt", "eta", "phi", "mass", "px", "py", "pz", "E", "energy", "x", "y", "z", "t", "rho", "tau"})


def _extra(jets: ak.Array) -> tuple[str, ...]:
    """Plain columns of the constituents beside their momenta."""
    constituents = jets["constituents"]
    return tuple(name for name in constituents.fields if name not in _MOMENTUM and not constituents[name].fields)

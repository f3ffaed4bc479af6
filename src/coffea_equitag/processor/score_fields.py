"""Scores as fields of jets: their names, and their type where jets have no values."""

from __future__ import annotations

from collections.abc import Mapping

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import touch_jets
from ..scoring.score_columns import JetScorer, constituent_columns

__all__ = ["check_name", "traced_scores"]

#: Names that vector uses for coordinates: a field of such a name would change or break the jets' four-momenta.
VECTOR_NAMES = frozenset(
    (
        "x",
        "y",
        "z",
        "t",
        "px",
        "py",
        "pz",
        "E",
        "e",
        "energy",
        "m",
        "M",
        "mass",
        "tau",
        "rho",
        "pt",
        "phi",
        "eta",
        "theta",
    )
)


def check_name(jets: ak.Array, collection: str, name: str, overwrite: bool) -> None:
    """Refuse a name of scores that is taken, or cannot be that of a field.

    Raises
    ------
    JetError
        Naming the collection.
    """
    remedy = "choose another name for the scores"
    if not name.isidentifier() or name in VECTOR_NAMES or hasattr(type(jets), name):
        raise JetError(
            explain(
                f"scores called {name!r} on {collection}",
                "an identifier that is neither a coordinate nor a property of the jets",
                remedy,
            )
        )
    if name in jets.fields and not overwrite:
        raise JetError(
            explain(f"{collection} already has a field {name!r}", "a new name", f"{remedy}, or overwrite=True")
        )


def traced_scores(jets: ak.Array, tagger: JetScorer, names: Mapping[str, str | None]) -> ak.Array:
    """Scores without values; what the tagger would read is reported as read."""
    touch_jets(jets, constituent_columns(tagger) or ())
    score = ak.values_astype(ak.num(jets["constituents"], axis=-1) * 0, np.float32)
    return score if None in names.values() else ak.zip(dict.fromkeys(names.values(), score))

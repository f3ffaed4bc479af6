"""Properties of jets against which a tagger is measured, and the edges between which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ..array_types import F8
from ..errors import JetError, explain
from ..jets.ragged import ragged_and_nesting

__all__ = ["LABELS", "VARIABLES", "Variables", "check_variables", "jet_columns"]

#: Name -> edges. Jets outside are kept, and left out only where the variable is shown.
Variables: TypeAlias = Mapping[str, Sequence[float]]

#: Fine, so that bins can be merged when it is known where the jets are.
VARIABLES: Variables = {
    "pt": (*range(0, 1000, 10), *range(1000, 2000, 50), *range(2000, 5001, 250)),
    "eta": tuple(float(edge) for edge in np.linspace(-5, 5, 101).round(9)),
    "mass": (*range(0, 500, 5), *range(500, 1001, 25)),
    "multiplicity": tuple(range(0, 301, 2)),
}

#: Of axes.
LABELS = {
    "pt": "jet $p_T$ [GeV]",
    "eta": r"jet $\eta$",
    "mass": "jet mass [GeV]",
    "multiplicity": "constituents",
}


def check_variables(given: Variables | None) -> dict[str, tuple[float, ...]]:
    """Variables with their edges; `VARIABLES` for None.

    Raises
    ------
    JetError
        For edges that are not at least two finite, rising numbers.
    """
    found = {name: tuple(map(float, edges)) for name, edges in (VARIABLES if given is None else given).items()}
    for name, edges in found.items():
        if len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
            raise JetError(
                explain(f"edges of {name}: {edges}", "at least two finite, rising numbers", "correct the edges")
            )
    return found


def jet_columns(jets: ak.Array, names: Sequence[str]) -> dict[str, Any]:
    """Some properties of jets, in their structure.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets, any nesting, or records without constituents, such as a collection of NanoAOD.
    names : sequence of str
        ``pt``, ``eta``, ``mass`` of the jet's four-momentum in GeV, ``multiplicity`` (the number of constituents), or
        a field of the jets. Of records without constituents all are fields.

    Raises
    ------
    JetError
        If the jets have no such field.
    """
    found: dict[str, Any] = {}
    if derived := [name for name in names if name in LABELS and "constituents" in jets.fields]:
        ragged, nesting = ragged_and_nesting(jets)
        energy, x, y, z = ragged.jet_p4.numpy().T
        pt = np.hypot(x, y)
        with np.errstate(divide="ignore", invalid="ignore"):  # jets without momentum have no direction
            eta = np.arcsinh(z / pt)
        every: dict[str, F8] = {
            "pt": pt,
            "eta": np.where(np.isfinite(eta), eta, np.sign(z) * np.finfo(np.float64).max),
            "mass": np.sqrt(np.maximum(energy**2 - x**2 - y**2 - z**2, 0.0)),
            "multiplicity": ragged.counts.numpy().astype(np.float64),
        }
        found |= {name: nesting.restore(every[name]) for name in derived}
    for name in names:
        if name in found:
            continue
        if name not in jets.fields:
            given = f"variable {name!r} of jets with the fields {', '.join(jets.fields)}"
            remedy = f"correct the name, or give the values: fill(..., {name}=...)"
            raise JetError(explain(given, f"a field, or of canonical jets one of {', '.join(LABELS)}", remedy))
        found[name] = jets[name]
    return found

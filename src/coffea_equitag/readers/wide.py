"""The wide layout: one column per component (``E_0, PX_0, PY_0, PZ_0, E_1, ...``), padded with zeros.

This is the published layout of the Top Quark Tagging Reference Dataset (`Kasieczka, Plehn, Thompson, Russel 2019
<https://doi.org/10.5281/zenodo.2603256>`_): each row is a jet with constituents in order of decreasing pT;
``truthE, truthPX, truthPY, truthPZ`` is the top quark, ``is_signal_new`` distinguishes top (1) from QCD (0), and
``ttv`` gives the part (training, test, validation) the jet belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..jets import make_jets

__all__ = ["from_wide", "is_wide"]

_COMPONENTS = {"px": "PX", "py": "PY", "pz": "PZ", "E": "E"}
_LABEL = "is_signal_new"
_TRUTH = {"truth_px": "truthPX", "truth_py": "truthPY", "truth_pz": "truthPZ", "truth_E": "truthE"}


def is_wide(columns: Iterable[str]) -> bool:
    """Whether the columns are those of the wide layout."""
    return {"E_0", "PX_0"} <= set(columns)


def from_wide(columns: Iterable[str], values: Callable[[list[str]], AnyArray], source: str) -> ak.Array:
    """Jets from wide columns.

    Parameters
    ----------
    columns : iterable of str
        Names of all columns.
    values : callable
        Names of columns -> their values, shape ``(jets, columns)``.
    source : str
        Name of the file, for messages.

    Returns
    -------
    ak.Array
        ``[jet]`` with ``constituents`` (px, py, pz, E in the file's precision; those with four zeros dropped),
        ``label`` (1: signal) and, if present, ``ttv`` and ``truth_px, truth_py, truth_pz, truth_E``.

    Raises
    ------
    JetError
        If columns are missing.
    """
    present = set(columns)
    number = sum(1 for name in present if name.startswith("E_") and name[2:].isdigit())
    wanted = {short: [f"{prefix}_{i}" for i in range(number)] for short, prefix in _COMPONENTS.items()}
    missing = [name for names in (*wanted.values(), [_LABEL]) for name in names if name not in present]
    if missing or number == 0:
        raise JetError(
            explain(
                f"{source} without column {', '.join(missing[:8] or ['E_0'])}; it has {_listed(columns)}",
                f"E_i, PX_i, PY_i, PZ_i for i = 0, 1, ... and {_LABEL}",
                "check that this is a file of the Top Quark Tagging Reference Dataset",
            )
        )
    components = {short: values(names) for short, names in wanted.items()}
    filled: Any = np.logical_or.reduce([column != 0 for column in components.values()])
    constituents = ak.unflatten(
        ak.zip({short: column[filled] for short, column in components.items()}),
        np.count_nonzero(filled, axis=1).astype(np.int64),
    )
    fields: dict[str, AnyArray] = {"label": values([_LABEL])[:, 0].astype(np.int8)}
    if "ttv" in present:
        fields["ttv"] = values(["ttv"])[:, 0].astype(np.int8)
    if present.issuperset(_TRUTH.values()):
        fields |= dict(zip(_TRUTH, values(list(_TRUTH.values())).T, strict=True))
    return make_jets(constituents, **fields)


def _listed(columns: Iterable[str]) -> str:
    names = list(columns)
    if len(names) <= 12:
        return ", ".join(names) or "none"
    return f"{len(names)} columns: {', '.join(names[:8])}, ..., {', '.join(names[-3:])}"

"""Results of selections, checked: one boolean per event or per jet."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import is_traced

__all__ = ["boolean"]


def boolean(select: Any, like: ak.Array, name: str, *, missing: bool | None = False) -> ak.Array:
    """The result of a selection, one boolean for each event or jet of `like`.

    Parameters
    ----------
    select : callable, array or bool
        Function of `like`, or what it would return. True or False alone apply to all.
    like : ak.Array
        What is selected: ``[event]`` or ``[event][jet]``.
    name : str
        Name of the selection, for the error.
    missing : bool, optional
        What missing values count as; None leaves them missing.

    Raises
    ------
    JetError
        If the result is not such an array.
    """
    mask = select(like) if callable(select) else select
    if isinstance(mask, bool | np.bool_):
        each = ak.local_index(like, axis=like.ndim - 1) >= 0
        return each if mask else ~each
    try:
        # uproot's type parameters survive in what is computed from branches: "bool[parameters={...}]"
        found = ak.without_parameters(ak.Array(mask))
    except (TypeError, ValueError) as error:
        raise _refused(f"{mask!r}", name) from error
    if missing is not None:
        found = ak.fill_none(found, missing, axis=-1)
    kind = str(ak.type(found).content).split(" * ")[-1].removeprefix("?")
    if is_traced(found) or (len(like) == 0 and found.ndim == like.ndim):
        return ak.values_astype(found, bool)
    if found.ndim != like.ndim or kind != "bool" or ak.any(ak.is_none(found, axis=0)):
        raise _refused(str(ak.type(found)), name)
    if len(found) != len(like):
        raise _refused(f"{len(found)} values for {len(like)} events", name)
    if like.ndim > 1 and ak.any(differ := ak.num(found, axis=1) != ak.num(like, axis=1)):
        event = int(np.argmax(ak.to_numpy(differ)))
        raise _refused(f"{len(found[event])} values for the {len(like[event])} jets of event {event}", name)
    return found


def _refused(given: str, name: str) -> JetError:
    return JetError(
        explain(
            f"selection '{name}' gives {given}",
            "one boolean for each event (event_selections) or jet (jet_selections, where), or True or False for all",
            "compare values, reduce with ak.any(..., axis=1), and return the result",
        )
    )

"""Weights of events: a field of them, or a function."""

from __future__ import annotations

import difflib
import enum
import numbers
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import is_traced

__all__ = ["DEFAULT", "GENERATOR", "DefaultWeight", "Weight", "event_weights"]

#: Field of generator weights, which data do not have.
GENERATOR = "genWeight"


class DefaultWeight(enum.Enum):
    """The weight where none is given: ``genWeight`` if it exists, unless `weights` are given."""

    GENERATOR = GENERATOR


DEFAULT: Literal[DefaultWeight.GENERATOR] = DefaultWeight.GENERATOR

Weight: TypeAlias = "str | Callable[[ak.Array], Any] | float | DefaultWeight | None"


def event_weights(events: ak.Array, weight: Weight, unit: ak.Array, source: str | None = None) -> ak.Array:
    """One weight per event, float64.

    Parameters
    ----------
    events : ak.Array
        The events.
    weight : str, callable, number, DEFAULT or None
        Field of the events (only ``genWeight`` may be absent, which means 1), function of them, or None for 1. A
        single number applies to all events.
    unit : ak.Array
        1 for each event.
    source : str, optional
        What the weight is called in errors.

    Raises
    ------
    JetError
        If there is no such field, or the result is not one number for each event.
    """
    if isinstance(weight, DefaultWeight):
        weight = weight.value
    if weight is None:
        return unit
    if isinstance(weight, str):
        if weight not in events.fields:
            if weight == GENERATOR:
                return unit
            raise _no_field(events, weight)
        found: Any = events[weight]
        source = source or f"weight '{weight}'"
    elif callable(weight):
        found, source = weight(events), source or "the function given as weight"
    else:
        found, source = weight, source or "the weight"
    if isinstance(found, numbers.Real | np.number | np.bool_):
        return unit * float(found)
    try:
        values = ak.Array(found)
    except (TypeError, ValueError) as error:
        raise _refused(source, repr(found)) from error
    if is_traced(values):
        return ak.values_astype(values, np.float64)
    if len(values) != len(events):
        raise _refused(source, f"{len(values)} values for {len(events)} events")
    if values.ndim != 1 or values.fields or not _is_numeric(values):
        raise _refused(source, str(ak.type(values)))
    if number := int(ak.sum(ak.is_none(values))):
        raise _refused(source, f"no value for {number} of {len(values)} events")
    return ak.values_astype(ak.drop_none(values), np.float64)


def _is_numeric(values: ak.Array) -> bool:
    kind = str(ak.type(ak.without_parameters(values)).content).removeprefix("?")
    return kind in ("bool", "unknown") or kind.startswith(("int", "uint", "float"))


def _refused(source: str, given: str) -> JetError:
    return JetError(
        explain(
            f"{source} gives {given}",
            "one number for each event, or a single number for all",
            "correct it; fill missing values with ak.fill_none, and multiply weights of jets up with ak.prod(axis=1)",
        )
    )


def _no_field(events: ak.Array, weight: str) -> JetError:
    """Suggest fields of similar names, also those that the schema nests: ``Generator_weight`` is Generator.weight."""
    single = {name: name for name in events.fields}
    nested = {f"{name}.{field}": name for name in events.fields for field in events[name].fields}
    names = {name.replace("_", ".").lower(): name for name in [*nested, *single]}
    close = [names[n] for n in difflib.get_close_matches(weight.replace("_", ".").lower(), names, n=3, cutoff=0.7)]
    similar = [f"'{name}'" if name in single else f"lambda events: events.{name}" for name in close]
    return JetError(
        explain(
            f"events without a field '{weight}' to weight them by",
            f"a field of the events{', for instance one of similar name: ' + ', '.join(similar) if similar else ''}",
            "correct the name, give a function for a nested field, or weight=None to count every event once",
        )
    )

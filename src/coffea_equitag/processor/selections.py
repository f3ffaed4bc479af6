"""Results of selections, checked: one boolean per event or per jet."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
from coffea.analysis_tools import PackedSelection

from ..errors import JetError, explain
from ..jets.tracing import is_traced
from .output import number_of

__all__ = ["Cuts", "applied", "boolean", "select_jets", "with_events"]

#: Name -> function that returns one boolean per event, or one function that returns coffea's `PackedSelection`.
Cuts: TypeAlias = "Mapping[str, Any] | Callable[..., Any]"


def with_events(function: Any, jets: ak.Array, events: ak.Array | None) -> Any:
    """Call a function of jets, or of jets and events: it gets the events if a second argument has no default value."""
    if events is None:
        return function(jets)
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # NumPy's functions have no signature
        return function(jets)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in arguments if one.kind in kinds and one.default is inspect.Parameter.empty]
    return function(jets, events) if len(needed) > 1 else function(jets)


def applied(cuts: Any, events: ak.Array, what: str, *others: Any) -> Iterator[tuple[str, ak.Array]]:
    """Cuts one after the other: each sees what has passed those before it.

    Parameters
    ----------
    cuts : mapping or callable
        Name -> function of `events` and of the `others`; or a single one, which may return a `PackedSelection`.
    events : ak.Array
        The events.
    what : str
        Name of a single function that returns booleans, and for errors.
    others : mapping of str to ak.Array
        Collections parallel to the events.

    Yields
    ------
    (str, ak.Array)
        Name of a cut, and one boolean for each event that has passed the cuts before it.
    """
    if not isinstance(cuts, Mapping):
        found = cuts(events, *others) if callable(cuts) else cuts
        if not isinstance(found, PackedSelection):
            yield what, boolean(found, events, what)
            return
        cuts = {name: found.all(name) for name in found.names}
        if found.names and len(mask := found.all()) != len(events):
            raise _refused(f"a PackedSelection of {len(mask)} for {len(events)} events", what)
    passed: Any = None
    for name, select in cuts.items():
        found = select(events, *others) if callable(select) else select
        if isinstance(select, np.ndarray) and passed is not None:
            found = select[passed]  # of a PackedSelection, which was made for all events
        mask = boolean(found, events, name)
        yield name, mask
        events, others = events[mask], tuple({key: jets[mask] for key, jets in one.items()} for one in others)
        if not is_traced(mask):
            chosen = ak.to_numpy(mask)
            passed = np.flatnonzero(chosen) if passed is None else passed[chosen]


def select_jets(
    events: ak.Array, collections: Iterable[str], cuts: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, ak.Array], dict[str, dict[str, int]]]:
    """Jets that pass all cuts of their collection, each of which sees all jets.

    Returns
    -------
    (dict of str to ak.Array, dict of str to dict)
        Collection -> mask ``[event][jet]``, and collection -> cut -> number of jets left.
    """
    masks, counts = {}, {}
    for collection in collections:
        jets = events[collection]
        mask = boolean(True, jets, "all")
        left = {"all": number_of(mask)}
        for name, select in cuts.get(collection, {}).items():
            mask = mask & boolean(select, jets, f"{collection}: {name}", events=events)
            left[name] = number_of(mask)
        masks[collection], counts[collection] = mask, left
    return masks, counts


def boolean(
    select: Any, like: ak.Array, name: str, *, missing: bool | None = False, events: ak.Array | None = None
) -> ak.Array:
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
    events : ak.Array, optional
        The events of the jets, for functions of ``(jets, events)``.

    Raises
    ------
    JetError
        If the result is not such an array.
    """
    mask = with_events(select, like, events) if callable(select) else select
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
            "one boolean for each event (event_selections, regions) or jet (jet_selections, where), or one for all",
            "compare values, reduce with ak.any(..., axis=1), and return the result",
        )
    )

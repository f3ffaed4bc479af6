"""Variations of the events: applied, with every varied jet traced back to the original one.

The jets that a function receives carry a number, which stays with them when they are filtered, sorted or shifted.
Events that were shifted beforehand have no numbers: their jets are recognised by (η, φ), event by event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import awkward as ak
import numpy as np

from ..array_types import I8, AnyArray
from ..errors import JetError, TaggerError, explain
from ..jets.numbering import jet_numbers, numbered, renumbered
from ..jets.tracing import is_traced
from .same_buffers import same_tables
from .systematic_weights import NOMINAL

__all__ = ["NOMINAL", "Variation", "Variations", "VariationsOf", "check_variations", "varied"]

#: Name -> function of the events, or events.
Variations: TypeAlias = Mapping[str, "Callable[[ak.Array], ak.Array] | ak.Array"]

#: The same, or a function of the events that returns them.
VariationsOf: TypeAlias = "Variations | Callable[[ak.Array], Variations]"


class Variation(NamedTuple):
    """The events under one variation.

    Attributes
    ----------
    name : str
        Its name; ``"nominal"`` for the events themselves.
    events : ak.Array
        The varied events, whose jets carry the numbers of the original ones (`jets.numbering`).
    same_tables : bool
        Whether everything but the jets is untouched: their constituents are then those of the original jets.
    """

    name: str
    events: ak.Array
    same_tables: bool


def check_variations(variations: VariationsOf | None) -> None:
    """Refuse names that would be taken, or cannot be part of a field's name.

    Raises
    ------
    TaggerError
        Naming the variation.
    """
    if variations is None or callable(variations):
        return
    if not isinstance(variations, Mapping):
        raise TaggerError(
            explain(
                f"variations of type {type(variations).__name__}",
                "a mapping of names to functions of the events, or to shifted events",
                'for instance variations={"jesUp": lambda events: ...}',
            )
        )
    for name, shift in variations.items():
        if not f"_{name}".isidentifier() or name == NOMINAL:
            raise TaggerError(
                explain(
                    f"a variation called {name!r}",
                    f"letters, digits and underscores, and not {NOMINAL!r}",
                    "rename it: scores are called score_<name>",
                )
            )
        if not callable(shift) and not isinstance(shift, ak.Array):
            raise TaggerError(
                explain(
                    f"variation {name!r} of type {type(shift).__name__}",
                    "a function of the events, or shifted events (ak.Array)",
                    "for shifted jets: lambda events: ak.with_field(events, jets, 'FatJet')",
                )
            )


def varied(events: ak.Array, variations: VariationsOf | None, collections: Iterable[str]) -> Iterator[Variation]:
    """Apply variations one after the other.

    Parameters
    ----------
    events : ak.Array
        The events; not modified.
    variations : mapping or callable, optional
        Name -> function of the events, or shifted events; or a function of the events that returns such a mapping.
    collections : iterable of str
        The jets whose origin is needed.

    Raises
    ------
    JetError
        If a variation does not return events with these collections, or its jets cannot be traced back.
    """
    collections = tuple(collections)
    originals = events
    for collection in collections:
        originals = numbered(originals, collection)
    found = variations(originals) if callable(variations) else variations
    check_variations(found)
    tables = _tables(events, collections)
    for name, shift in (found or {}).items():
        shifted = shift(originals) if callable(shift) else shift
        _check_events(shifted, collections, name)
        _check_candidates(events, shifted, name)
        for collection in collections:
            shifted = _traced_back(events, shifted, collection, name)
        yield Variation(name, shifted, same_tables(events, shifted, tables))


def _tables(events: ak.Array, collections: Iterable[str]) -> list[str]:
    """What constituents can come from: CMS's tables of candidates, elsewhere every list but the jets themselves."""
    candidates = [name for name in events.fields if "PFCand" in name or name.startswith("ScoutingP")]
    return candidates or [name for name in events.fields if name not in collections and events[name].ndim > 1]


def _check_events(shifted: Any, collections: Iterable[str], name: str) -> None:
    missing = [one for one in collections if not isinstance(shifted, ak.Array) or one not in shifted.fields]
    if missing:
        given = f"events without {', '.join(missing)}" if isinstance(shifted, ak.Array) else type(shifted).__name__
        raise JetError(
            explain(
                f"variation {name!r} gives {given}",
                "the events with what it changes",
                "return ak.with_field(events, jets, 'FatJet') rather than the jets alone",
            )
        )


def _check_candidates(events: ak.Array, shifted: ak.Array, name: str) -> None:
    """Refuse candidates that were filtered or sorted: jets refer to them by their place."""
    if is_traced(shifted) or len(shifted) != len(events):
        return
    for table in ("PFCands", "PFCand"):
        if table not in events.fields or table not in shifted.fields or same_tables(events, shifted, [table]):
            continue
        before, after = events[table], shifted[table]
        moved = not np.array_equal(ak.to_numpy(ak.num(before, axis=1)), ak.to_numpy(ak.num(after, axis=1)))
        if not moved and "eta" in before.fields and not same_tables(before, after, ["eta"]):
            eta, shifted_eta = (ak.fill_none(one["eta"], np.nan, axis=1) for one in (before, after))
            differs = ak.any((eta != shifted_eta) & ~np.isnan(shifted_eta), axis=1)
            moved = ak.any(differs & ak.all(ak.sort(eta, axis=1) == ak.sort(shifted_eta, axis=1), axis=1))
        if moved:
            raise JetError(
                explain(
                    f"variation {name!r} gives other {table}, or in another order",
                    "all candidates, in their places, to which jets refer",
                    f"set pt to 0 for those that are lost, or mask them: ak.mask(events.{table}, kept)",
                )
            )


def _traced_back(events: ak.Array, shifted: ak.Array, collection: str, name: str) -> ak.Array:
    """The shifted events with numbered jets."""
    if is_traced(shifted) or jet_numbers(shifted[collection]) is not None:
        return shifted
    if len(shifted) != len(events):
        raise JetError(
            explain(
                f"variation {name!r} gives {len(shifted)} events for {len(events)}",
                "all events, in their order",
                "give the variation as a function of the events, and select events where they are selected otherwise",
            )
        )
    return renumbered(shifted, collection, _by_direction(events[collection], shifted[collection], collection, name))


def _by_direction(jets: ak.Array, shifted: ak.Array, collection: str, name: str) -> I8:
    """Number of the original jet of the same (η, φ) in the same event; -1 where there is none, or more than one."""
    counts, shifted_counts = (ak.to_numpy(ak.num(one, axis=1)).astype(np.int64) for one in (jets, shifted))
    keys, exists = _directions(jets)
    shifted_keys, shifted_exists = _directions(shifted)
    _, ranks = np.unique(np.concatenate([keys, shifted_keys]), return_inverse=True)
    size = ranks.max(initial=0) + 1
    rows, shifted_rows = (np.repeat(np.arange(len(number)), number) for number in (counts, shifted_counts))
    places = rows * size + ranks[: len(keys)]
    wanted = shifted_rows * size + ranks[len(keys) :]
    numbers = np.flatnonzero(exists)
    numbers = numbers[np.argsort(places[numbers], kind="stable")]
    first = np.searchsorted(places[numbers], wanted, side="left")
    last = np.searchsorted(places[numbers], wanted, side="right")
    found = np.full(len(wanted), -1)
    unique = shifted_exists & (last - first == 1)
    found[unique] = numbers[first[unique]]
    _unmoved(found, last - first > 1, places, wanted, (counts, shifted_counts))
    if shifted_exists.any() and exists.any() and not (found >= 0).any():
        raise JetError(
            explain(
                f"variation {name!r} gives {collection} none of which has the (eta, phi) of an original one",
                "the same jets, whose axes have not moved",
                "give it as a function of the events: its jets carry a number, and may move",
            )
        )
    return found


def _unmoved(found: I8, ambiguous: AnyArray, places: I8, wanted: I8, counts: tuple[I8, I8]) -> None:
    """Jets of an event with the same direction are told apart by their place, if they have kept it."""
    before, after = (np.cumsum(number) - number for number in counts)
    jets = np.flatnonzero(ambiguous)
    rows = np.searchsorted(after, jets, side="right") - 1
    local = jets - after[rows]
    inside = local < counts[0][rows]
    jets, number = jets[inside], (before[rows] + local)[inside]
    same = places[number] == wanted[jets]
    found[jets[same]] = number[same]


def _directions(jets: ak.Array) -> tuple[I8, AnyArray]:
    """(η, φ) in float32 as one number per jet, and which jets exist."""
    bits = []
    for name in ("eta", "phi"):
        column = ak.flatten(jets[name], axis=1)
        exists = ~ak.to_numpy(ak.is_none(column))
        bits.append(np.asarray(ak.to_numpy(ak.fill_none(column, 0.0)), np.float32).view(np.int32).astype(np.int64))
    key: I8 = (bits[0] << 32) | (bits[1] & 0xFFFFFFFF)
    return key, exists

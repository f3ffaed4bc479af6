"""From the ways in which ntuples link jets and constituents to one list of constituents per jet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import is_traced
from .links import checked_links, gather, link_counts
from .mapping import Links

__all__ = ["linked"]


def linked(
    links: Links, columns: Mapping[str, ak.Array], read: Callable[[str], ak.Array], jets: ak.Array | None
) -> ak.Array:
    """Constituents of each jet.

    Parameters
    ----------
    links : Links
        How they are linked.
    columns : mapping
        Columns of the constituents, ``[event][constituent]``.
    read : callable
        Name of a column of the file -> its values.
    jets : ak.Array or None
        Any column of the jets, ``[event][jet]``.

    Returns
    -------
    ak.Array
        ``[event][jet][constituent]``; negative indices are no constituents.

    Raises
    ------
    JetError
        If indices point outside of their lists, or the columns do not fit together.
    """
    first = next(iter(columns.values()))
    _check_lengths(columns)
    numbers = ak.num(first, axis=1)
    if links.jet is not None:
        assert jets is not None  # a mapping without a column of the jets has been refused
        index, counts = _by_jet(links, first, read, jets)
    else:
        nested = _nested_index(links, read)
        nested = nested[nested >= 0]
        _check_range(nested, numbers, links)
        index, counts = ak.flatten(nested, axis=2), ak.num(nested, axis=2)
    return gather({name: column[index] for name, column in columns.items()}, counts)


def _by_jet(
    links: Links, column: ak.Array, read: Callable[[str], ak.Array], jets: ak.Array
) -> tuple[ak.Array, ak.Array]:
    """Index of the constituents in the order of their jets, and the number of each jet's."""
    assert links.jet is not None
    of_jet = _integers(read(links.jet)) - links.first_index
    if links.constituent is None:
        candidate = ak.values_astype(ak.local_index(column, axis=1), np.int64)
    else:
        candidate = _integers(read(links.constituent)) - links.first_index
    _check_parallel(of_jet, candidate, links.jet, links.constituent or "the constituents")
    of_jet, candidate = checked_links(
        of_jet, candidate, ak.num(jets, axis=1), ak.num(column, axis=1), "jets", links.jet, _REMEDY
    )
    order = ak.argsort(of_jet, axis=1, stable=True)
    place = ak.values_astype(ak.local_index(jets, axis=1), np.int64)
    return candidate[order], link_counts(of_jet[order], place)


_REMEDY = "check links.first_index, and that all columns are from the same tree"


def _nested_index(links: Links, read: Callable[[str], ak.Array]) -> ak.Array:
    """Indices of each jet's constituents, ``[event][jet][k]``."""
    counts = _integers(read(links.counts)) if links.counts is not None else None
    if links.index is None:
        return _of_ranges(links, read, counts)
    index = _integers(read(links.index)) - links.first_index
    if links.first is None and counts is None:
        _check_depth(index, 3, links.index, "indices of each jet's constituents; or give links.counts")
        return index
    _check_depth(index, 2, links.index, "one list of indices per event")
    if counts is None:
        rows = _of_ranges(links, read, None)
        _check_range(rows, ak.num(index, axis=1), links)
        counts = ak.num(rows, axis=2)
        return _by_counts(ak.flatten(index[ak.flatten(rows, axis=2)], axis=1), counts)
    _check_sums(index, counts, links)
    return _by_counts(ak.flatten(index, axis=1), counts)


def _of_ranges(links: Links, read: Callable[[str], ak.Array], counts: ak.Array | None) -> ak.Array:
    """Numbers from `first` on, or from where the jet before ends, ``[event][jet][k]``."""
    if links.first is None:
        assert counts is not None
        _check_depth(counts, 2, links.counts, "a number for each jet of each event")
        return _ranges(_before(counts), counts)
    begin = _integers(read(links.first)) - links.first_index
    _check_depth(begin, 2, links.first, "an index for each jet of each event")
    if links.last is not None:
        counts = _integers(read(links.last)) - links.first_index - begin
    assert counts is not None
    return _ranges(begin, ak.where(counts > 0, counts, 0))


def _before(counts: ak.Array) -> ak.Array:
    """Number of constituents of the jets before each jet of the event."""
    flat = ak.flatten(counts, axis=1)
    if is_traced(counts):
        return counts
    ends = np.cumsum(ak.to_numpy(flat))
    before = ak.unflatten(ends - ak.to_numpy(flat), ak.num(counts, axis=1))
    return before - ak.fill_none(ak.firsts(before), 0)


def _ranges(begin: ak.Array, counts: ak.Array) -> ak.Array:
    """``begin, begin + 1, ...``, as many as `counts`."""
    flat_begin, flat_counts = (ak.flatten(values, axis=1) for values in (begin, counts))
    if is_traced(counts):
        return ak.unflatten(ak.unflatten(flat_begin, flat_counts), ak.num(counts, axis=1))
    number = ak.to_numpy(flat_counts)
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return _by_counts(ak.Array(np.repeat(ak.to_numpy(flat_begin), number) + within), counts)


def _by_counts(flat: ak.Array, counts: ak.Array) -> ak.Array:
    # in two steps, because ak.unflatten(axis=1) misassigns empty lists at event boundaries
    return ak.unflatten(ak.unflatten(flat, ak.flatten(counts, axis=1)), ak.num(counts, axis=1))


def _integers(values: ak.Array) -> ak.Array:
    return ak.values_astype(ak.from_regular(values, axis=None), np.int64)


def _check_depth(values: ak.Array, depth: int, name: str | None, expected: str) -> None:
    if values.ndim != depth:
        raise JetError(explain(f"column '{name}' of type {values.type}", expected, "correct links of the mapping"))


def _check_parallel(first: ak.Array, second: ak.Array, name: str, other: str) -> None:
    if is_traced(first):
        return
    differs = ak.to_numpy(ak.num(first, axis=1) != ak.num(second, axis=1))
    if differs.any():
        event = int(np.argmax(differs))
        raise JetError(
            explain(
                f"event {event} with {len(first[event])} values of '{name}' and {len(second[event])} of {other}",
                "as many of one as of the other",
                "correct links of the mapping: links.jet alone is parallel to the constituents",
            )
        )


def _check_lengths(columns: Mapping[str, ak.Array]) -> None:
    (first, column), *others = columns.items()
    for name, other in others:
        if is_traced(column):
            return
        differs = ak.to_numpy(ak.num(other, axis=1) != ak.num(column, axis=1))
        if differs.any():
            event = int(np.argmax(differs))
            raise JetError(
                explain(
                    f"event {event} with {len(column[event])} values of '{first}' and {len(other[event])} of '{name}': "
                    "some columns of the constituents are longer than others",
                    "as many values in each column",
                    "correct constituents of the mapping: all must be from the same particles",
                )
            )


def _check_sums(index: ak.Array, counts: ak.Array, links: Links) -> None:
    if is_traced(index):
        return
    differs = ak.to_numpy(ak.num(index, axis=1) != ak.sum(counts, axis=1))
    if differs.any():
        event = int(np.argmax(differs))
        raise JetError(
            explain(
                f"event {event} with {len(index[event])} values of '{links.index}' and a sum of "
                f"{int(ak.sum(counts[event]))} in '{links.counts}'",
                "as many indices as the jets count",
                "correct links of the mapping",
            )
        )


def _check_range(nested: ak.Array, numbers: ak.Array, links: Links) -> None:
    if is_traced(nested):
        return
    outside = ak.to_numpy(ak.fill_none(ak.max(ak.flatten(nested, axis=2), axis=1), -1) >= numbers)
    if outside.any():
        event = int(np.argmax(outside))
        raise JetError(
            explain(
                f"'{links.index or links.first or links.counts}' points to constituent number "
                f"{ak.max(nested[event])} of event {event}, which has {numbers[event]}",
                "indices of the constituents of the event",
                _REMEDY,
            )
        )

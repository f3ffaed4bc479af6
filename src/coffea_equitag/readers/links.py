"""From tables of links between jets and candidates to one list of constituents per jet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import awkward as ak
import numpy as np
import vector

from ..errors import JetError, explain

__all__ = ["REMEDY", "checked_links", "gather", "link_counts", "link_tables", "listed"]

#: Names of the candidate table; link tables are called ``<jets><table>``.
CANDIDATE_TABLES = ("PFCands", "PFCand")

#: Names of the column with candidate indices in the link table.
INDEX_COLUMNS = ("pFCandsIdx", "pfCandIdx", "PFCandIdx", "pfCandsIdx")


def link_tables(
    tables: Sequence[str], collection: str, columns: Callable[[str], Sequence[str]]
) -> tuple[str, str, str]:
    """Find the candidate table, the link table and its index column.

    Parameters
    ----------
    tables : sequence of str
        Tables of the events.
    collection : str
        The jet collection.
    columns : callable
        Table name -> names of its columns.

    Raises
    ------
    JetError
        Naming what is missing and what is available.
    """
    if collection not in tables:
        found = [name for name in tables if "Jet" in name and "PFCand" not in name]
        raise JetError(
            explain(
                f"events without '{collection}'",
                f"the name of a jet collection; these events have {listed(found)}",
                "pass one of them as collection",
            )
        )
    for table in CANDIDATE_TABLES:
        link = collection + table
        if table in tables and link in tables:
            index = next((name for name in INDEX_COLUMNS if name in columns(link)), None)
            if index is None or "jetIdx" not in columns(link):
                raise JetError(
                    explain(
                        f"a table '{link}' with columns {listed(columns(link))}",
                        f"'jetIdx' and one of {listed(INDEX_COLUMNS)}",
                        "read the events with all columns of this table",
                    )
                )
            return table, link, index
    raise _no_links(tables, collection)


def _no_links(tables: Sequence[str], collection: str) -> JetError:
    """The error for jets without links to candidates, in the words of the format."""
    found = [name for name in tables if "PFCand" in name and name[1:] not in tables]
    linked = [name.removesuffix("PFCand") for name in found if name.endswith("PFCand") and name != "PFCand"]
    if "PFCand" in found and linked:
        return JetError(
            explain(
                f"central NanoAOD v15 without constituents of '{collection}': it links candidates to {listed(linked)} "
                "only, and its PFCand table holds no others",
                f"'{collection}PFCand' (jetIdx, pfCandIdx)",
                f"use {listed(linked)}, or NanoAOD made with SaveAK4JetConstituents of CMSSW's "
                "PhysicsTools/NanoAOD/python/jetConstituents_cff.py, or PFNano",
            )
        )
    return JetError(
        explain(
            f"events without the constituents of '{collection}'; tables of candidates: {listed(found)}",
            f"'PFCands' and '{collection}PFCands' (PFNano), or 'PFCand' and '{collection}PFCand' (v15)",
            "use PFNano, or NanoAOD v15 with particle-flow candidates: ordinary NanoAOD up to v14 stores none",
        )
    )


def checked_links(
    jet_index: ak.Array,
    candidate_index: ak.Array,
    num_jets: ak.Array,
    num_candidates: ak.Array,
    collection: str,
    link: str,
    remedy: str | None = None,
) -> tuple[ak.Array, ak.Array]:
    """Keep the links that point to a jet and a candidate; negative indices mean "none", others are rejected."""
    for values, size, what in (
        (jet_index, num_jets, collection),
        (candidate_index, num_candidates, "candidates"),
    ):
        outside = values >= size
        if ak.backend(outside) != "typetracer" and ak.any(outside, axis=None):
            event = int(np.argmax(ak.to_numpy(ak.any(outside, axis=1))))
            raise JetError(
                explain(
                    f"'{link}' points to {what} number {ak.max(values[event])} of event {event}, "
                    f"which has {size[event]}",
                    f"the complete '{collection}' collection, as stored in the file",
                    remedy or REMEDY.format(collection=collection),
                )
            )
    valid = (jet_index >= 0) & (candidate_index >= 0)
    return jet_index[valid], candidate_index[valid]


def link_counts(jet_index: ak.Array, place: ak.Array) -> ak.Array:
    """Number of links of each jet, ``[event][jet]``.

    Every jet's place is added once to the sorted indices, whose run lengths are then each jet's number plus one, also
    for jets without links.
    """
    every = ak.concatenate([ak.values_astype(jet_index, np.int64), place], axis=1)
    counts = ak.run_lengths(ak.sort(every, axis=1)) - 1
    # in two steps, because ak.unflatten(axis=1) misassigns empty lists at event boundaries
    return ak.unflatten(ak.flatten(counts, axis=1), ak.num(place, axis=1))


def gather(columns: Mapping[str, ak.Array], counts: ak.Array) -> ak.Array:
    """Nest columns, in the order of their jets, as ``[event][jet][constituent]`` records."""
    flat = ak.zip(
        {name: ak.flatten(column, axis=1) for name, column in columns.items()},
        with_name="Momentum4D",
        behavior=vector.backends.awkward.behavior,
    )
    by_jet = ak.unflatten(flat, ak.flatten(counts, axis=1))
    return ak.unflatten(by_jet, ak.num(counts, axis=1))


REMEDY = (
    "call readers.nanoaod(events, '{collection}') on events with their original jets, and select or sort the "
    "jets it returns"
)


def listed(names: Iterable[str]) -> str:
    """The names, comma-separated, for a message."""
    return ", ".join(names) or "none"

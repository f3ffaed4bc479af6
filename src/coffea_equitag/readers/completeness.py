"""Whether the constituents of jets are in the file."""

from __future__ import annotations

import warnings

import awkward as ak

from ..errors import ConstituentsWarning, explain
from ..jets.tracing import is_traced, touch

__all__ = ["STATED", "are_stored"]

#: Column of the jets: number of constituents they were clustered from.
STATED = "nConstituents"


def are_stored(jets: ak.Array, linked: ak.Array, collection: str) -> ak.Array | None:
    """Whether candidates of each jet are stored: it has links, or states that it has no constituents; None if all are.

    Central NanoAOD v15 keeps no candidates of some jets of low pT or at large η. They are not jets without
    constituents, of which there are none: anti-kT makes no jet of nothing.

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]``, with ``nConstituents`` if the file has it.
    linked : ak.Array
        Number of candidates linked to each jet.
    collection : str
        Name of the jets, for the warning.

    Warns
    -----
    ConstituentsWarning
        With the number of jets without candidates, and of those with others than they state.
    """
    stated = jets[STATED] if STATED in jets.fields else None
    known = linked > 0 if stated is None else (linked > 0) | (stated == 0)
    if is_traced(jets):
        touch(known)
        return None
    _warn(known, linked, stated, collection)
    return None if ak.all(known, axis=None) else known


def _warn(known: ak.Array, linked: ak.Array, stated: ak.Array | None, collection: str) -> None:
    present = ~ak.is_none(known, axis=1)
    total, absent = int(ak.sum(present)), int(ak.sum(~ak.fill_none(known, True, axis=1)))
    partial = 0
    if stated is not None:
        # NanoAOD counts in uint8: 256 constituents are stated as 0
        kind = ak.to_numpy(ak.flatten(ak.fill_none(stated, 0, axis=1), axis=1)).dtype
        differs = known & (ak.values_astype(linked, kind) != stated)
        partial = int(ak.sum(ak.fill_none(differs, False, axis=1)))
    if not absent + partial:
        return
    found = [f"{absent} whose candidates are not stored: they get no score"] if absent else []
    found += [f"{partial} with another number of candidates than {STATED}"] if partial else []
    expected = "candidates for every jet" if stated is None else f"as many candidates for every jet as its {STATED}"
    warnings.warn(
        explain(
            f"of {total} {collection}, {'; '.join(found)}",
            expected,
            "select jets for which the file keeps candidates, in central NanoAOD those of higher pT and small |eta|",
        ),
        ConstituentsWarning,
        stacklevel=4,
    )

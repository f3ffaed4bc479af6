"""Whether the constituents of jets are in the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import awkward as ak

from ..errors import ConstituentsWarning, explain
from ..jets.tracing import is_traced, touch

__all__ = ["STATED", "Completeness", "are_stored", "counted"]

#: Column of the jets: number of constituents they were clustered from.
STATED = "nConstituents"


#: What to do about jets without candidates in NanoAOD.
SELECT = "select jets for which the file keeps candidates, in central NanoAOD those of higher pT and small |eta|"


def are_stored(
    jets: ak.Array,
    linked: ak.Array,
    collection: str,
    *,
    stated: ak.Array | None = None,
    count: str = STATED,
    remedy: str = SELECT,
) -> ak.Array | None:
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
    stated : ak.Array, optional
        Number of constituents that each jet was clustered from; default its ``nConstituents``, if the file has it.
    count, remedy : str
        Name of that number, and what to do, for the warning.

    Warns
    -----
    ConstituentsWarning
        With the number of jets without candidates, and of those with others than they state.
    """
    if stated is None and STATED in jets.fields:
        stated = jets[STATED]
    known = linked > 0 if stated is None else (linked > 0) | (stated == 0)
    if is_traced(jets):
        touch(known)
        return None
    found = replace(_count(known, linked, stated, collection), count=count, remedy=remedy)
    counts = _counts.get()
    if counts is None:
        found.warn(stacklevel=3)
    else:
        counts.append(found)
    return None if ak.all(known, axis=None) else known


@dataclass(frozen=True)
class Completeness:
    """How many jets have all of their candidates in the file.

    Attributes
    ----------
    collection : str
        Name of the jets.
    jets : int
        Number of jets.
    absent : int
        Those without candidates.
    partial : int
        Those with another number of candidates than they state.
    states : bool
        Whether they state one.
    count, remedy : str
        As for `are_stored`.
    """

    collection: str
    jets: int = 0
    absent: int = 0
    partial: int = 0
    states: bool = True
    count: str = STATED
    remedy: str = SELECT

    def __add__(self, other: Completeness) -> Completeness:
        return Completeness(
            self.collection,
            self.jets + other.jets,
            self.absent + other.absent,
            self.partial + other.partial,
            self.states and other.states,
            self.count,
            self.remedy,
        )

    def warn(self, stacklevel: int = 2) -> None:
        """Warn if candidates of jets are not stored."""
        if not self.absent + self.partial:
            return
        found = [f"{self.absent} whose candidates are not stored: they get no score"] if self.absent else []
        found += [f"{self.partial} with another number of candidates than {self.count}"] if self.partial else []
        expected = (
            f"as many candidates for every jet as its {self.count}" if self.states else "candidates for every jet"
        )
        warnings.warn(
            explain(
                f"of {self.jets} {self.collection}, {'; '.join(found)}",
                expected,
                self.remedy,
            ),
            ConstituentsWarning,
            stacklevel=stacklevel + 1,
        )


#: Where counts are gathered instead of a warning for each call.
_counts: ContextVar[list[Completeness] | None] = ContextVar("counts", default=None)


@contextmanager
def counted() -> Iterator[list[Completeness]]:
    """Within this block jets are counted, call by call, and not warned of: the caller does that once, of their sum."""
    counts: list[Completeness] = []
    token = _counts.set(counts)
    try:
        yield counts
    finally:
        _counts.reset(token)


def _count(known: ak.Array, linked: ak.Array, stated: ak.Array | None, collection: str) -> Completeness:
    present = ~ak.is_none(known, axis=1)
    total, absent = int(ak.sum(present)), int(ak.sum(~ak.fill_none(known, True, axis=1)))
    partial = 0
    if stated is not None:
        # NanoAOD counts in uint8: 256 constituents are stated as 0
        kind = ak.to_numpy(ak.flatten(ak.fill_none(stated, 0, axis=1), axis=1)).dtype
        differs = known & (ak.values_astype(linked, kind) != stated)
        partial = int(ak.sum(ak.fill_none(differs, False, axis=1)))
    return Completeness(collection, total, absent, partial, stated is not None)

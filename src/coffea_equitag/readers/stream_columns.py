"""Which columns of a file a stream needs: the momenta, and those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import pyarrow as pa

from ..jets.coordinates import COORDINATE_NAMES
from ..jets.impact_parameter import FLAT_IMPACT_COLUMNS, IMPACT_COLUMNS, TRACK_COLUMNS
from .flat import PREFIX, is_flat, may_be

__all__ = ["Columns", "constituents_read"]

#: Where the impact parameter comes from if it is not stored as a record.
_TRACK = {*TRACK_COLUMNS, *FLAT_IMPACT_COLUMNS}


@dataclass(frozen=True)
class Columns:
    """The fields of the jets, and some columns of their constituents.

    Attributes
    ----------
    constituents : frozenset of str or None
        Columns beside the momentum ("ip.x" for a field of a record); None if no constituents are needed at all.
    """

    constituents: frozenset[str] | None

    @classmethod
    def of(cls, constituents: Iterable[str]) -> Columns:
        """The columns of these names, and those that they are computed from."""
        names = set(constituents)
        return cls(frozenset(names | _TRACK if names.intersection(IMPACT_COLUMNS) else names))

    def union(self, other: Columns) -> Columns:
        """What either has."""
        if self.constituents is None or other.constituents is None:
            return other if self.constituents is None else self
        return Columns(self.constituents | other.constituents)

    def flat(self, name: str) -> bool:
        """Whether a column of the flat layout is needed."""
        return not name.startswith(PREFIX) or (
            self.constituents is not None and may_be(name, COORDINATE_NAMES | self._records)
        )

    def leaves(self, schema: pa.Schema, paths: Iterable[str]) -> list[str] | None:
        """Paths of the leaves of a Parquet file that are needed; None if it has neither of the layouts known here."""
        if "constituents" in schema.names:
            depth = _lists(schema.field("constituents").type)
            return [path for path in paths if self._nested(path.split("."), depth)]
        return [path for path in paths if self.flat(path.split(".")[0])] if is_flat(schema.names) else None

    def _nested(self, path: list[str], depth: int) -> bool:
        if path[0] != "constituents" or self.constituents is None:
            return path[0] != "constituents"
        # each list is two levels of the path
        return path[1 + 2 * depth] in COORDINATE_NAMES | self._records

    @property
    def _records(self) -> frozenset[str]:
        return frozenset(name.split(".")[0] for name in self.constituents or ())

    def only(self, jets: ak.Array) -> ak.Array:
        """Jets of which other columns are left out, and fields that are not one value per jet."""
        fields = [name for name in jets.fields if name != "constituents" and jets[name].ndim == 1]
        if self.constituents is None or "constituents" not in jets.fields:
            return jets[fields]
        parts = jets["constituents"]
        kept = [name for name in parts.fields if name in COORDINATE_NAMES | self._records]
        return ak.with_field(jets[fields], parts[kept], "constituents")


def _lists(kind: pa.DataType) -> int:
    """How many lists deep a type is nested."""
    nested = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return 1 + _lists(kind.value_type) if any(is_a(kind) for is_a in nested) else 0


def constituents_read(function: Callable[[ak.Array], Any], jets: ak.Array) -> Columns:
    """The columns of constituents that a function of jets reads, found by tracing it; all if it cannot be traced.

    Parameters
    ----------
    function : callable
        Of jets.
    jets : ak.Array
        Some jets of the type that it is given, possibly none.
    """
    every = Columns(frozenset(jets["constituents"].fields))
    form = ak.to_layout(jets).form_with_key("node{id}")
    traced, report = ak.typetracer.typetracer_with_report(form)
    try:
        # whatever a function raises for arrays without values
        ak.typetracer.touch_data(ak.Array(function(ak.Array(traced, behavior=jets.behavior))))
    except Exception:
        return every
    read = set(report.data_touched) | set(report.shape_touched)
    while not form.is_record:
        form = form.content
    below = form.content("constituents")
    if not read.intersection(_keys(below)):
        return Columns(None)
    while not below.is_record:
        below = below.content
    return Columns(frozenset(name for name in below.fields if read.intersection(_keys(below.content(name)))))


def _keys(form: Any) -> set[str]:
    """Names of all buffers of a form."""
    inner = form.contents if form.is_record or form.is_union else [] if form.is_numpy else [form.content]
    return {form.form_key}.union(*map(_keys, inner))

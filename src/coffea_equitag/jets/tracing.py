"""Jets that have a type but no values: coffea traces with them which columns an analysis reads."""

from __future__ import annotations

from collections.abc import Iterable

import awkward as ak

from .coordinates import coordinates_of
from .impact_parameter import columns_to_read

__all__ = ["is_traced", "touch", "touch_jets"]


def is_traced(array: ak.Array) -> bool:
    """Whether an array has a type but no values (``coffea.nanoevents.trace``)."""
    backend = array.layout.backend.name if isinstance(array, ak.Array) else ak.backend(array)
    return bool(backend == "typetracer")


def touch(array: ak.Array) -> None:
    """Report to a trace that an array's values are needed."""
    ak.typetracer.touch_data(array)


def touch_jets(jets: ak.Array, fields: Iterable[str] = ()) -> None:
    """Report to a trace what `jets.flatten` reads: momenta, and these columns of the constituents."""
    constituents = jets["constituents"]
    extra = columns_to_read(
        fields, lambda name: name in constituents.fields or name.split(".")[0] in constituents.fields
    )
    for record, names in ((constituents, extra), (jets, ())):
        for field in [*(coordinates_of(record.fields) or {}).values(), *names]:
            touch(record[field] if field in record.fields else record[tuple(field.split("."))])

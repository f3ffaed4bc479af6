"""Write an RNTuple chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from .branches import BranchLayout

__all__ = ["NTupleWriter"]


class NTupleWriter:
    """Writes an RNTuple: one cluster per chunk, lists of a table beside their counter, as NanoEvents reads them.

    Parameters
    ----------
    directory : uproot WritableDirectory
        Where to write.
    name, title : str
        Name and title.
    layout : BranchLayout
        Its fields.
    """

    def __init__(self, directory: Any, name: str, title: str, layout: BranchLayout) -> None:
        self.layout = layout
        forms = {name: _form(kind, layout.titles.get(name)) for name, kind in layout.flat.items()}
        for counter, group in layout.jagged.items():
            forms[counter] = _form(np.dtype(np.int32), layout.titles.get(counter))
            for name_of_list, kind in group.items():
                forms[name_of_list] = ak.forms.ListOffsetForm(
                    "i64", _form(kind, None), parameters=_described(layout.titles.get(name_of_list))
                )
        self._ntuple = directory.mkrntuple(name, ak.forms.RecordForm(list(forms.values()), list(forms)), title)

    def extend(self, arrays: Mapping[str, ak.Array]) -> None:
        """Append entries: one array per field."""
        data = {name: _as(arrays[name], kind) for name, kind in self.layout.flat.items()}
        for counter, group in self.layout.jagged.items():
            data[counter] = ak.values_astype(ak.num(arrays[next(iter(group))], axis=1), np.int32)
            data |= {name: ak.values_astype(arrays[name], kind) for name, kind in group.items()}
        self._ntuple.extend(data)


def _form(kind: Any, title: str | None) -> Any:
    parameters = _described(title)
    if kind == "string":
        letters = ak.forms.NumpyForm("uint8", parameters={"__array__": "char"})
        return ak.forms.ListOffsetForm("i64", letters, parameters={"__array__": "string", **(parameters or {})})
    form = ak.forms.NumpyForm(kind.base.name, parameters=None if kind.shape else parameters)
    for size in reversed(kind.shape):
        form = ak.forms.RegularForm(form, size)
    return form


def _described(title: str | None) -> dict[str, str] | None:
    return {"__doc__": title} if title else None


def _as(column: ak.Array, kind: Any) -> ak.Array:
    if kind == "string":
        return column
    return ak.values_astype(column if column.ndim == 1 else ak.to_regular(column, axis=None), kind.base)

"""The Top Quark Tagging Reference Dataset ("Top Landscape"), as published (a pandas HDF5 table) or in Parquet.

Two million jets: hadronic top against QCD, 14 TeV, Pythia 8 and Delphes' ATLAS card, anti-kT R = 0.8,
550 < pT < 650 GeV, |η| < 2; up to 200 constituents in order of decreasing pT.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import AnyArray
from ...errors import JetError, explain
from .. import parquet
from ..ranges import Paths, checked, expand, read_range
from ..wide import from_wide
from .hdf5 import opened, readable
from .published import Published, zenodo

__all__ = ["PUBLISHED", "num_rows", "read", "read_top_landscape"]

#: Jets read at a time: 65 MB of the published table.
_BLOCK = 20_000
_PARQUET = (".parquet", ".pq")


def read_top_landscape(
    path: Paths, *, entry_start: int | None = None, entry_stop: int | None = None, validate: bool = True
) -> ak.Array:
    """Read jets of the Top Quark Tagging Reference Dataset.

    Parameters
    ----------
    path : str, path, or several
        ``train.h5``, ``val.h5``, ``test.h5`` as published, or Parquet files with the same columns or with ``part_px,
        part_py, part_pz, part_energy, label`` (the conversion for weaver).
    entry_start, entry_stop : int, optional
        Jets to read, counted over all files; negative values count from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).

    Returns
    -------
    ak.Array
        ``[jet]`` with ``constituents`` (px, py, pz, E in GeV, float32; padding dropped) and ``label`` (1 top, 0 QCD);
        from the published columns also ``ttv`` and ``truth_px, truth_py, truth_pz, truth_E`` (GeV).

    Raises
    ------
    JetError
        If a file is missing, has the wrong columns or cannot be read, or h5py (or hdf5plugin) is needed but not
        installed.
    """
    files = expand(path)
    jets = read_range(files, _any_num_rows, _any_read, entry_start, entry_stop)
    return checked(jets, files) if validate else jets


def num_rows(path: Path) -> int:
    """Number of jets in an HDF5 file."""
    with opened(path) as file:
        return int(_table(file, path).shape[0])


def read(path: Path, start: int, stop: int) -> ak.Array:
    """Jets `start` to `stop` of an HDF5 file, read in blocks."""
    with opened(path) as file:
        table = _table(file, path)
        names = _column_names(table, path)
        blocks = range(start, max(stop, start + 1), _BLOCK)
        parts = [_jets(table[first : min(first + _BLOCK, stop)], names, path) for first in blocks]
    return ak.concatenate(parts) if len(parts) > 1 else parts[0]


def _any_num_rows(path: Path) -> int:
    return parquet.num_rows(path) if path.suffix.lower() in _PARQUET else num_rows(path)


def _any_read(path: Path, start: int, stop: int) -> ak.Array:
    return parquet.read_parquet(path, start, stop) if path.suffix.lower() in _PARQUET else read(path, start, stop)


def _table(file: Any, path: Path) -> Any:
    if "table/table" not in file:
        raise JetError(
            explain(
                f"{path} with {', '.join(file) or 'nothing in it'}",
                "the pandas table 'table' (DataFrame.to_hdf(..., key='table', format='table'))",
                "check that this is a file of the Top Quark Tagging Reference Dataset, or write it in the table format",
            )
        )
    return readable(file["table/table"], path)


def _column_names(table: Any, path: Path) -> dict[str, tuple[str, int | None]]:
    """Column -> field of the table and index in it; pandas stores columns of the same type together in one field."""
    columns: dict[str, tuple[str, int | None]] = {}
    for field in table.dtype.names or ():
        shape = table.dtype[field].shape
        if shape:
            names = _names(table.attrs.get(f"{field}_kind"), path)
            if len(names) != shape[0]:
                raise JetError(
                    explain(
                        f"{path} with {shape[0]} columns in '{field}' but names for {len(names)}",
                        "a name for each column",
                        "download the file again",
                    )
                )
            columns |= {name: (field, place) for place, name in enumerate(names)}
        elif field != "index":
            columns[field] = (field, None)
    return columns


class _Names(pickle.Unpickler):
    """Unpickle lists of strings, but nothing that could run code: pandas pickles the names of columns."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is not a string")


def _names(pickled: Any, path: Path) -> list[str]:
    try:
        names = _Names(io.BytesIO(bytes(pickled)), encoding="utf-8").load()
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise pickle.UnpicklingError(f"{type(names).__name__} instead of a list of strings")
    except Exception as error:  # damaged pickles raise almost anything
        raise JetError(
            explain(f"{path}, whose column names cannot be read ({error})", "a pandas table", "download the file again")
        ) from error
    return names


def _jets(rows: AnyArray, names: dict[str, tuple[str, int | None]], path: Path) -> ak.Array:
    def values(wanted: list[str]) -> AnyArray:
        columns = [names[name] for name in wanted]
        return np.stack([rows[f] if place is None else rows[f][:, place] for f, place in columns], axis=1)

    return from_wide(names, values, str(path))


PUBLISHED = Published(
    name="top-landscape",
    title="Top Quark Tagging Reference Dataset",
    doi="10.5281/zenodo.2603256",
    licence="CC-BY-4.0",
    citation=(
        "G. Kasieczka, T. Plehn, J. Thompson, M. Russel, Top Quark Tagging Reference Dataset, Zenodo (2019)",
        "A. Butter et al., The Machine Learning landscape of top taggers, SciPost Phys. 7 (2019) 014",
    ),
    classes=("QCD", "top"),
    splits={
        "train": (zenodo(2603256, "train.h5", "md5:45663819f47c13724f67eb0fd80bfa5c"),),
        "val": (zenodo(2603256, "val.h5", "md5:dca4b7248027618f041f9baa86d360fc"),),
        "test": (zenodo(2603256, "test.h5", "md5:13163479dee30a5fe546e4536cc3d04d"),),
    },
    read=read_top_landscape,
    note=(
        "1.2M, 400k and 400k jets, the publisher's split. MD5 of the Zenodo record, as given in three independent "
        "public download scripts."
    ),
)

"""One call from files to jets."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

import awkward as ak
import vector

from .. import jets as canonical
from ..errors import JetError, explain
from ..jets import coordinates_of
from .parquet import num_rows, read_parquet
from .root import num_entries, read_root

__all__ = ["expand", "read_jets"]

_SUFFIXES = (".parquet", ".pq", ".root")
_UNITS = {"GeV": 1.0, "MeV": 1e-3}

#: Coordinates that are momenta, energies or masses, under all their names.
_DIMENSIONFUL = {"px", "py", "pz", "pt", "mass", "E"}


def read_jets(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    tree: str = "Events",
    jets: str | None = None,
    units: str = "GeV",
    entry_start: int | None = None,
    entry_stop: int | None = None,
    validate: bool = True,
) -> ak.Array:
    """Read jets from Parquet or ROOT files.

    ======================================  =====================================  ================
    file                                    content                                result
    ======================================  =====================================  ================
    ``.parquet``                            ``constituents`` (``ak.to_parquet``)   as it was written
    ``.parquet``, ``.root`` (either kind)   ``part_px, part_py, ...`` and ``label``  ``[jet]``
    ``.root`` with ``jets="FatJet"``        NanoAOD with candidates                ``[event][jet]``
    ======================================  =====================================  ================

    In the flat layout constituents whose four components are all 0 (padding) are dropped, momenta keep the
    file's precision, and columns are named as `readers.flat.from_flat` states. NanoAOD follows the rules of
    `readers.nanoaod`.

    Parameters
    ----------
    path : str, path, or several
        Files, or patterns such as ``"data/*.parquet"``; several are joined in the order given (patterns in
        alphabetical order).
    tree : str
        ROOT: name of the TTree or RNTuple. Where the default is not there, the only tree of the file.
    jets : str, optional
        NanoAOD: name of the jet collection.
    units : {"GeV", "MeV"}
        What the files' momenta, energies and masses are in; the result is in GeV.
    entry_start, entry_stop : int, optional
        Rows (jets, or events in NanoAOD) to read, counted over all files; negative ones from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).

    Raises
    ------
    JetError
        If a file is missing or of an unknown kind, columns are missing or disagree, or the jets are not
        physical.
    """
    if units not in _UNITS:
        raise JetError(explain(f"units={units!r}", f"one of {', '.join(_UNITS)}", "give the units the file is in"))
    files = expand(path)
    sizes = [num_entries(file, tree) if _is_root(file, jets) else num_rows(file) for file in files]
    start, stop, _ = slice(entry_start, entry_stop).indices(sum(sizes))
    parts, begin = [], 0
    for file, size in zip(files, sizes, strict=True):
        first, last = max(start - begin, 0), min(stop - begin, size)
        if first < last or file is files[0]:
            last = max(first, last) if first <= size else first
            parts.append(_read(file, tree, jets, min(first, size), min(last, size)))
        begin += size
    # the first file also tells the fields where the range is empty; otherwise its empty part adds nothing
    parts = [part for part in parts if len(part) > 0] or parts[:1]
    result = parts[0] if len(parts) == 1 else _joined(parts)
    if units != "GeV":
        result = _scaled(result, _UNITS[units])
    return canonical.validate(result) if validate else result


def expand(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Files of a path, a pattern or several of them.

    Raises
    ------
    JetError
        If one of them matches no file.
    """
    several = [path] if isinstance(path, str | os.PathLike) else list(path)
    files: list[Path] = []
    for one in several:
        name = os.path.expanduser(os.fspath(one))
        found = [name] if os.path.isfile(name) else sorted(n for n in glob.glob(name) if os.path.isfile(n))
        if not found:
            raise JetError(
                explain(
                    f"no file {name!r} (working directory {os.getcwd()})",
                    "a path to a file, a pattern that matches some, or a list of them",
                    "check the path",
                )
            )
        files += map(Path, found)
    if not files:
        raise JetError(explain("an empty list of files", "at least one file", "check the list"))
    return files


def _is_root(file: Path, jets: str | None) -> bool:
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        raise JetError(
            explain(
                f"{file}, whose suffix {suffix!r} is not known",
                f"one of {', '.join(_SUFFIXES)}",
                "rename or convert the file; for data in memory use coffea_equitag.make_jets",
            )
        )
    if suffix != ".root" and jets is not None:
        raise JetError(explain(f"jets={jets!r} for {file}", "a NanoAOD ROOT file", "leave jets out for Parquet"))
    return suffix == ".root"


def _read(file: Path, tree: str, jets: str | None, start: int, stop: int) -> ak.Array:
    if _is_root(file, jets):
        return read_root(file, tree, jets, start, stop)
    return read_parquet(file, start, stop)


def _joined(parts: list[ak.Array]) -> ak.Array:
    """Join parts with the same columns."""
    expected = (parts[0].ndim, sorted(parts[0].fields), sorted(parts[0]["constituents"].fields))
    for part in parts[1:]:
        given = (part.ndim, sorted(part.fields), sorted(part["constituents"].fields))
        if given != expected:
            differing = set(expected[1]) ^ set(given[1]) | set(expected[2]) ^ set(given[2])
            raise JetError(
                explain(
                    f"files with different columns: {', '.join(sorted(differing)) or 'nested differently'}",
                    "the same columns in all files",
                    "read the files one by one and keep the columns they share",
                )
            )
    return ak.Array(ak.concatenate(parts), behavior=vector.backends.awkward.behavior)


def _scaled(jets: ak.Array, factor: float) -> ak.Array:
    """Multiply momenta, energies and masses by a factor."""
    constituents = jets["constituents"]
    for name, field in (coordinates_of(constituents.fields) or {}).items():
        if name in _DIMENSIONFUL:
            constituents = ak.with_field(constituents, constituents[field] * factor, field)
    for name, field in (coordinates_of(jets.fields) or {}).items():
        if name in _DIMENSIONFUL:
            jets = ak.with_field(jets, jets[field] * factor, field)
    return ak.with_field(jets, constituents, "constituents")

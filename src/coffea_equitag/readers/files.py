"""`read_jets`: from files of any supported format to jets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import awkward as ak

from ..errors import JetError, explain
from .datasets import layouts
from .parquet import num_rows, read_parquet
from .ranges import checked, expand, read_range
from .root import num_entries, read_root
from .units import check_units, in_gev

__all__ = ["expand", "read_jets", "suffix_of"]

_SUFFIXES = (".parquet", ".pq", ".root", *layouts.SUFFIXES)


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
    """Read jets from Parquet, ROOT, HDF5 or npz files.

    ======================================  =====================================  ================
    file                                    content                                result
    ======================================  =====================================  ================
    ``.parquet``                            ``constituents`` (``ak.to_parquet``)   as written
    ``.parquet``, ``.root``                 ``part_px, part_py, ...``, ``label``   ``[jet]``
    ``.root`` with ``jets="FatJet"``        NanoAOD with candidates                ``[event][jet]``
    ``.root`` with ``jets="Jets"``          PHYSLITE                               ``[event][jet]``
    ``.root`` with ``jets="Jet"``           EDM4HEP (both layouts), Delphes        ``[event][jet]``
    ``.parquet``, ``.h5``                   Top Landscape (``E_0, PX_0, ...``)     ``[jet]``
    ``.npz``                                EnergyFlow (``X``, ``y``)              ``[jet]``
    ``.hdf5``, ``.h5``                      JetNet (``particle_features``, ...)    ``[jet]``
    ======================================  =====================================  ================

    In the flat layout, constituents with all four components 0 (padding) are dropped, momenta keep the file's
    precision, and columns are renamed as described in `readers.flat.from_flat`. NanoAOD follows the rules of
    `readers.nanoaod`, the other event formats those of `readers.physlite`, `readers.edm4hep` and `readers.delphes`; of
    their jets' columns, those that are one number per jet are read. The jets of an event carry its numbers (``run``,
    ``luminosityBlock``, ``event``) and the generator's weight (``genWeight``), as far as the file has them. The
    published layouts are read as by `readers.read_top_landscape`, `readers.read_energyflow` and `readers.read_jetnet`,
    which have further options.

    Parameters
    ----------
    path : str, path, or several
        Files, folders of Parquet files, or patterns such as ``"data/*.parquet"``; several are concatenated in the
        order given (folders and patterns in alphabetical order).
    tree : str
        ROOT: name of the TTree or RNTuple. If there is no tree of the default name, that of the format
        (CollectionTree, events, Delphes), or the only tree of the file.
    jets : str, optional
        Event formats: name of the jet collection.
    units : {"GeV", "MeV"}
        Units of momenta, energies and masses in the files; the result is in GeV. All columns whose names say that they
        are one of these are converted (``truth_px``, ``ptErr``, ``msoftdrop``, ``qOverP``); a `UnitWarning` names those
        whose names say nothing.
    entry_start, entry_stop : int, optional
        Rows (jets, or events in NanoAOD) to read, counted over all files; negative values count from the end.
    validate : bool
        Check the jets (`coffea_equitag.validate`).

    Raises
    ------
    JetError
        If a file is missing or of an unknown kind, columns are missing or inconsistent, or the jets are unphysical.
    """
    check_units(units)
    files = expand(path)
    result = read_range(
        files,
        lambda file: _num_rows(file, tree, jets),
        lambda file, start, stop: _read(file, tree, jets, start, stop, units),
        entry_start,
        entry_stop,
    )
    result = in_gev(result, units)
    return checked(result, files) if validate else result


def suffix_of(file: Path, jets: str | None) -> str:
    """Suffix of a file, after checking it."""
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        raise JetError(
            explain(
                f"{file}, whose suffix {suffix!r} is unknown",
                f"one of {', '.join(_SUFFIXES)}",
                "rename or convert the file; for data in memory use coffea_equitag.make_jets",
            )
        )
    if suffix != ".root" and jets is not None:
        raise JetError(explain(f"jets={jets!r} for {file}", "a ROOT file of events", "leave jets out for other files"))
    return suffix


def _num_rows(file: Path, tree: str, jets: str | None) -> int:
    kind = suffix_of(file, jets)
    if kind == ".root":
        return num_entries(file, tree)
    return layouts.num_rows(file) if kind in layouts.SUFFIXES else num_rows(file)


def _read(file: Path, tree: str, jets: str | None, start: int, stop: int, units: str) -> ak.Array:
    kind = suffix_of(file, jets)
    if kind == ".root":
        return read_root(file, tree, jets, start, stop, units)
    return (layouts.read if kind in layouts.SUFFIXES else read_parquet)(file, start, stop)

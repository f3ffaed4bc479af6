"""Ranges of rows counted over several files: which files to read, and how to join the parts."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import awkward as ak
import vector

from ..errors import JetError, explain
from ..jets import collection as canonical
from ..reading import reading
from .simulated_folder import check_whole, warn_of_part

__all__ = ["Paths", "checked", "expand", "kind_of", "read_range"]

#: A path, a folder of Parquet files, a pattern such as "data/*.root", or several of them.
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

#: Suffix -> what such a file is; others are Parquet.
_FORMATS = {".root": "a ROOT file", ".npz": "an npz file", ".h5": "an HDF5 file", ".hdf5": "an HDF5 file"}


def expand(path: Paths) -> list[Path]:
    """Files of a path, a folder (its Parquet files), a pattern, or several of these.

    Raises
    ------
    JetError
        If one of these matches no file, or a folder holds a simulation that was interrupted.

    Warns
    -----
    SampleWarning
        If the files that a pattern matches are a part of such a simulation.
    """
    several = [path] if isinstance(path, str | os.PathLike) else list(path)
    files: list[Path] = []
    for one in several:
        name = os.path.expanduser(os.fspath(one))
        if os.path.isdir(name):
            check_whole(Path(name))
            name = os.path.join(glob.escape(name), "*.parquet")
        found = [name] if os.path.isfile(name) else sorted(n for n in glob.glob(name) if os.path.isfile(n))
        if name not in found:
            for folder in dict.fromkeys(Path(one).parent for one in found):
                warn_of_part(folder)
        if not found:
            remote = (
                "copy it to a local disk, or open it with coffea's NanoEventsFactory and use "
                "coffea_equitag.readers.nanoaod"
            )
            raise JetError(
                explain(
                    f"no file {name!r} (working directory {os.getcwd()})",
                    "a path to a file, a folder of Parquet files, a pattern that matches files, or a list of these",
                    remote if "://" in name else "check the path",
                )
            )
        files += map(Path, found)
    if not files:
        raise JetError(explain("an empty list of files", "at least one file", "check the list"))
    return files


def read_range(
    files: list[Path],
    size_of: Callable[[Path], int],
    read: Callable[[Path, int, int], ak.Array],
    start: int | None,
    stop: int | None,
) -> ak.Array:
    """Read rows `start` to `stop`, counted over all files; only the files that contain them are read.

    Parameters
    ----------
    files : list of Path
        The files, in order.
    size_of : callable
        Number of rows in a file, without reading them.
    read : callable
        ``read(file, start, stop)``: the jets of these rows of a file.
    start, stop : int, optional
        As in a slice; negative values count from the end.

    Raises
    ------
    JetError
        If a file is damaged or of another format, or the files have different columns.
    """
    sizes = []
    for file in files:
        with _reading(file):
            sizes.append(size_of(file))
    start, stop, _ = slice(start, stop).indices(sum(sizes))
    parts, begin = [], 0
    for file, size in zip(files, sizes, strict=True):
        first, last = max(start - begin, 0), min(stop - begin, size)
        if first < last or file is files[0]:
            last = max(first, last) if first <= size else first
            with _reading(file):
                parts.append(read(file, min(first, size), min(last, size)))
        begin += size
    # an empty range still needs the fields of the first file; otherwise empty parts are dropped
    parts = [part for part in parts if len(part) > 0] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    with reading(_together(files), "files of jets"):
        return _joined(parts)


def checked(jets: ak.Array, files: list[Path]) -> ak.Array:
    """`coffea_equitag.validate`, whose errors name the files that the jets were read from."""
    with reading(_together(files), "files of jets"):
        return canonical.validate(jets)


def kind_of(file: Path) -> str:
    """What a file is by its suffix, for messages: "a ROOT file"."""
    return _FORMATS.get(file.suffix.lower(), "a Parquet file")


def _reading(file: Path) -> AbstractContextManager[None]:
    return reading(file, kind_of(file))


def _together(files: list[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1]} ({len(files)} files)"


def _joined(parts: list[ak.Array]) -> ak.Array:
    """Join parts with the same columns."""
    expected = (parts[0].ndim, sorted(parts[0].fields), sorted(parts[0]["constituents"].fields))
    for part in parts[1:]:
        given = (part.ndim, sorted(part.fields), sorted(part["constituents"].fields))
        if given != expected:
            differing = set(expected[1]) ^ set(given[1]) | set(expected[2]) ^ set(given[2])
            raise JetError(
                explain(
                    f"files with different columns: {', '.join(sorted(differing)) or 'different nesting'}",
                    "the same columns in all files",
                    "read the files one by one and keep the columns they share",
                )
            )
    return ak.Array(ak.concatenate(parts), behavior=vector.backends.awkward.behavior)

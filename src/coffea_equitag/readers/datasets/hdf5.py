"""Open HDF5 files with h5py, an optional dependency, and hdf5plugin's compression filters where a file needs them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import JetError, explain

__all__ = ["opened", "readable"]

#: HDF5's built-in filters, which need no plugin.
_BUILT_IN = range(1, 7)

_INSTALL = "pip install 'coffea-equitag[datasets]'"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file for reading.

    Raises
    ------
    JetError
        If h5py is not installed.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise JetError(explain(f"{path}, but h5py is not installed", "h5py to read HDF5 files", _INSTALL)) from error
    with h5py.File(path, "r") as file:
        yield file


def readable(dataset: Any, path: Path) -> Any:
    """Return an HDF5 dataset after making sure that its compression filters are available.

    Raises
    ------
    JetError
        If a filter (PyTables writes Blosc) needs hdf5plugin, which is not installed.
    """
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(i) for i in range(settings.get_nfilters())]
    foreign = [name.decode(errors="replace") or str(code) for code, _, _, name in filters if code not in _BUILT_IN]
    if foreign:
        try:
            importlib.import_module("hdf5plugin")
        except ImportError as error:
            raise JetError(
                explain(f"{path}, compressed by {', '.join(foreign)}", "the package hdf5plugin to read it", _INSTALL)
            ) from error
    return dataset

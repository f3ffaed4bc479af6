"""Recognizes the published layout of an HDF5 or npz file."""

from __future__ import annotations

from pathlib import Path

import awkward as ak

from . import energyflow, jetnet, top_landscape
from .hdf5 import opened

__all__ = ["SUFFIXES", "num_rows", "read"]

#: Suffixes of the files recognized here.
SUFFIXES = (".h5", ".hdf5", ".npz")


def num_rows(path: Path) -> int:
    """Number of jets in a file."""
    if path.suffix.lower() == ".npz":
        return energyflow.num_rows(path)
    return jetnet.num_rows(path) if _is_jetnet(path) else top_landscape.num_rows(path)


def read(path: Path, start: int, stop: int) -> ak.Array:
    """Jets `start` to `stop` of a file."""
    if path.suffix.lower() == ".npz":
        return energyflow.read(path, start, stop)
    return jetnet.read(path, start, stop) if _is_jetnet(path) else top_landscape.read(path, start, stop)


def _is_jetnet(path: Path) -> bool:
    with opened(path) as file:
        return jetnet.is_jetnet(file)

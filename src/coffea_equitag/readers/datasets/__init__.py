"""Published jet datasets, one per module: file layout, download address and citation."""

from __future__ import annotations

from .energyflow import read_energyflow
from .jetclass import read_jetclass
from .jetnet import read_jetnet
from .published import Published, RemoteFile
from .registry import PUBLISHED, dataset, dataset_files
from .top_landscape import read_top_landscape

__all__ = [
    "PUBLISHED",
    "Published",
    "RemoteFile",
    "dataset",
    "dataset_files",
    "read_energyflow",
    "read_jetclass",
    "read_jetnet",
    "read_top_landscape",
]

"""Readers from files and event records to canonical jets, one format per module."""

from __future__ import annotations

from .clustering import cluster
from .datasets import (
    PUBLISHED,
    dataset,
    dataset_files,
    read_energyflow,
    read_jetclass,
    read_jetnet,
    read_top_landscape,
)
from .delphes import delphes
from .edm4hep import edm4hep
from .files import read_jets
from .formats import auto, recognise
from .mapped import mapped
from .mapping import JetMapping
from .nanoevents import nanoaod
from .particles import particles
from .physlite import physlite
from .scouting import scouting
from .stream import JetStream, stream

__all__ = [
    "PUBLISHED",
    "JetMapping",
    "JetStream",
    "auto",
    "cluster",
    "dataset",
    "dataset_files",
    "delphes",
    "edm4hep",
    "mapped",
    "nanoaod",
    "particles",
    "physlite",
    "read_energyflow",
    "read_jetclass",
    "read_jetnet",
    "read_jets",
    "read_top_landscape",
    "recognise",
    "scouting",
    "stream",
]

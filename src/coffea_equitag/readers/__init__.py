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
from .files import read_jets
from .mapped import mapped
from .mapping import JetMapping
from .nanoevents import nanoaod
from .particles import particles
from .scouting import scouting

__all__ = [
    "PUBLISHED",
    "JetMapping",
    "cluster",
    "dataset",
    "dataset_files",
    "mapped",
    "nanoaod",
    "particles",
    "read_energyflow",
    "read_jetclass",
    "read_jetnet",
    "read_jets",
    "read_top_landscape",
    "scouting",
]

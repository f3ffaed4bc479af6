"""Files and event records → canonical jets, one format a file."""

from __future__ import annotations

from .clustering import cluster
from .files import read_jets
from .nanoevents import nanoaod

__all__ = ["cluster", "nanoaod", "read_jets"]

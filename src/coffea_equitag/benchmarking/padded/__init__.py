"""Padded plain-torch implementations of the same networks, for comparison: one model per module.

Each takes a network with its weights, prepares a batch once, and returns a function without arguments that computes the
logits. They are written like the official codes, except that masks exclude padding from every sum.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...jet_model import JetModel
from ...jets.ragged import RaggedJets

__all__ = ["edge_list", "has_edge_list", "has_padded", "padded"]

#: Kind -> module of this package.
_MODULES = {
    "lgatr_slim": "lgatr_slim",
    "lgn": "lgn",
    "lloca_transformer": "lloca_transformer",
    "lorentznet": "lorentznet",
    "particle_transformer": "particle_transformer",
    "particlenet": "particlenet",
    "pelican": "pelican",
    "pfn": "pfn",
    "tensor_pfn": "tensor_pfn",
    "vector_pfn": "tensor_pfn",
}


def has_padded(kind: str) -> bool:
    """Whether there is a padded form of this kind of network."""
    return kind in _MODULES


def has_edge_list(kind: str) -> bool:
    """Whether there is a form over a list of edges."""
    return kind == "lorentznet"


def padded(model: JetModel, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """The network on jets padded to `width` constituents."""
    form: Callable[[], Tensor] = _module(model.kind).padded(model, jets, width)
    return form


def edge_list(model: JetModel, jets: RaggedJets) -> Callable[[], Tensor]:
    """The network on a list of edges, with the inputs of each edge concatenated."""
    form: Callable[[], Tensor] = _module(model.kind).edge_list(model, jets)
    return form


def _module(kind: str) -> Any:
    return importlib.import_module(f".{_MODULES[kind]}", __name__)

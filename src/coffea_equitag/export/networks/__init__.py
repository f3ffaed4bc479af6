"""The networks on padded jets: their layers, with every sum over constituents written for a graph of fixed form."""

from __future__ import annotations

import importlib
from typing import Any

from torch import Tensor

from ...jet_model import JetModel
from ..padded_jets import PaddedJets

__all__ = ["blocking_reason", "least_width", "outputs"]

#: Kind -> module of this package, and its function.
_FORMS = {
    "lgatr_slim": ("lgatr_slim", "outputs"),
    "lgn": ("lgn", "outputs"),
    "lloca_transformer": ("lloca_transformer", "outputs"),
    "lorentznet": ("lorentznet", "outputs"),
    "lorentznet_base": ("lorentznet", "outputs_base"),
    "particle_transformer": ("particle_transformer", "outputs"),
    "particlenet": ("particlenet", "outputs"),
    "pelican": ("pelican", "outputs"),
    "pfn": ("pfn", "outputs"),
    "tensor_pfn": ("tensor_pfn", "outputs"),
    "vector_pfn": ("tensor_pfn", "outputs"),
}


def outputs(model: JetModel, jets: PaddedJets) -> Tensor:
    """What ``model.logits`` gives for these jets: one row each."""
    module, function = _FORMS[model.kind]
    if model.max_constituents is not None:
        jets = jets.hardest(model.max_constituents)
    found: Tensor = getattr(importlib.import_module(f".{module}", __name__), function)(model, jets)
    return found


def least_width(model: JetModel) -> int:
    """Places that jets need at least: as many as neighbours or friends are looked for."""
    friends = max(model.options["friends"]) if model.options.get("nodewise") else 1
    return max(friends, *getattr(model, "neighbours", (1,)))


def blocking_reason(model: JetModel) -> str | None:
    """Why there is no such form of a network, and what can be done; None if there is one."""
    options: dict[str, Any] = model.options
    if model.kind not in _FORMS:
        return "networks of other packages have no padded form"
    if options.get("interleaved"):
        return "its readout mixes up the numbers of neighbouring constituents, which depends on the order of the jet"
    return None

"""A tagger's graph by torch.export, for any number of jets and constituents."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ExportError, explain
from ..tagger import Tagger
from .four_momenta import Coordinates
from .graph import CMSGraph, Graph, PaddedGraph, RaggedGraph
from .interface import Form, inputs_of

__all__ = ["graph_of", "program"]

#: torch's settings of what it takes to be known of the lengths of inputs.
_CONFIG: Any = importlib.import_module("torch.fx.experimental._config")

_GRAPHS: dict[Form, type[Graph]] = {"ragged": RaggedGraph, "padded": PaddedGraph, "cms": CMSGraph}


def graph_of(tagger: Tagger, form: Form, coordinates: Coordinates, own_momenta: bool, precision: torch.dtype) -> Graph:
    """The graph as a module, with a copy of the network on the CPU."""
    copied = Tagger(copy.deepcopy(tagger.model).cpu().to(precision), tagger.card)
    return _GRAPHS[form](copied, coordinates, own_momenta).eval().requires_grad_(False)


def program(graph: Graph, tagger: Tagger, form: Form, inputs: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """The graph, traced with some inputs, of which only the dimensions that have a fixed length stay fixed.

    Raises
    ------
    ExportError
        If torch cannot trace the network.
    """
    shapes = [_dynamic(port.shape) for port in inputs_of(tagger, form, graph.coordinates, graph.own_momenta)]
    named = 1 if form == "padded" else 2
    dynamic = (*shapes[:named], *([tuple(shapes[named:])] if shapes[named:] else []))
    with torch.no_grad():
        graph(*inputs)  # fills the caches of tables with real tensors
        try:
            # else the graph would not take 0 or 1 jets
            with _CONFIG.patch(backed_size_oblivious=True):
                return torch.export.export(graph, tuple(inputs), dynamic_shapes=dynamic, strict=False)
        except Exception as error:  # torch's are of many types
            raise ExportError(
                explain(
                    f"{tagger.name}, which torch {torch.__version__} cannot trace: {error}",
                    "a network whose operations torch.export knows",
                    "report it with the card of the tagger; score with the package itself meanwhile",
                )
            ) from error


def _dynamic(shape: tuple[int | str, ...]) -> dict[int, Any]:
    return {axis: torch.export.Dim.DYNAMIC for axis, length in enumerate(shape) if isinstance(length, str)}

"""L-GATr-slim's evaluation on the CPU, the whole network in one call.

Every sum runs over a jet's own nodes, or the channels of one of them, in a fixed order, so that features are the same
to the last bit whatever jets stand beside it and however many threads there are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4
from ....compiled import over_jets
from ....jet_model import JetModel
from .forward import forward
from .weights import SlimWeights, weights_of

__all__ = ["logits", "run_blocks"]

#: What a node costs, in the pairs that threads are given.
_PAIRS = 2000


def logits(model: JetModel, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Features after the last block of a float32 `LGATrSlim`.

    Parameters
    ----------
    model : LGATrSlim
        The network.
    vectors_N4 : Tensor of float32, shape (N, 4)
        Vectors of the nodes.
    scalars : Tensor of float32, shape (N, F)
        Their scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.

    Returns
    -------
    (Tensor, Tensor)
        Vectors (N, 4, V), or (N, 4, 0) in a classifier, and scalars (N, S).
    """
    none = np.empty((0, 0, 0), np.float32)
    return run_blocks(weights_of(model), vectors_N4, scalars, offsets, (none, none))


def run_blocks(
    weights: SlimWeights, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor, states: tuple[F4, F4]
) -> tuple[Tensor, Tensor]:
    """The same, with weights packed, storing what each block begins with where there is room for it (see `forward`)."""
    v, s = (np.ascontiguousarray(values.detach().numpy(), np.float32) for values in (vectors_N4, scalars))
    bounds, (nodes, width) = np.ascontiguousarray(offsets.numpy()), (len(v), weights.sizes.vectors)
    out_v = np.empty((4 * nodes, width if weights.sizes.keeps_vectors else 0), np.float32)
    out_s = np.empty((nodes, weights.sizes.scalars), np.float32)

    def run(first: int, last: int) -> None:
        forward(weights, v, s, bounds, states, out_v, out_s, first, last)

    over_jets(run, bounds * _PAIRS, torch.get_num_threads())
    return torch.from_numpy(out_v).view(nodes, 4, out_v.shape[1]), torch.from_numpy(out_s)

"""L-GATr-slim's evaluation on the CPU, the whole network in one call.

Every sum runs over a jet's own nodes, or the channels of one of them, in a fixed order, so that features are the same
to the last bit whatever jets stand beside it and however many threads there are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....compiled import over_jets
from ....jet_model import JetModel
from .forward import forward
from .weights import weights_of

__all__ = ["logits"]

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
    v, s = (np.ascontiguousarray(values.detach().numpy(), np.float32) for values in (vectors_N4, scalars))
    bounds, weights = np.ascontiguousarray(offsets.numpy()), weights_of(model)
    sizes, nodes = weights.sizes, len(v)
    out_v = np.empty((4 * nodes, sizes.vectors * sizes.keeps_vectors), np.float32)
    out_s = np.empty((nodes, sizes.scalars), np.float32)

    def run(first: int, last: int) -> None:
        forward(weights, v, s, bounds, out_v, out_s, first, last)

    over_jets(run, bounds * _PAIRS, torch.get_num_threads())
    return torch.from_numpy(out_v).view(nodes, 4, -1) if out_v.size else vectors_N4.new_empty(
        nodes, 4, out_v.shape[1]
    ), torch.from_numpy(out_s)

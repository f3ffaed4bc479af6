"""LGN's evaluation, fused: each jet passes through all levels, its bells in chunks of pairs, its nodes in registers.

In float64 except for the bells, as the layers. Every sum runs over a jet's own nodes in a fixed order, so that a jet's
logits are the same to the last bit in any batch and with any number of threads. Features lie as
[channel][component of 20][Re, Im][node], nodes padded to whole blocks of registers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....array_types import F8
from ....compiled import over_jets
from ....jet_model import JetModel
from .forward import forward
from .jets import make_jets
from .readout import classify
from .stored import Stored
from .weights import LGNWeights, weights_of
from .workspace import make_workspace

__all__ = ["logits"]


def logits(
    model: JetModel,
    p4_N4: Tensor,
    scalars: Tensor,
    offsets: Tensor,
    products_Q: Tensor,
    scale2: float | None = None,
) -> Tensor:
    """Logits of a float32 `LGN` of classes; arguments as in the tower's ``support``.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights = weights_of(model)
    jets = make_jets(p4_N4, _input_layer(weights, scalars), offsets, products_Q, scale2, weights.vectors)
    sums = np.empty((len(jets.offsets) - 1, weights.head.shape[1]))
    logits = np.empty((len(sums), model.n_classes), np.float32)
    nothing = np.zeros_like(jets.offsets), np.zeros(len(weights.levels) + 1, np.int64)
    stored = Stored(np.empty(0, np.float32), *nothing)

    def run(first: int, last: int) -> None:
        largest = int(np.diff(jets.offsets[first : last + 1]).max(initial=1))
        work = make_workspace(max(largest, 1), weights.levels)
        forward(weights.levels[0], weights.table, jets, stored, work, sums, first, last)

    over_jets(run, jets.pair_offsets, torch.get_num_threads())
    classify(weights.head, weights.head_bias, sums, logits)
    return torch.from_numpy(logits)


def _input_layer(weights: LGNWeights, scalars: Tensor) -> F8:
    """The first linear layer, its terms added in one order."""
    # the layers mix momenta and scalars in float64
    kind = torch.float64 if len(weights.vectors) else torch.float32
    inputs = np.ascontiguousarray(scalars.detach().to(kind).numpy())
    found: F8 = np.repeat(weights.input[None, :, -1], len(inputs), axis=0)
    for column in range(inputs.shape[1]):
        found += inputs[:, column, None] * weights.input[:, column]
    return found

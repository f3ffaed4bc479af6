"""PFN's evaluation on the CPU.

A jet's sum runs over its constituents in their order, so its logits are the same to the last bit whatever jets stand
beside it and however many threads there are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....compiled import over_jets
from ....jet_model import JetModel
from .forward import apply_f, sum_phi
from .weights import weights_of

__all__ = ["logits"]

#: What a constituent costs, in the pairs that threads are given.
_PAIRS = 32


def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, groups_NG: Tensor | None) -> Tensor:
    """Logits of a float32 `PFN` in evaluation mode.

    Parameters
    ----------
    model : PFN
        Of Linear, BatchNorm and ReLU.
    features_NF : Tensor of float32, shape (N, F)
        What Φ sees of each constituent, before its input normalisation.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    groups_NG : Tensor of float64, shape (N, G), or None
        The friend groups' m² or energies: what the patch sees, whose features enter every layer of Φ.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    features = np.ascontiguousarray(features_NF.detach().numpy(), np.float32)
    scalars = np.empty((len(features), 0)) if groups_NG is None else groups_NG.detach().double().contiguous().numpy()
    bounds = np.ascontiguousarray(offsets.numpy())
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)
    weights = weights_of(model)

    def run(first: int, last: int) -> None:
        totals = np.zeros((last - first, len(weights.phi.bias[-1])), np.float32)
        sum_phi(weights.phi, weights.patch, features, scalars, bounds, totals, first, last)
        apply_f(weights.f, totals, logits, first, last)

    over_jets(run, bounds * _PAIRS, torch.get_num_threads())
    return torch.from_numpy(logits)

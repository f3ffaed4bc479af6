"""One number for each edge, which the pairwise patch sees: as `invariants.pair_scalars`, for the senders at hand."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....array_types import F8, I8
from ....compiled import njit, over_jets
from ....invariants.minkowski import pair_offsets
from ....invariants.pair_scalars import PAIRWISE
from ....jet_model import JetModel

__all__ = ["EdgeScalars"]

_MASS, _DELTA_R, _DELTA_R_PT, _ENERGY = range(len(PAIRWISE))
_TURN = 2 * np.pi


class EdgeScalars(NamedTuple):
    """What the numbers of a batch's edges are made of."""

    kind: int  # place in `PAIRWISE`
    nodes: F8  # (1, N): m², or E; or (3, N): η, φ, pT
    gram: F8  # (Q,): p_i·p_j in the square layout, for the mass
    squares: I8  # (J + 1,)

    @classmethod
    def of(cls, model: JetModel, p4_N4: Tensor | None, gram_Q: Tensor | None, bounds: I8) -> EdgeScalars:
        """From momenta and their products, with jet boundaries (J + 1,), as the network's option wants them."""
        assert p4_N4 is not None
        assert gram_Q is not None
        squares, place = pair_offsets(bounds), PAIRWISE.index(model.options["pairwise"])
        energy = p4_N4.detach()[:, 0]
        gram = np.empty(0)
        if place == _MASS:
            counts = np.diff(bounds)
            local = np.arange(len(energy)) - np.repeat(bounds[:-1], counts)
            gram = np.ascontiguousarray(gram_Q.detach().double().numpy())
            nodes = gram[np.repeat(squares[:-1], counts) + local * (np.repeat(counts, counts) + 1)][None]
        elif place == _ENERGY:
            nodes = energy.double().numpy()[None]
        else:
            momenta = p4_N4.detach().double()
            pt = torch.hypot(momenta[:, 1], momenta[:, 2]).clamp(min=1e-30)
            eta, phi = torch.asinh(momenta[:, 3] / pt), torch.atan2(momenta[:, 2], momenta[:, 1])
            nodes = torch.stack([eta, phi, pt]).numpy()
        return cls(place, np.ascontiguousarray(nodes), gram, squares)

    def on(self, bounds: I8, edges: I8, sender: I8) -> F8:
        """The numbers (P, 1) of edges with these senders; receiver i's are ``edges[i]:edges[i + 1]``."""
        found = np.empty((len(sender), 1))
        over_jets(partial(_fill, self, bounds, edges, sender, found), self.squares, torch.get_num_threads())
        return found


@njit
def _fill(inputs: EdgeScalars, offsets: I8, edges: I8, sender: I8, out: F8, first: int, last: int) -> None:
    kind, nodes = inputs.kind, inputs.nodes
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        for i in range(start, start + n):
            row = inputs.squares[jet] + (i - start) * n - start
            for p in range(edges[i], edges[i + 1]):
                j = sender[p]
                if kind == _MASS:
                    out[p, 0] = nodes[0, i] + nodes[0, j] + 2 * inputs.gram[row + j]
                elif kind == _ENERGY:
                    out[p, 0] = nodes[0, i] + nodes[0, j]
                else:
                    eta, phi = nodes[0, i] - nodes[0, j], nodes[1, i] - nodes[1, j]
                    phi -= _TURN * np.floor(phi / _TURN + 0.5)
                    # no smaller than the layers let it be
                    delta_r = np.sqrt(max(eta * eta + phi * phi, 1e-24))
                    out[p, 0] = delta_r if kind == _DELTA_R else delta_r * (nodes[2, i] + nodes[2, j])

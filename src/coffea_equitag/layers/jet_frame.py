"""Energies and angles in the rest frame of the jet, from products p_i·p_j alone."""

from __future__ import annotations

import torch
from torch import Tensor

from .saturation import saturated
from .squares import Squares

__all__ = ["jet_frame"]

#: GeV²; turns 0/0 for constituents without momentum into 0.
_FLOOR = 1e-12
#: Of |E_i/M|, which spacelike spurions let diverge where M² goes through 0: far from any physical jet.
_LARGEST_FRACTION = 256.0


def jet_frame(products_Q1: Tensor, squares: Squares) -> tuple[Tensor, Tensor]:
    """Angles 2 p_i·p_j / (E_i E_j), which are 2 (1 − cos θ_ij) for massless constituents, and energy fractions E_i/M.

    E_i = p_i·P/M is the energy in the rest frame of the jet, P = Σ p_i, M² = P². These are the inputs that an infrared-
    and collinear-safe network may use (PELICAN, arXiv:2211.00454).

    Parameters
    ----------
    products_Q1 : Tensor of float64, shape (Q, 1)
        p_i·p_j.
    squares : Squares
        Their layout.

    Returns
    -------
    angles : Tensor, shape (Q, 1)
    fractions : Tensor, shape (N,)
        They add up to 1 in each jet; 0 if M = 0, as in a jet with a single massless constituent.
    """
    with_jet_N1, _, _ = squares.sums(products_Q1)
    square_J1 = squares.over_jets(with_jet_N1)
    defined = torch.where(square_J1 == 0, 1.0, square_J1)[squares.jet]
    fraction_N1 = saturated(torch.where(square_J1[squares.jet] == 0, 0.0, with_jet_N1 / defined), _LARGEST_FRACTION)
    angles = torch.empty_like(products_Q1)
    for x, d, e, f in zip(
        squares.blocks(angles),
        squares.blocks(products_Q1),
        squares.rows(with_jet_N1),
        squares.rows(fraction_N1),
        strict=True,
    ):
        x.copy_(2 * d / (_FLOOR + e[:, :, None] * f[:, None]))
    return saturated(angles), fraction_N1[:, 0]

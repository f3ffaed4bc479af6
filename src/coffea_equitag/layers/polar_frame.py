"""Local frames from vectors: a boost into the rest frame of one, then a rotation by two others."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["boost_to_rest", "polar_frames", "products"]

#: 1/γ of the fastest frame.
_SLOWEST = 1e-4
#: Sine of the angle, or share of the energy, below which a direction is rounding.
_ROUNDING = 1e-7
_TINY = 1e-30


def boost_to_rest(vector_N4: Tensor, mass_N: Tensor) -> Tensor:
    """Boosts (N, 4, 4) into the rest frames of timelike vectors of given masses; the identity for a vector 0.

    With b = p/m and γ = √(1 + b²) the space part is 1 + b bᵀ/(γ + 1): nothing cancels, however large γ. It is bounded
    by 10⁴.
    """
    least = _SLOWEST * vector_N4[:, 0].detach().abs() + _TINY
    b = vector_N4[:, 1:] / torch.maximum(mass_N, least)[:, None]
    gamma = (1 + b.square().sum(1, keepdim=True)).sqrt()
    space = torch.eye(3).to(b) + b[:, :, None] * b[:, None] / (gamma + 1)[:, :, None]
    return torch.cat([torch.cat([gamma, -b], 1)[:, None], torch.cat([-b[:, :, None], space], 2)], dim=1)


def polar_frames(vectors_3N4: Tensor, mass_N: Tensor, own_N4: Tensor) -> Tensor:
    """Proper Lorentz transformations R·B that carry each vector into its local frame.

    B boosts into the rest frame of the first vector, R turns the second onto the x axis and the third into the xy
    plane (Gram-Schmidt). Where vectors do not define an axis (fewer than three constituents), the constituent's own
    momentum does, then a coordinate axis: all constituents of the jet choose the same, on which no invariant depends.

    Parameters
    ----------
    vectors_3N4 : Tensor of float64, shape (3, N, 4)
        Timelike (E, px, py, pz).
    mass_N : Tensor of float64, shape (N,)
        Mass of the first, which its components give badly where γ is large.
    own_N4 : Tensor of float64, shape (N, 4)
        Momenta of the constituents, in the same frame as the vectors.

    Returns
    -------
    Tensor of float64, shape (N, 4, 4)
    """
    boost = boost_to_rest(vectors_3N4[0], mass_N)
    second, third, own = (_direction(_apply(boost, vector)) for vector in (*vectors_3N4[1:], own_N4))
    x = _first_of(second, own)
    x = torch.where(_missing(x), torch.eye(3).to(x)[0], x)
    y = _first_of(_across(third, x), _across(own, x))
    y = torch.where(_missing(y), _across(_least_aligned(x), x), y)
    rotation = torch.stack([x, y, torch.linalg.cross(x, y, dim=1)], dim=1)
    return torch.cat([boost[:, :1], products(rotation, boost[:, 1:])], dim=1)


def products(left_NAB: Tensor, right_NBC: Tensor) -> Tensor:
    """Matrix products (N, A, C), term by term: the same bits for any N, which BLAS does not promise."""
    terms = [left_NAB[:, :, k, None] * right_NBC[:, None, k] for k in range(left_NAB.shape[2])]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _apply(matrices: Tensor, vectors_N4: Tensor) -> Tensor:
    return products(matrices, vectors_N4[:, :, None])[:, :, 0]


def _direction(vectors_N4: Tensor) -> Tensor:
    """Unit three-vectors; 0 for a vector at rest."""
    return _unit(vectors_N4[:, 1:], _ROUNDING * vectors_N4[:, :1].detach().abs() + _TINY)


def _unit(vectors_N3: Tensor, least: Tensor | float) -> Tensor:
    square = vectors_N3.square().sum(1, keepdim=True)
    real = square > torch.as_tensor(least).to(square).square()
    return torch.where(real, vectors_N3 * torch.where(real, square, 1.0).rsqrt(), 0.0)


def _across(vectors_N3: Tensor, axis_N3: Tensor) -> Tensor:
    """Directions perpendicular to an axis; 0 for what is parallel to it."""
    return _unit(vectors_N3 - (vectors_N3 * axis_N3).sum(1, keepdim=True) * axis_N3, _ROUNDING)


def _missing(vectors_N3: Tensor) -> Tensor:
    return (vectors_N3 == 0).all(1, keepdim=True)


def _first_of(vectors_N3: Tensor, others_N3: Tensor) -> Tensor:
    return torch.where(_missing(vectors_N3), others_N3, vectors_N3)


def _least_aligned(axis_N3: Tensor) -> Tensor:
    """The coordinate axis with the smallest component of a direction."""
    return torch.eye(3).to(axis_N3)[axis_N3.detach().abs().argmin(1)]

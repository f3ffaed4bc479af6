"""Subgroups to which PELICAN's Lorentz symmetry can be reduced, by spurions or by inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .squares import Squares

__all__ = ["SYMMETRIES", "Symmetry", "SymmetryName", "along", "with_spurions"]

_Vector = tuple[float, float, float, float]
_Matrix = tuple[_Vector, _Vector, _Vector, _Vector]

_ENERGY: _Vector = (1.0, 0.0, 0.0, 0.0)
_X: _Vector = (0.0, 1.0, 0.0, 0.0)
_Y: _Vector = (0.0, 0.0, 1.0, 0.0)
_Z: _Vector = (0.0, 0.0, 0.0, 1.0)
_FORWARD: _Vector = (1.0, 0.0, 0.0, 1.0)
_BACKWARD: _Vector = (1.0, 0.0, 0.0, -1.0)
_ALONG_X: _Vector = (1.0, 1.0, 0.0, 0.0)
_ALONG_Y: _Vector = (1.0, 0.0, 1.0, 0.0)
_ALL = (1.0, 1.0, 1.0, 1.0)


def _minus(axis: _Vector) -> _Vector:
    """−q, whose product with p is the component of p along the axis q."""
    energy, x, y, z = axis
    return energy, -x, -y, -z


def _keep(*components: float) -> _Matrix:
    a, b, c, d = components
    return (a, 0.0, 0.0, 0.0), (0.0, b, 0.0, 0.0), (0.0, 0.0, c, 0.0), (0.0, 0.0, 0.0, d)


@dataclass(frozen=True)
class Symmetry:
    """A subgroup, and the two ways to implement it.

    Attributes
    ----------
    description : str
        The remaining symmetry.
    spurions : tuple of vectors (E, px, py, pz)
        Fixed vectors added to the constituents; the remaining symmetry is the subgroup that leaves them invariant.
    inputs : tuple of vectors
        Vectors q whose products r = q·p with the constituents enter as pairs r_i r_j.
    blocks : tuple of matrices (4, 4)
        Matrices that a covariant output may apply to p with ``inputs``, one weight each.
    start : tuple of float
        Weights of the pair channels r_i r_j, and of p_i·p_j after them, in an untrained network with ``inputs``; empty
        for 1 on p_i·p_j alone. As many as ``inputs`` if p_i·p_j is not among the channels.
    """

    description: str
    spurions: tuple[_Vector, ...]
    inputs: tuple[_Vector, ...]
    blocks: tuple[_Matrix, ...] = (_keep(*_ALL),)
    start: tuple[float, ...] = ()

    @property
    def first_weights(self) -> tuple[float, ...]:
        """`start`, written out."""
        return self.start or (0.0,) * len(self.inputs) + (1.0,)


_TIME_SPACE = (_keep(1, 0, 0, 0), _keep(0, 1, 1, 1))
_TIME_ACROSS_ALONG = (_keep(1, 0, 0, 0), _keep(0, 1, 1, 0), _keep(0, 0, 0, 1))

_COMPONENTS = (_keep(1, 0, 0, 0), _keep(0, 1, 0, 0), _keep(0, 0, 1, 0), _keep(0, 0, 0, 1))

SymmetryName = Literal["so13", "so3", "so12", "se2", "so2", "so2_0", "1", "R", "11", "1_0", "11_0"]

#: The symmetries by the names of the official ``--stabilizer``. A spatial component of p is minus its product with that
#: axis: with −q, r is the component.
SYMMETRIES: dict[SymmetryName, Symmetry] = {
    "so13": Symmetry("Lorentz SO⁺(1,3)", (), ()),
    "so3": Symmetry("rotations SO(3)", (_ENERGY,), (_ENERGY,), _TIME_SPACE),
    "so12": Symmetry(
        "SO(1,2): rotations about z, boosts along x and y",
        (_Z,),
        ((0.0, 0.0, 0.0, -1.0),),
        (_keep(1, 1, 1, 0), _keep(0, 0, 0, 1)),
    ),
    # the blocks are (q·p) q and p; the official code's are not equivariant
    "se2": Symmetry(
        "SE(2): leaves a null vector along z invariant",
        (_BACKWARD,),
        (_FORWARD,),
        (((1.0, 0.0, 0.0, -1.0), (0.0,) * 4, (0.0,) * 4, (1.0, 0.0, 0.0, -1.0)), _keep(*_ALL)),
    ),
    "so2": Symmetry("rotations about z, SO(2)", (_ENERGY, _Z), (_ENERGY, (0.0, 0.0, 0.0, -1.0)), _TIME_ACROSS_ALONG),
    "so2_0": Symmetry("rotations about z, SO(2)", (_FORWARD, _BACKWARD), (_BACKWARD, _FORWARD), _TIME_ACROSS_ALONG),
    # E is not among the inputs: it follows from p_i·p_j and the others
    "1": Symmetry(
        "none",
        (_ENERGY, _X, _Y, _Z),
        ((0.0, -1.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0), (0.0, 0.0, 0.0, -1.0)),
        (_keep(*_ALL),) * 4,
    ),
    "R": Symmetry(
        "boosts along z",
        (_X, _Y),
        (_minus(_X), _minus(_Y)),
        (_keep(1, 0, 0, 1), _keep(0, 1, 0, 0), _keep(0, 0, 1, 0)),
    ),
    "11": Symmetry("none", (_ENERGY, _X, _Y, _Z), (_ENERGY, _minus(_X), _minus(_Y), _minus(_Z)), _COMPONENTS),
    # without p_i·p_j, which does not follow from the others
    "1_0": Symmetry(
        "none",
        (_FORWARD, _ALONG_X, _ALONG_Y, _BACKWARD),
        (_BACKWARD, _ALONG_X, _ALONG_Y, _FORWARD),
        (_keep(*_ALL),) * 4,
        (1.0, -1.0, -1.0, -1.0),
    ),
    "11_0": Symmetry(
        "none",
        (_FORWARD, _ALONG_X, _ALONG_Y, _BACKWARD),
        (_BACKWARD, (1.0, -1.0, 0.0, 0.0), (1.0, 0.0, -1.0, 0.0), _FORWARD),
        _COMPONENTS,
    ),
}


def along(vectors: tuple[_Vector, ...], p4_N4: Tensor, mass_N: Tensor) -> Tensor:
    """q·p for each vector q and constituent p, without loss of precision.

    Parameters
    ----------
    vectors : tuple of (E, px, py, pz)
        Unit vectors along one axis, or null vectors (1, n) with n along one of the axes.
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of the constituents.
    mass_N : Tensor of float64, shape (N,)
        Their masses.

    Returns
    -------
    Tensor of float64, shape (N, len(vectors))
    """
    energy, px, py, pz = p4_N4.unbind(1)
    products = []
    for q in vectors:
        if q[0] and any(q[1:]):
            # E − |pz| cancels for a constituent along the beam: use (m² + pT²) / (E + |pz|), likewise for x and y
            axis = next(k for k in (3, 2, 1) if q[k])
            first, second = (p4_N4[:, k] for k in (1, 2, 3) if k != axis)
            forward = q[axis] * p4_N4[:, axis]
            large = energy + forward.abs()
            small = (mass_N**2 + first**2 + second**2) / torch.where(large > 0, large, 1.0)
            products.append(torch.where(forward > 0, small, large))
        else:
            products.append(q[0] * energy - q[1] * px - q[2] * py - q[3] * pz)
    return torch.stack(products, dim=1) if products else p4_N4.new_zeros(p4_N4.shape[0], 0)


def with_spurions(
    gram_Q: Tensor, symmetry: Symmetry, p4_N4: Tensor, mass_N: Tensor, before: Squares, after: Squares
) -> Tensor:
    """Products p_i·p_j of jets with the spurions placed before their constituents.

    Parameters
    ----------
    gram_Q : Tensor of float64, shape (Q,)
        Products of the constituents.
    symmetry : Symmetry
        The symmetry whose spurions are added.
    p4_N4, mass_N : Tensor of float64, shapes (N, 4) and (N,)
        The constituents.
    before, after : Squares
        Layouts without and with the k spurions.

    Returns
    -------
    Tensor of float64, shape (Q',)
    """
    k = len(symmetry.spurions)
    q = p4_N4.new_tensor(symmetry.spurions).view(k, 4)
    own = q @ (q * q.new_tensor([1.0, -1.0, -1.0, -1.0])).T
    mixed_Nk = along(symmetry.spurions, p4_N4, mass_N)
    out = gram_Q.new_empty(after.num_pairs, 1)
    for x, inner, mixed in zip(after.blocks(out), before.blocks(gram_Q[:, None]), before.rows(mixed_Nk), strict=True):
        x[:, :k, :k, 0] = own
        x[:, k:, :k, 0] = mixed
        x[:, :k, k:, 0] = mixed.transpose(1, 2)
        x[:, k:, k:] = inner
    return out[:, 0]

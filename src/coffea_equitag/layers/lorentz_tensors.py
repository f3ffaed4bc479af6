"""Tensors of the Lorentz group of rank at most 2, in real Cartesian components: s, v^μ, F^{μν}, S^{μν}.

The irreducible tensors, with their (k, n) labels in the literature:

    s      1 component    scalar                    (0, 0)
    v^μ    4              vector                    (1, 1)
    F^{μν} 6              antisymmetric tensor      (2, 0) ⊕ (0, 2), its self-dual and anti-self-dual parts
    S^{μν} 9              symmetric and traceless   (2, 2)

Components of F and S refer to the (Euclidean) orthonormal bases of `basis`; `matrices` returns them as 4 × 4
matrices. All indices are upper; the metric is (+, −, −, −). A complex tensor is a pair (Re, Im) along a leading axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

__all__ = ["DIMENSION", "ETA", "IRREPS", "LorentzTensors", "basis", "dual", "dual_components"]

#: Names of the irreducible tensors, in the order used everywhere.
IRREPS = ("s", "v", "F", "S")

#: Independent components of each.
DIMENSION = {"s": 1, "v": 4, "F": 6, "S": 9}

#: The metric.
ETA = torch.diag(torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64))


@dataclass(frozen=True)
class LorentzTensors:
    """Features as irreducible tensors; None means absent.

    Attributes
    ----------
    s, v, F, S : Tensor or None
        Shapes (..., C, 1), (..., C, 4), (..., C, 6), (..., C, 9) with C channels, which may differ between them;
        complex tensors are (2, ..., C, d), real part first.
    """

    s: Tensor | None = None
    v: Tensor | None = None
    F: Tensor | None = None
    S: Tensor | None = None

    def parts(self) -> dict[str, Tensor]:
        """The tensors present, by name."""
        return {name: part for name in IRREPS if (part := getattr(self, name)) is not None}

    def map(self, function: Callable[[Tensor], Tensor]) -> LorentzTensors:
        """Apply a function to every tensor; it is equivariant if it does not act on the last axis."""
        return LorentzTensors(**{name: function(part) for name, part in self.parts().items()})

    @classmethod
    def cat(cls, collections: Iterable[LorentzTensors]) -> LorentzTensors:
        """Concatenate channels, tensor by tensor."""
        found = [collection.parts() for collection in collections]
        return cls(
            **{
                name: torch.cat([parts[name] for parts in found if name in parts], dim=-2)
                for name in IRREPS
                if any(name in parts for parts in found)
            }
        )

    def matrices(self) -> dict[str, Tensor]:
        """Ordinary components: s (..., C), v (..., C, 4), F and S (..., C, 4, 4), with upper indices."""
        return {
            name: torch.einsum("...d,dk->...k", part, basis(name).to(part).reshape(DIMENSION[name], -1)).reshape(
                *part.shape[:-1], *basis(name).shape[1:]
            )
            for name, part in self.parts().items()
        }


@cache
def basis(irrep: str) -> Tensor:
    """Orthonormal basis for the components of an irreducible tensor.

    Parameters
    ----------
    irrep : str
        One of `IRREPS`.

    Returns
    -------
    Tensor of float64
        Shape (1,) for s, (4, 4) for v, (6, 4, 4) for F, (9, 4, 4) for S: component first.
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        return _basis(irrep)


def _basis(irrep: str) -> Tensor:
    unit = torch.eye(4, dtype=torch.float64)
    pairs = [torch.outer(unit[a], unit[b]) for a, b in itertools.combinations(range(4), 2)]
    if irrep == "s":
        return torch.ones(1, dtype=torch.float64)
    if irrep == "v":
        return unit
    if irrep == "F":
        return torch.stack([(pair - pair.T) / 2**0.5 for pair in pairs])
    # traceless with the metric: S^{00} = S^{11} + S^{22} + S^{33}
    diagonals = torch.tensor([[3.0, 1.0, 1.0, 1.0], [0.0, 1.0, -1.0, 0.0], [0.0, 1.0, 1.0, -2.0]], dtype=torch.float64)
    diagonals = diagonals / diagonals.norm(dim=1, keepdim=True)
    return torch.stack([(pair + pair.T) / 2**0.5 for pair in pairs] + [torch.diag(row) for row in diagonals])


def dual(tensor: Tensor) -> Tensor:
    """⋆F^{μν} = ½ ε^{μν}_{ρσ} F^{ρσ} of antisymmetric matrices (..., 4, 4), ε^{0123} = 1; ⋆⋆F = −F."""
    lowered = ETA.to(tensor) @ tensor @ ETA.to(tensor)
    return 0.5 * torch.einsum("abcd,...cd->...ab", _levi_civita().to(tensor), lowered)


@cache
def dual_components(dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Tensor:
    """The matrix D (6, 6) that maps components f of F to those of ⋆F: f D."""
    with torch.inference_mode(mode=False), torch.no_grad():
        vectors = basis("F")
        return torch.einsum("iab,jab->ij", dual(vectors), vectors).to(device, dtype)


@cache
def _levi_civita() -> Tensor:
    with torch.inference_mode(mode=False):
        symbol = torch.zeros(4, 4, 4, 4, dtype=torch.float64)
        for order in itertools.permutations(range(4)):
            symbol[order] = torch.linalg.det(torch.eye(4, dtype=torch.float64)[list(order)])
    return symbol

"""Linear maps that commute only with rotations about one axis.

The paper's map of vectors is y_i = Σ_j A_ij v_j with A = (a ĵĵᵀ + b (1 − ĵĵᵀ)) R_ĵ(φ), three numbers (a, b, φ) for each
pair of features, and that of tensors is Y_i = Σ_j A_ij T_j A'_ijᵀ + b_i·1 with two such maps (Shimmin, Li, Smith,
arXiv:2303.11288). Explicitly, A v = α ĵ(ĵ·v) + β v + γ ĵ×v with α = a − b cos φ, β = b cos φ, γ = b sin φ.

Here components refer to a frame whose z axis is ĵ (`axis_frames`), so that no 3 × 3 matrix per pair of features is
needed: A multiplies the z component by a and x + iy by b e^{iφ}. For a tensor, zz is multiplied by aa', (zx, zy) and
(xz, yz) by a b' e^{iφ'} and a' b e^{iφ}, and the remaining 2 × 2 block splits into two complex numbers,
xx + yy + i(yx − xy) and xx − yy + i(xy + yx), which rotate by φ − φ' and φ + φ'. This takes 17 products of features
with an F × F matrix, instead of 49 for the nine components term by term.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["SO2LinearTensor", "SO2LinearVector", "axis_frames"]


class AxisMaps(nn.Module):
    """The numbers (a, b, φ) of the map A between each pair of features.

    Initial values preserve the variance: a and b have variance 1/F, φ is uniform.
    """

    def __init__(self, inputs: int, outputs: int, spread: float | None = None) -> None:
        super().__init__()
        bound = math.sqrt(3.0 / max(inputs, 1)) if spread is None else spread
        self.a = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.phi = nn.Parameter(torch.empty(outputs, inputs).uniform_(-math.pi, math.pi))


class SO2LinearVector(AxisMaps):
    """y_i = Σ_j A_ij v_j: equivariant under rotations about the z axis.

    Parameters
    ----------
    inputs, outputs : int
        Features.
    """

    def forward(self, vectors_N3F: Tensor) -> Tensor:
        """Vectors (N, 3, inputs) to (N, 3, outputs), in frames whose z axis is ĵ."""
        transverse = _rotate(vectors_N3F[:, 0], vectors_N3F[:, 1], self.b, self.phi)
        parallel = nn.functional.linear(vectors_N3F[:, 2], self.a)
        return torch.stack([*transverse, parallel], dim=1)


class SO2LinearTensor(nn.Module):
    """Y_i = Σ_j A_ij T_j A'_ijᵀ + b_i·1: equivariant under rotations about the z axis.

    Parameters
    ----------
    inputs, outputs : int
        Features.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # the two sides are multiplied: each has variance 1/√F, so that their product has variance 1/F
        spread = math.sqrt(3.0) * max(inputs, 1) ** -0.25
        self.left = AxisMaps(inputs, outputs, spread)
        self.right = AxisMaps(inputs, outputs, spread)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, tensors_N33F: Tensor) -> Tensor:
        """Tensors (N, 3, 3, inputs) to (N, 3, 3, outputs), in frames whose z axis is ĵ."""
        (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(1) for row in tensors_N33F.unbind(1))
        left, right = self.left, self.right
        out_zz = nn.functional.linear(zz, left.a * right.a) + self.bias
        out_zx, out_zy = _rotate(zx, zy, left.a * right.b, right.phi)
        out_xz, out_yz = _rotate(xz, yz, left.b * right.a, left.phi)
        size = left.b * right.b
        even, odd = _rotate(xx + yy, yx - xy, size, left.phi - right.phi)
        plus, cross = _rotate(xx - yy, xy + yx, size, left.phi + right.phi)
        even = even + 2.0 * self.bias
        out_xx, out_yy = 0.5 * (even + plus), 0.5 * (even - plus)
        out_yx, out_xy = 0.5 * (cross + odd), 0.5 * (cross - odd)
        rows = [[out_xx, out_xy, out_xz], [out_yx, out_yy, out_yz], [out_zx, out_zy, out_zz]]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _rotate(real_NF: Tensor, imaginary_NF: Tensor, size: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_j size_ij e^{i angle_ij} (real_j + i imaginary_j), as one real matrix product."""
    c, s = size * torch.cos(angle), size * torch.sin(angle)
    matrix = torch.cat([torch.cat([c, -s], dim=1), torch.cat([s, c], dim=1)], dim=0)
    rotated = nn.functional.linear(torch.cat([real_NF, imaginary_NF], dim=1), matrix)
    outputs = size.shape[0]
    return rotated[:, :outputs], rotated[:, outputs:]


def axis_frames(axis_J3: Tensor, towards_J3: Tensor | None = None) -> Tensor:
    """Right-handed frames with the given z axes.

    SO(2)-equivariant quantities do not depend on the direction of x. If it is taken from the data (`towards`), rotated
    jets have the same components up to the last bits, and therefore the same float32 numbers.

    Parameters
    ----------
    axis_J3 : Tensor, shape (J, 3)
        Need not have unit length; if it is 0, the z axis of the detector is used.
    towards_J3 : Tensor, shape (J, 3), optional
        x lies in the plane of this vector and the axis; if they are parallel, x is the projection of a coordinate axis.

    Returns
    -------
    Tensor, shape (J, 3, 3)
        Rows x̂, ŷ, ẑ: ``frames @ v`` gives the components of v in these frames.
    """
    size, number = axis_J3.norm(dim=1, keepdim=True), torch.arange(3, device=axis_J3.device)
    z = torch.where(size > 0, axis_J3 / torch.where(size > 0, size, 1.0), (number == 2).to(axis_J3))
    # the coordinate axis farthest from z
    other = (z.abs().argmin(1, keepdim=True) == number).to(z)
    if towards_J3 is not None:
        transverse = towards_J3 - (towards_J3 * z).sum(1, keepdim=True) * z
        defined = transverse.norm(dim=1, keepdim=True) > 1e-7 * towards_J3.norm(dim=1, keepdim=True)
        other = torch.where(defined, transverse, other)
    x = other - (other * z).sum(1, keepdim=True) * z
    x = x / x.norm(dim=1, keepdim=True)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=1)

"""Linear maps that commute with the rotations about one axis only.

The paper's map of vectors is y_i = Σ_j A_ij v_j with A = (a ĵĵᵀ + b (1 − ĵĵᵀ)) R_ĵ(φ), three numbers (a, b, φ) for each
pair of features, and of tensors Y_i = Σ_j A_ij T_j A'_ijᵀ + b_i·1 with two such maps (Shimmin, Li, Smith,
arXiv:2303.11288). Written out, A v = α ĵ(ĵ·v) + β v + γ ĵ×v with α = a − b cos φ, β = b cos φ, γ = b sin φ.

Here components are taken in a frame whose z axis is ĵ (`axis_frames`), where no matrix of a pair need be built: A
multiplies the z component by a and x + iy by b e^{iφ}. Of a tensor, zz is multiplied by aa', (zx, zy) and (xz, yz) by
a b' e^{iφ'} and a' b e^{iφ}, and the 2 × 2 rest falls into two complex numbers, xx + yy + i(yx − xy) and
xx − yy + i(xy + yx), which turn by φ − φ' and φ + φ'. That makes 17 products of features with an F × F matrix where the
nine components, term by term, take 49.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["SO2LinearTensor", "SO2LinearVector", "axis_frames"]


class AxisMaps(nn.Module):
    """The numbers (a, b, φ) of the map A between each pair of features.

    At the start they are such that variances are kept: a and b of variance 1/F, φ anywhere.
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
        across = _turn(vectors_N3F[:, 0], vectors_N3F[:, 1], self.b, self.phi)
        along = nn.functional.linear(vectors_N3F[:, 2], self.a)
        return torch.stack([*across, along], dim=1)


class SO2LinearTensor(nn.Module):
    """Y_i = Σ_j A_ij T_j A'_ijᵀ + b_i·1: equivariant under rotations about the z axis.

    Parameters
    ----------
    inputs, outputs : int
        Features.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # the two sides multiply: each of variance 1/√F, so that their product has 1/F
        spread = math.sqrt(3.0) * max(inputs, 1) ** -0.25
        self.left = AxisMaps(inputs, outputs, spread)
        self.right = AxisMaps(inputs, outputs, spread)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, tensors_N33F: Tensor) -> Tensor:
        """Tensors (N, 3, 3, inputs) to (N, 3, 3, outputs), in frames whose z axis is ĵ."""
        (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(1) for row in tensors_N33F.unbind(1))
        left, right = self.left, self.right
        out_zz = nn.functional.linear(zz, left.a * right.a) + self.bias
        out_zx, out_zy = _turn(zx, zy, left.a * right.b, right.phi)
        out_xz, out_yz = _turn(xz, yz, left.b * right.a, left.phi)
        size = left.b * right.b
        even, odd = _turn(xx + yy, yx - xy, size, left.phi - right.phi)
        plus, cross = _turn(xx - yy, xy + yx, size, left.phi + right.phi)
        even = even + 2.0 * self.bias
        out_xx, out_yy = 0.5 * (even + plus), 0.5 * (even - plus)
        out_yx, out_xy = 0.5 * (cross + odd), 0.5 * (cross - odd)
        rows = [[out_xx, out_xy, out_xz], [out_yx, out_yy, out_yz], [out_zx, out_zy, out_zz]]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _turn(real_NF: Tensor, imaginary_NF: Tensor, size: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_j size_ij e^{i angle_ij} (real_j + i imaginary_j), as one real matrix product."""
    c, s = size * torch.cos(angle), size * torch.sin(angle)
    matrix = torch.cat([torch.cat([c, -s], dim=1), torch.cat([s, c], dim=1)], dim=0)
    turned = nn.functional.linear(torch.cat([real_NF, imaginary_NF], dim=1), matrix)
    outputs = size.shape[0]
    return turned[:, :outputs], turned[:, outputs:]


def axis_frames(axis_J3: Tensor, towards_J3: Tensor | None = None) -> Tensor:
    """Right-handed frames whose z axis is a given one.

    What is SO(2)-equivariant does not depend on where x points. Taking it from the data (`towards`) has rotated jets
    give the same components to the last bits, and so the same float32 numbers.

    Parameters
    ----------
    axis_J3 : Tensor, shape (J, 3)
        Need not be of unit length; where it is 0, the z axis of the detector is taken.
    towards_J3 : Tensor, shape (J, 3), optional
        x lies in the plane of this and the axis; where they are parallel, x is one of the coordinate axes' projections.

    Returns
    -------
    Tensor, shape (J, 3, 3)
        Rows x̂, ŷ, ẑ: ``frames @ v`` has the components of v in them.
    """
    size = axis_J3.norm(dim=1, keepdim=True)
    z = torch.where(size > 0, axis_J3 / torch.where(size > 0, size, 1.0), axis_J3.new_tensor([0.0, 0.0, 1.0]))
    # the coordinate axis farthest from z
    other = nn.functional.one_hot(z.abs().argmin(1), 3).to(z)
    if towards_J3 is not None:
        across = towards_J3 - (towards_J3 * z).sum(1, keepdim=True) * z
        clear = across.norm(dim=1, keepdim=True) > 1e-7 * towards_J3.norm(dim=1, keepdim=True)
        other = torch.where(clear, across, other)
    x = other - (other * z).sum(1, keepdim=True) * z
    x = x / x.norm(dim=1, keepdim=True)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=1)

"""Linear mixing of the channels of complex Lorentz tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .lorentz_tensors import LorentzTensors, dual_components

__all__ = ["ComplexMixing"]


class ComplexMixing(nn.Module):
    """Complex weights, one matrix per irreducible tensor, without bias (which would break the symmetry).

    The self-dual and the anti-self-dual part of F may be weighted separately: W F + W' ⋆F with two complex matrices
    W and W'.

    Parameters
    ----------
    channels : mapping of str to int
        Input channels of each tensor, e.g. ``{"s": 6, "v": 2}``.
    out : int
        Output channels of each tensor.

    Notes
    -----
    Weights are initialized with normal numbers divided by the larger number of channels, and by a further 10 for v
    and 100 for S, which LGN's authors found to keep the activations of successive levels bounded.
    """

    def __init__(self, channels: Mapping[str, int], out: int) -> None:
        super().__init__()
        self.weight = nn.ParameterDict()
        for name, count in channels.items():
            for key in ("F", "dual") if name == "F" else (name,):
                size = max(out, count) * {"v": 10.0, "S": 100.0}.get(name, 1.0)
                self.weight[key] = nn.Parameter(torch.randn(2, out, count) / size)

    def forward(self, x: LorentzTensors) -> LorentzTensors:
        """Mix: shapes (2, ..., C, d) to (2, ..., out, d), in the precision of `x`."""
        mixed = {name: _apply(self.weight[name], part) for name, part in x.parts().items()}
        if x.F is not None:
            mixed["F"] = mixed["F"] + _apply(self.weight["dual"], x.F @ dual_components(x.F.dtype, x.F.device))
        return LorentzTensors(**mixed)


def _apply(weight: Tensor, part: Tensor) -> Tensor:
    real, imaginary = weight.to(part)
    block = torch.stack([torch.stack([real, -imaginary]), torch.stack([imaginary, real])])
    return torch.einsum("yzoc,z...cd->y...od", block, part)

"""Σ_j f_ij F_j ⊗ (p_i − p_j)^k over the constituents of each jet, without any tensor per pair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .lorentz_tensors import DIMENSION, LorentzTensors
from .pair_sum import pair_sum
from .tensor_product import TensorProduct

__all__ = ["joined", "split_like", "times_differences", "times_squared_differences"]


def times_differences(
    product: TensorProduct, features: LorentzTensors, p4_N4: Tensor, weight_QC2: Tensor, runs: Sequence[tuple[int, int]]
) -> LorentzTensors:
    """Σ_j f_ij F_j ⊗ (p_i − p_j) = (Σ_j f_ij F_j) ⊗ p_i − Σ_j f_ij (F_j ⊗ p_j).

    Parameters
    ----------
    product : TensorProduct
        Of the features with a vector.
    features : LorentzTensors
        Complex, shapes (2, N, C, d).
    p4_N4 : Tensor, shape (N, 4)
        Four-momenta.
    weight_QC2 : Tensor, shape (Q, C, 2)
        f, see `pair_sum`.
    runs : sequence of (int, int)
        See `pair_sum`.

    Returns
    -------
    LorentzTensors
        Shapes (2, N, C', d), C channels for each product.
    """
    p = LorentzTensors(v=p4_N4[:, None, :])
    own, at_j = joined(features), product(features, p)
    sums = pair_sum(weight_QC2, torch.cat([own, joined(at_j, own.shape[-2])], -1), runs)
    weighted, moments = torch.split(sums, [own.shape[-1], sums.shape[-1] - own.shape[-1]], dim=-1)
    at_i = product(split_like(weighted, features), p).parts()
    return LorentzTensors(**{name: at_i[name] - part for name, part in split_like(moments, at_j).parts().items()})


def times_squared_differences(
    product: TensorProduct, features: LorentzTensors, p4_N4: Tensor, weight_QC2: Tensor, runs: Sequence[tuple[int, int]]
) -> LorentzTensors:
    """Σ_j f_ij F_j ⊗ S(p_i − p_j) with the traceless part S(p) of p ⊗ p.

    S is quadratic: S(p_i − p_j) = S(p_i) + S(p_j) − 2 Σ_a p_j^a T_a(p_i), with the traceless symmetric part T_a(p) of
    p ⊗ e_a. Parameters and result as for `times_differences`; `product` is with a traceless symmetric tensor.
    """
    square = TensorProduct(("v",), ("v",), ("S",))
    p, axes = LorentzTensors(v=p4_N4[:, None, :]), LorentzTensors(v=torch.eye(4).to(p4_N4)[:, None, None, None, :])
    own, at_j = joined(features), product(features, square(p, p))
    width = own.shape[-1]
    per_axis = (p4_N4[:, None, :, None] * own[..., None, :]).flatten(-2)
    sums = pair_sum(weight_QC2, torch.cat([own, per_axis, joined(at_j, own.shape[-2])], -1), runs)
    weighted, along, moments = torch.split(sums, [width, 4 * width, sums.shape[-1] - 5 * width], dim=-1)
    by_axis = torch.unflatten(along, -1, (4, width)).permute(3, 0, 1, 2, 4)
    at_i = product(split_like(weighted, features), square(p, p)).parts()
    mixed = product(split_like(by_axis, features), square(p, axes)).parts()
    return LorentzTensors(
        **{name: at_i[name] + part - 2 * mixed[name].sum(0) for name, part in split_like(moments, at_j).parts().items()}
    )


def joined(tensors: LorentzTensors, channels: int | None = None) -> Tensor:
    """Components of all tensors of a channel along one axis: (..., N, C, D).

    Without `channels`, the tensors have as many as the first of them.
    """
    parts = tensors.parts().values()
    channels = next(iter(parts)).shape[-2] if channels is None else channels
    return torch.cat(
        [torch.unflatten(part, -2, (-1, channels)).transpose(-3, -2).flatten(-2) for part in parts], dim=-1
    )


def split_like(values: Tensor, like: LorentzTensors) -> LorentzTensors:
    """Inverse of `joined`, for tensors shaped like `like`."""
    parts, channels = like.parts(), values.shape[-2]
    sizes = [part.shape[-2] // channels * DIMENSION[name] for name, part in parts.items()]
    return LorentzTensors(
        **{
            name: torch.unflatten(piece, -1, (-1, DIMENSION[name])).transpose(-3, -2).flatten(-3, -2)
            for (name, piece) in zip(parts, torch.split(values, sizes, dim=-1), strict=True)
        }
    )

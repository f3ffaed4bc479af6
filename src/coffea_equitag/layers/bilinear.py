"""Bilinear products of scalar, vector and tensor features."""

from __future__ import annotations

import torch

from .tensor_features import TensorFeatures

__all__ = ["bilinear"]


def bilinear(x: TensorFeatures) -> TensorFeatures:
    """Split 2F features into halves a and b and multiply these, each pair of representations once (arXiv:2303.11288).

    Scalars: s_a s_b, v_a·v_b, tr(T_aᵀ T_b); vectors: s_a v_b, v_a × v_b, T_a v_b; tensors: s_a T_b, v_a ⊗ v_b, T_a T_b.

    Parameters
    ----------
    x : TensorFeatures
        2F features in each representation.

    Returns
    -------
    TensorFeatures
        3F features in each representation; 2F without tensors.
    """
    s_a, s_b = x.scalars.chunk(2, dim=-1)
    v_a, v_b = x.vectors.chunk(2, dim=-1)
    scalars = [s_a * s_b, (v_a * v_b).sum(1)]
    vectors = [s_a[:, None] * v_b, torch.linalg.cross(v_a, v_b, dim=1)]
    if x.tensors is None:
        return TensorFeatures(torch.cat(scalars, dim=-1), torch.cat(vectors, dim=-1))
    t_a, t_b = x.tensors.chunk(2, dim=-1)
    scalars.append((t_a * t_b).sum((1, 2)))
    vectors.append((t_a * v_b[:, None]).sum(2))
    # the sum over the inner index, which has three values, is unrolled
    product = sum((t_a[:, :, k, None] * t_b[:, None, k] for k in (1, 2)), start=t_a[:, :, 0, None] * t_b[:, None, 0])
    tensors = [s_a[:, None, None] * t_b, v_a[:, :, None] * v_b[:, None], product]
    return TensorFeatures(torch.cat(scalars, dim=-1), torch.cat(vectors, dim=-1), torch.cat(tensors, dim=-1))

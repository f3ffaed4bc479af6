"""L-GATr-slim's layers with gradients: dense ones of torch, norms, heads and attention of these kernels.

States are whole registers wide, 0 beyond the channels: matrices are filled up with zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...common.cpu.attention_function import attention
from .functions import normalised, queries_keys_values
from .gate_tiles import LANES
from .matrices import Linear
from .weights import Sizes

__all__ = ["attended", "embedded", "filled"]


def embedded(_: Tensor, vectors_N4: Tensor, scalars: Tensor, layer: Linear) -> tuple[Tensor, Tensor]:
    """The first layer, as a state of whole registers."""
    assert layer.vectors is not None
    v, s = nn.functional.linear(vectors_N4[..., None], layer.vectors), nn.functional.linear(scalars, *layer[1:])
    return filled(v), filled(s)


def attended(
    sizes: Sizes, offsets: Tensor, v: Tensor, s: Tensor, heads: Linear, outputs: Linear
) -> tuple[Tensor, Tensor]:
    """A block's attention, added to the state (N, 4, V), (N, S)."""
    q, k, values = queries_keys_values(*_linear(*normalised(v, s, float(sizes.share)), heads, False), sizes)
    found = attention(q, k, values, offsets, scale=sizes.scale)
    own_v, own_s = found[..., : 4 * sizes.head_vectors], found[..., 4 * sizes.head_vectors :]
    own_v = torch.unflatten(own_v, 2, (4, sizes.head_vectors)).transpose(1, 2).flatten(2)
    new_v, new_s = _linear(own_v, own_s.flatten(1), outputs, True)
    return v + new_v, s + new_s


def _linear(v: Tensor, s: Tensor, layer: Linear, whole: bool) -> tuple[Tensor, Tensor]:
    """A layer, whose outputs are filled up to whole registers if that is said."""
    assert layer.vectors is not None
    new_v = nn.functional.linear(v, _matrix(layer.vectors, v.shape[2]))
    new_s = nn.functional.linear(s, _matrix(layer.scalars, s.shape[1]), layer.bias)
    return (filled(new_v), filled(new_s)) if whole else (new_v, new_s)


def _matrix(matrix: Tensor, width: int) -> Tensor:
    """A matrix (out, in) with `width` inputs."""
    return nn.functional.pad(matrix, (0, width - matrix.shape[1])) if width > matrix.shape[1] else matrix


def filled(values: Tensor) -> Tensor:
    """Zeros at the end of the last axis, to whole registers."""
    gap = -values.shape[-1] % LANES
    return nn.functional.pad(values, (0, gap)) if gap else values

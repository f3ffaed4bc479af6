"""What PELICAN's 2→2 layers make of sums of messages, with gradients on the CPU: u_i, v_j and δ_ij d_i."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....layers.equivariant_2to2 import Equivariant2to2
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import double
from ...common.cpu.jet_groups import JetGroups
from .group_sums import in_order
from .node_sweeps import NodeSlopes, NodeWeights, Sums, terms_back, terms_forth
from .pair_shapes import columns_for
from .weights import blocked, padded

__all__ = ["terms_of"]


#: Coefficients of diagonal, columns and rows into u, v and d; of trace and total into u and d.
_NODE, _WHOLE = [[4, 7, 10], [3, 6, 9], [2, 5, 8]], [[11, 13], [12, 14]]
#: Operations before those that have powers of n/n̄.
_FREE = 5


def terms_of(
    block: Equivariant2to2, coefficients: Tensor, layout: JetGroups, sums: Tensor, counts: Tensor, norm: Tensor
) -> Tensor:
    """u, v and d, (3, N, W) in float32, S channels padded to W.

    Parameters
    ----------
    block : Equivariant2to2
        The layer.
    coefficients : Tensor of float32, shape (15, D, S)
        Its coefficients.
    layout : JetGroups
        The jets.
    sums, counts, norm : Tensor
        As of `pelican_layer.Messages` and `pelican_layer.next_messages`.
    """
    how = block.aggregation
    setting = _Setting(layout, how.kind == "mean", how.mean_count, block.diagonal)
    exponent = sums.new_zeros(norm.shape[1], 10) if block.power is None else block.power.exponent
    out: Tensor = _terms(setting, sums, counts, norm, coefficients, exponent, block.bias, block.diagonal_bias)
    return out


@dataclass(frozen=True)
class _Setting:
    """What a layer's terms depend on besides tensors: jets, how sums are normalised, and whether d is there."""

    layout: JetGroups
    means: bool
    mean_count: float
    diagonal: bool


class _Terms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, setting: _Setting, sums: Tensor, counts: Tensor, *parameters: Tensor) -> Tensor:
        weights, given = _weights(setting, parameters), _sums(setting, sums, counts)
        terms = np.empty((3, len(given.values), weights.bias.shape[1]), np.float32)
        setting.layout.over_groups(lambda first, last: terms_forth(weights, given, terms, first, last))
        if any(ctx.needs_input_grad):
            ctx.setting, ctx.weights = setting, weights
            ctx.save_for_backward(sums, counts, *parameters)
        return torch.from_numpy(terms)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor | None, ...]:
        setting, weights = ctx.setting, ctx.weights
        sums, counts, *parameters = ctx.saved_tensors
        given, groups = _sums(setting, sums, counts), setting.layout.num_groups
        depth, channels = parameters[1].shape[1:]
        narrow, wide = len(weights.scale), weights.bias.shape[1]
        slopes = NodeSlopes(
            values=np.empty(given.values.shape),
            norm=np.zeros((groups, 2, narrow)),
            node=np.zeros((groups, 3, 3, narrow, wide), np.float32),
            node_exponent=np.zeros((groups, 3, 3, narrow)),
            whole=np.zeros((groups, 2, 2, narrow, wide)),
            whole_exponent=np.zeros((groups, 2, 2, narrow)),
            bias=np.zeros((groups, 2, wide)),
        )
        above = np.ascontiguousarray(arriving.numpy())
        setting.layout.over_groups(lambda a, b: terms_back(weights, given, above, slopes, a, b))
        coefficients, exponent = np.zeros((15, depth, channels)), np.zeros((10, depth))
        coefficients[_NODE] = in_order(slopes.node)[..., :depth, :channels]
        coefficients[_WHOLE] = slopes.whole.sum(axis=0)[..., :depth, :channels]
        exponent[np.subtract(_NODE, _FREE)[:, 1:]] = slopes.node_exponent.sum(axis=0)[:, 1:, :depth]
        exponent[np.subtract(_WHOLE, _FREE)] = slopes.whole_exponent.sum(axis=0)[..., :depth]
        bias = slopes.bias.sum(axis=0)[:, :channels]
        if not setting.diagonal:
            bias[1] = coefficients[_NODE[2] + _WHOLE[1]] = 0
            exponent[np.subtract(_NODE[2][1:] + _WHOLE[1], _FREE)] = 0
        found = slopes.norm.sum(axis=0)[:, :depth], coefficients, exponent.T, *bias
        return (
            None,
            torch.from_numpy(slopes.values),
            None,
            *(torch.from_numpy(np.ascontiguousarray(x)).to(y) for x, y in zip(found, parameters, strict=True)),
        )


_terms: Callable[..., Tensor] = _Terms.apply


def _sums(setting: _Setting, sums: Tensor, counts: Tensor) -> Sums:
    layout = setting.layout
    return Sums(layout.offsets, layout.groups, *(np.ascontiguousarray(x.detach().numpy()) for x in (sums, counts)))


def _weights(setting: _Setting, parameters: tuple[Tensor, ...]) -> NodeWeights:
    (scale, shift), coefficients, exponent, bias, diagonal_bias = map(double, parameters)
    depth, channels = coefficients.shape[1:]
    narrow, wide = columns_for(depth), columns_for(channels)
    node, whole, bias = coefficients[_NODE], coefficients[_WHOLE], np.stack([bias, diagonal_bias])
    if not setting.diagonal:
        node[2] = whole[1] = bias[1] = 0
    powers = np.concatenate([np.zeros((_FREE, depth)), exponent.T])
    node_exponent = powers[_NODE]
    node_exponent[:, 0] = 0
    below = np.moveaxis(padded(np.moveaxis(node, 2, 3), narrow), 3, 2)
    return NodeWeights(
        narrow=narrow,
        wide=wide,
        scale=padded(scale, narrow),
        shift=padded(shift, narrow),
        node=aligned(blocked(below.reshape(3, -1, channels), wide)),
        node_plain=aligned(padded(below, wide)),
        node_back=aligned(blocked(padded(node, wide).swapaxes(2, 3), narrow)),
        node_exponent=padded(node_exponent, narrow),
        whole=np.moveaxis(padded(np.moveaxis(padded(whole, wide), 2, 3), narrow), 3, 2).copy(),
        whole_exponent=padded(powers[_WHOLE], narrow),
        bias=padded(bias, wide),
        mean_count=float(setting.mean_count),
        means=setting.means,
    )

"""u_i, v_j and δ_ij d_i of PELICAN's 2→2 layers from the sums of messages, with gradients on the CPU."""

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
from .channel_blocks import blocks_for
from .group_sums import in_order
from .node_sweeps import NodeGrads, NodeSums, NodeWeights, terms_backward, terms_forward
from .weights import JET, NODE, blocked, padded

__all__ = ["terms_of"]


#: Operations before those that have powers of n/n̄.
_FREE = 5


def terms_of(
    block: Equivariant2to2, coefficients: Tensor, groups: JetGroups, sums: Tensor, counts: Tensor, norm: Tensor
) -> Tensor:
    """u, v and d, (3, N, W) in float32, S channels padded to W.

    Parameters
    ----------
    block : Equivariant2to2
        The layer.
    coefficients : Tensor of float32, shape (15, D, S)
        Its coefficients.
    groups : JetGroups
        The jets.
    sums, counts, norm : Tensor
        As for `layer.Messages` and `layer.next_messages`.
    """
    how = block.aggregation
    setting = _Setting(groups, how.kind == "mean", how.mean_count, block.diagonal)
    exponent = sums.new_zeros(norm.shape[1], 10) if block.power is None else block.power.exponent
    out: Tensor = _terms(setting, sums, counts, norm, coefficients, exponent, block.bias, block.diagonal_bias)
    return out


@dataclass(frozen=True)
class _Setting:
    """What a layer's terms depend on besides tensors: jets, how sums are normalised, and whether d is there."""

    groups: JetGroups
    means: bool
    mean_count: float
    diagonal: bool


class _Terms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, setting: _Setting, sums: Tensor, counts: Tensor, *parameters: Tensor) -> Tensor:
        weights, given = _weights(setting, parameters), _sums(setting, sums, counts)
        terms = np.empty((3, len(given.values), weights.bias.shape[1]), np.float32)
        setting.groups.over_groups(lambda first, last: terms_forward(weights, given, terms, first, last))
        if any(ctx.needs_input_grad):
            ctx.setting, ctx.weights = setting, weights
            ctx.save_for_backward(sums, counts, *parameters)
        return torch.from_numpy(terms)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_terms: Tensor) -> tuple[Tensor | None, ...]:
        setting, weights = ctx.setting, ctx.weights
        sums, counts, *parameters = ctx.saved_tensors
        given, groups = _sums(setting, sums, counts), setting.groups.num_groups
        depth, channels = parameters[1].shape[1:]
        narrow, wide = len(weights.scale), weights.bias.shape[1]
        grads = NodeGrads(
            values=np.empty(given.values.shape),
            norm=np.zeros((groups, 2, narrow)),
            node=np.zeros((groups, 3, 3, narrow, wide), np.float32),
            node_exponent=np.zeros((groups, 3, 3, narrow)),
            jet=np.zeros((groups, 2, 2, narrow, wide)),
            jet_exponent=np.zeros((groups, 2, 2, narrow)),
            bias=np.zeros((groups, 2, wide)),
        )
        arriving = np.ascontiguousarray(grad_terms.numpy())
        setting.groups.over_groups(lambda a, b: terms_backward(weights, given, arriving, grads, a, b))
        coefficients, exponent = np.zeros((15, depth, channels)), np.zeros((10, depth))
        coefficients[NODE] = in_order(grads.node)[..., :depth, :channels]
        coefficients[JET] = grads.jet.sum(axis=0)[..., :depth, :channels]
        exponent[np.subtract(NODE, _FREE)[:, 1:]] = grads.node_exponent.sum(axis=0)[:, 1:, :depth]
        exponent[np.subtract(JET, _FREE)] = grads.jet_exponent.sum(axis=0)[..., :depth]
        bias = grads.bias.sum(axis=0)[:, :channels]
        if not setting.diagonal:
            bias[1] = coefficients[NODE[2] + JET[1]] = 0
            exponent[np.subtract(NODE[2][1:] + JET[1], _FREE)] = 0
        found = grads.norm.sum(axis=0)[:, :depth], coefficients, exponent.T, *bias
        return (
            None,
            torch.from_numpy(grads.values),
            None,
            *(torch.from_numpy(np.ascontiguousarray(x)).to(y) for x, y in zip(found, parameters, strict=True)),
        )


_terms: Callable[..., Tensor] = _Terms.apply


def _sums(setting: _Setting, sums: Tensor, counts: Tensor) -> NodeSums:
    groups = setting.groups
    return NodeSums(groups.offsets, groups.groups, *(np.ascontiguousarray(x.detach().numpy()) for x in (sums, counts)))


def _weights(setting: _Setting, parameters: tuple[Tensor, ...]) -> NodeWeights:
    (scale, shift), coefficients, exponent, bias, diagonal_bias = map(double, parameters)
    depth, channels = coefficients.shape[1:]
    narrow, wide = blocks_for(depth), blocks_for(channels)
    node, jet, bias = coefficients[NODE], coefficients[JET], np.stack([bias, diagonal_bias])
    if not setting.diagonal:
        node[2] = jet[1] = bias[1] = 0
    powers = np.concatenate([np.zeros((_FREE, depth)), exponent.T])
    node_exponent = powers[NODE]
    node_exponent[:, 0] = 0
    below = np.moveaxis(padded(np.moveaxis(node, 2, 3), narrow), 3, 2)
    return NodeWeights(
        narrow=narrow,
        wide=wide,
        scale=padded(scale, narrow),
        shift=padded(shift, narrow),
        node=aligned(blocked(below.reshape(3, -1, channels), wide)),
        node_rows=aligned(padded(below, wide)),
        node_transposed=aligned(blocked(padded(node, wide).swapaxes(2, 3), narrow)),
        node_exponent=padded(node_exponent, narrow),
        jet=np.moveaxis(padded(np.moveaxis(padded(jet, wide), 2, 3), narrow), 3, 2).copy(),
        jet_exponent=padded(powers[JET], narrow),
        bias=padded(bias, wide),
        mean_count=float(setting.mean_count),
        means=setting.means,
    )

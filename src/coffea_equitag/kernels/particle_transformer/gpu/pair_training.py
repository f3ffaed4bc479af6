"""The bias of the attention with gradients: what norms see is stored, all else is computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....layers.batch_norm import RowBatchNorm
from ....layers.pair_bias import PairBias
from ...common.gpu.arithmetic import precision
from ...common.gpu.tiles import Tiles
from ...running_statistics import follow
from .pair_layers import layer_backward, layer_forward
from .pair_squares import from_squares, pair_rows, to_squares

__all__ = ["trained_bias"]


def trained_bias(network: PairBias, pairs_T4: Tensor, tiles: Tiles) -> Tensor:
    """The bias, flat, H Q entries, jet after jet a block (H, n, n); gradients go to the network and the features.

    Parameters
    ----------
    network : PairBias
        The layers, whose running statistics follow in training mode.
    pairs_T4 : Tensor of float32, shape (T, 4)
        Features of the pairs j ≤ i.
    tiles : Tiles
        The jets, in tiles of `tiles.RECEIVERS`.
    """
    if not network.with_self:
        itself = pair_rows(tiles.offsets, with_self=True)[:-1][tiles.node_jet]
        node = torch.arange(tiles.num_nodes, device=itself.device) - tiles.offsets[:-1][tiles.node_jet]
        others = torch.ones(len(pairs_T4), dtype=torch.bool, device=itself.device)
        others[itself + node * (node + 3) // 2] = False
        pairs_T4 = pairs_T4[others]
    linears = [layer for layer in network.embed if isinstance(layer, nn.Linear)]
    norms = [layer for layer in network.embed if isinstance(layer, RowBatchNorm)]
    layers = _Layers(
        tuple(norms), isinstance(network.embed[-1], nn.GELU), network.with_self, precision(pairs_T4.device)
    )
    parameters = chain(*((linear.weight, linear.bias) for linear in linears), *((n.weight, n.bias) for n in norms))
    return _bias(layers, tiles, pairs_T4, *parameters)


@dataclass(frozen=True)
class _Layers:
    norms: tuple[RowBatchNorm, ...]
    last_activation: bool
    with_self: bool
    precision: str


@dataclass(frozen=True)
class _Norm:
    """A norm and its batch."""

    packed: Tensor  # (4, C), float32: scale, shift, inverse, offset
    exact: Tensor  # the same in float64
    rows: int  # those of the batch if its own statistics were used, else 0

    @classmethod
    def of(cls, norm: RowBatchNorm, moments: Tensor, rows: int) -> _Norm:
        """From Σ x and Σ x², (2, C); running statistics follow if there are two rows or more."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, var, batch = norm.running_mean.double(), norm.running_var.double(), norm.training and rows > 1
        if batch:
            mean, square = (moments / rows).unbind()
            var = (square - mean.square()).clamp(min=0)
            follow(norm, mean, var * (rows / (rows - 1)))
        inverse = (var + norm.eps).rsqrt()
        scale = norm.weight.detach().double() * inverse
        exact = torch.stack([scale, norm.bias.detach().double() - mean * scale, inverse, -mean * inverse])
        return cls(exact.float(), exact, rows if batch else 0)

    def step(self, sums: Tensor) -> Tensor:
        """Its backward pass (3, C): dx = p dy + q x + r, of Σ dy and Σ dy x̂, (2, C)."""
        scale, _, inverse, offset = self.exact
        if not self.rows:
            return torch.stack([scale, scale * 0, scale * 0]).float()
        grad, along = sums / self.rows
        return torch.stack([scale, -scale * along * inverse, -scale * (grad + along * offset)]).float()


class _Bias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: _Layers, tiles: Tiles, features: Tensor, *parameters: Tensor) -> Tensor:
        count = len(layers.norms) - 1
        weights, biases = parameters[: 2 * count : 2], parameters[1 : 2 * count : 2]
        exact = features.double()
        norms = [_Norm.of(layers.norms[0], torch.stack([exact.sum(0), exact.square().sum(0)]), len(features))]
        rows = [features.contiguous()]
        for k, (weight, bias, norm) in enumerate(zip(weights, biases, layers.norms[1:], strict=True)):
            z, moments = layer_forward(
                rows[-1], norms[-1].packed, weight.T.contiguous(), bias, activation=k > 0, precision=layers.precision
            )
            rows.append(z)
            norms.append(_Norm.of(norm, moments, len(features)))
        ctx.rest, ctx.norms = (layers, tiles), norms
        ctx.save_for_backward(*rows, *weights)
        last = {"activation": layers.last_activation, "with_self": layers.with_self}
        return to_squares(rows[-1], norms[-1].packed, tiles, **last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layers, tiles = ctx.rest
        count, norms = len(layers.norms) - 1, ctx.norms
        rows, weights = ctx.saved_tensors[: count + 1], ctx.saved_tensors[count + 1 :]
        last = {"activation": layers.last_activation, "with_self": layers.with_self}
        above, sums = from_squares(grad, rows[-1], norms[-1].packed, tiles, **last)
        of_layers: list[Tensor] = []
        of_norms = [sums[1], sums[0]]
        for k in reversed(range(count)):
            step = norms[k + 1].step(sums)
            found = layer_backward(
                rows[k], norms[k].packed, weights[k].T.contiguous(), rows[k + 1], above, step,
                activation=k > 0, precision=layers.precision,
            )  # fmt: skip
            above, sums = found.rows, found.sums
            of_layers = [found.weight.T, found.bias, *of_layers]
            of_norms = [sums[1], sums[0], *of_norms]
        p, q, r = norms[0].step(sums)
        features = p * above + q * rows[0] + r if ctx.needs_input_grad[2] else None
        return None, None, features, *(each.float() for each in (*of_layers, *of_norms))


_bias: Callable[..., Tensor] = _Bias.apply

"""Sums over the nodes of each jet, and jets' values for their nodes, with gradients: in a fixed order both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...common.gpu.pool import pool
from ...common.gpu.tiles import Tiles

__all__ = ["over_jets", "to_nodes"]


def over_jets(values_NC: Tensor, tiles: Tiles) -> Tensor:
    """Sums over the nodes of each jet, (J, C)."""
    return _over_jets(values_NC, tiles)


def to_nodes(values_JC: Tensor, tiles: Tiles) -> Tensor:
    """Each jet's values for each of its nodes, (N, C)."""
    return _to_nodes(values_JC, tiles)


class _OverJets(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values_NC: Tensor, tiles: Tiles) -> Tensor:
        ctx.tiles = tiles
        return pool(values_NC.contiguous(), tiles.offsets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_JC: Tensor) -> tuple[Tensor, None]:
        return grad_JC[ctx.tiles.node_jet], None


class _ToNodes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values_JC: Tensor, tiles: Tiles) -> Tensor:
        ctx.tiles = tiles
        return values_JC[tiles.node_jet]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NC: Tensor) -> tuple[Tensor, None]:
        return pool(grad_NC.contiguous(), ctx.tiles.offsets), None


_over_jets: Callable[[Tensor, Tiles], Tensor] = _OverJets.apply
_to_nodes: Callable[[Tensor, Tiles], Tensor] = _ToNodes.apply

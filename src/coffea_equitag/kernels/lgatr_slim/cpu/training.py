"""L-GATr-slim with gradients on the CPU.

Forward is that of inference, which stores what each block begins with and nothing else. Backward takes one block after
the other, from the last on: its layers again, and their gradients, those of its perceptron in one kernel, whose hidden
values stay in cache; those of its attention by autograd, with torch's dense layers and kernels for norms, heads and
attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....jet_model import JetModel
from .block_layers import attended, embedded, filled
from .functions import rows_of
from .gate_tiles import LANES
from .inference import run_blocks
from .matrices import Linear, block_matrices, embedding_matrices
from .perceptron_sums import PerceptronSums
from .perceptron_weights import PerceptronWeights, perceptron_weights_of
from .weights import SlimWeights, weights_of

__all__ = ["logits"]

#: Nodes of a group of jets, whose gradients are made together: memory for more, and caches, would suffer.
_GROUP = 2048

#: Vectors and scalars.
_Streams = tuple[Tensor, Tensor]


def logits(model: JetModel, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """As `inference.logits`, with gradients: of the network's parameters, the vectors and the scalars."""
    network: Any = model
    layers = [embedding_matrices(network), *(layer for block in network.blocks for layer in block_matrices(block))]
    tensors = [tensor for layer in layers for tensor in layer]
    found: tuple[Tensor, Tensor] = _network(
        weights_of(model), perceptron_weights_of(model), offsets, vectors_N4, scalars, *tensors
    )
    return found


class _Network(torch.autograd.Function):
    """All blocks, whose matrices, of `matrices`, come one after the other."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: SlimWeights,
        perceptrons: PerceptronWeights,
        offsets: Tensor,
        vectors: Tensor,
        scalars: Tensor,
        *tensors: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        sizes, blocks = weights.sizes, len(weights.heads.vectors.weight)
        wide_v, wide_s = (width + -width % LANES for width in (sizes.vectors, sizes.scalars))
        states = vectors.new_empty(blocks, 4 * len(vectors), wide_v), vectors.new_empty(blocks, len(vectors), wide_s)
        found = run_blocks(weights, vectors, scalars, offsets, (states[0].numpy(), states[1].numpy()))
        ctx.sizes, ctx.perceptrons, ctx.offsets, ctx.states = sizes, perceptrons, offsets, states
        ctx.save_for_backward(vectors, scalars, *tensors)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_v: Tensor, grad_s: Tensor) -> tuple[Tensor | None, ...]:
        vectors, scalars, *tensors = ctx.saved_tensors
        layers = [Linear(*tensors[at : at + 3]) for at in range(0, len(tensors), 3)]
        (states_v, states_s), per_block = ctx.states, (len(layers) - 1) // len(ctx.states[0])
        groups, found = _groups(ctx.offsets), list[Tensor | None]()
        arriving, step = (filled(grad_v), filled(grad_s).clone()), partial(attended, ctx.sizes)
        for b in reversed(range(len(states_v))):
            state = states_v[b].view(len(vectors), 4, states_v.shape[2]), states_s[b]
            keeps = grad_v.shape[2] > 0 or b < len(states_v) - 1
            arriving = (arriving[0].clone() if keeps else torch.zeros_like(state[0])), arriving[1]
            own = layers[1 + b * per_block : 1 + (b + 1) * per_block]
            sums = PerceptronSums(ctx.perceptrons, b, keeps)
            arriving, grads = _gradients(step, groups, state, own[:2], arriving, sums)
            found = [*grads, *sums.gradients(own[2:]), *found]
        arriving, grads = _gradients(embedded, groups, (vectors, scalars), layers[:1], arriving)
        return None, None, None, *arriving, *grads, *found


def _groups(offsets: Tensor) -> list[tuple[slice, Tensor]]:
    """The nodes of groups of jets, and where jets begin among them."""
    bounds, found, first = offsets.tolist(), [], 0
    for jet in range(1, len(bounds)):
        if jet == len(bounds) - 1 or bounds[jet + 1] - bounds[first] > _GROUP:
            found.append((slice(bounds[first], bounds[jet]), offsets[first : jet + 1] - bounds[first]))
            first = jet
    return found


def _gradients(
    step: Callable[..., _Streams],
    groups: list[tuple[slice, Tensor]],
    inputs: _Streams,
    layers: Iterable[Linear],
    arriving: _Streams,
    sums: PerceptronSums | None = None,
) -> tuple[_Streams, list[Tensor | None]]:
    """Gradients of two inputs and of layers, from those of what ``step(offsets, *inputs, *layers)`` gives.

    With `sums`, a perceptron follows, whose gradients are added to them: what arrives, which is changed, is its own.
    """
    own = [Linear(None if v is None else _leaf(v), _leaf(s), _leaf(b)) for v, s, b in layers]
    flat = [tensor for layer in own for tensor in layer]
    found = torch.zeros_like(inputs[0]), torch.zeros_like(inputs[1])
    for nodes, offsets in groups:
        if nodes.start == nodes.stop:
            continue
        given = [_leaf(values[nodes]) for values in inputs]
        with torch.enable_grad():
            outputs = step(offsets, *given, *own)
        grads = [grad[nodes] for grad in arriving]
        if sums is not None:
            sums.add(rows_of(*outputs), rows_of(*grads))
        torch.autograd.backward(outputs, grads)
        for values, part in zip(found, given, strict=True):
            values[nodes] = 0.0 if part.grad is None else part.grad
    return found, [None if tensor is None else tensor.grad for tensor in flat]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_()


_network: Callable[..., _Streams] = _Network.apply

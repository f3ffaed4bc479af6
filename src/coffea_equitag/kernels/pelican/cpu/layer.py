"""A layer of PELICAN with gradients on the CPU, from messages to the next; T is computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8
from ...common.cpu.aligned import aligned
from ...common.cpu.folding import double
from ...common.cpu.jet_groups import JetGroups
from ...common.dropout import threshold_of
from .backward import Arriving, LayerGrads, sweep_backward
from .channel_blocks import HALF, blocks_for
from .chunks import MARGIN, NodeTerms
from .dropout_bits import bytes_of
from .forward import Draw, Jets, LayerSums, LayerValues, LayerWeights, sweep_forward
from .group_sums import in_order
from .weights import blocked, padded

__all__ = ["Batch", "Messages", "encoded_messages", "next_messages", "total_channels"]


@dataclass(frozen=True)
class Batch:
    """The jets, and what the network sees of their pairs.

    Attributes
    ----------
    groups : JetGroups
        The jets.
    products : ndarray of float64, shape (Q, R)
        Pair channels.
    encoded : int
        Number of channels that they are encoded to.
    """

    groups: JetGroups
    products: F8
    encoded: int

    @property
    def num_pairs(self) -> int:
        """Q, pairs i = j included."""
        return int(self.groups.squares[-1])


@dataclass(frozen=True)
class Messages:
    """Messages Y before their BatchNorm, D channels, and their sums after dropout.

    Attributes
    ----------
    values : Tensor, shape (Q, N)
        The messages, D channels padded to N; of each jet Y_ij of pairs i < j, then Y_ji, then Y_ii.
    bits : Tensor of uint8
        Which of them dropout keeps.
    sums : Tensor of float64, shape (N nodes, 3, N)
        Of those kept: Y_ii, the sum of Y_ji and the sum of Y_ij over j.
    counts : Tensor of float32, shape (N nodes, 3, N)
        How many were summed.
    moments : Tensor of float64, shape (2, N)
        Sums of all messages and of their squares.
    """

    values: Tensor
    bits: Tensor
    sums: Tensor
    counts: Tensor
    moments: Tensor


def encoded_messages(
    batch: Batch, terms: Tensor, embedding: tuple[Tensor, Tensor, Tensor], linear: nn.Linear, key: int, drop: float
) -> Messages:
    """The first messages: of encoded products beside LeakyReLU of u_i + v_j + δ_ij d_i.

    Parameters
    ----------
    batch : Batch
        The jets.
    terms : Tensor of float32, shape (3, N nodes, W)
        u, v and d, S channels padded to `total_channels`; 0 in the encoder's.
    embedding : tuple of Tensor
        Weights (C, R) and bias (C,) of the embedding, and the encoder's exponents a (C,).
    linear : Linear
        The message's.
    key, drop : int, float
        Dropout's key and its probability.
    """
    setting = _Setting(batch, True, key, threshold_of(drop))
    return Messages(*_layer(setting, terms, linear.weight, linear.bias, *embedding))


def next_messages(
    batch: Batch,
    before: Messages,
    norm: Tensor,
    terms: Tensor,
    mixing: Tensor,
    linear: nn.Linear,
    key: int,
    drop: float,
) -> Messages:
    """The messages after X W₁ + (X W₂)ᵀ + u_i + v_j + δ_ij d_i, where X = scale Y + shift of the messages Y kept.

    Parameters
    ----------
    batch, terms, linear, key, drop
        As for `encoded_messages`.
    before : Messages
        Y.
    norm : Tensor of float64, shape (2, D)
        Scale and shift, see `batch_norm.scale_and_shift`.
    mixing : Tensor of float32, shape (2, D, S)
        W₁ and W₂.
    """
    setting = _Setting(batch, False, key, threshold_of(drop))
    return Messages(*_layer(setting, terms, linear.weight, linear.bias, before.values, before.bits, norm, mixing))


def total_channels(channels: int) -> int:
    """Channels with padding."""
    blocks = blocks_for(channels)
    return len(blocks) * len(blocks[0]) * HALF


@dataclass(frozen=True)
class _Setting:
    """What a layer depends on besides tensors: the jets, whether it begins with encoded products, and dropout."""

    batch: Batch
    first: bool
    key: int
    threshold: int

    @property
    def jets(self) -> Jets:
        groups = self.batch.groups
        return Jets(groups.offsets, groups.squares, groups.groups, self.batch.products)


class _Layer(torch.autograd.Function):
    """From terms of nodes, weights, and either encoder or messages, to messages, bits, sums, counts and moments."""

    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, terms: Tensor, weight: Tensor, bias: Tensor, *given: Tensor
    ) -> tuple[Tensor, ...]:
        weights = _weights(setting, [weight, bias, *(given if setting.first else given[2:])])
        groups, narrow = setting.batch.groups, len(weights.message_bias)
        messages = _rows(setting.batch.num_pairs, narrow)
        bits = np.empty((len(messages), bytes_of(weights.narrow)), np.uint8)
        nodes = (groups.num_nodes, 3, narrow)
        sums = LayerSums(np.zeros(nodes), np.zeros(nodes, np.float32), np.zeros((groups.num_groups, 2, narrow)))
        values, jets = _values(setting, terms, messages, bits, given), setting.jets
        draw = Draw(np.uint64(setting.key), np.uint32(setting.threshold))
        groups.over_groups(lambda a, b: sweep_forward(weights, jets, values, sums, draw, a, b))
        found = tuple(map(torch.from_numpy, (messages, bits, sums.sums, sums.counts, sums.moments.sum(axis=0))))
        if any(ctx.needs_input_grad):
            ctx.setting, ctx.weights = setting, weights
            ctx.save_for_backward(found[0], found[1], terms, weight, bias, *given)
            ctx.mark_non_differentiable(found[1], found[3])
            ctx.set_materialize_grads(False)
        return found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        grad_messages: Tensor | None,
        _b: None,
        grad_sums: Tensor | None,
        _c: None,
        grad_moments: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        setting, weights = ctx.setting, ctx.weights
        messages, bits, terms, weight, _, *given = ctx.saved_tensors
        values, jets = _values(setting, terms, messages.numpy(), bits.numpy(), given), setting.jets
        grad_terms = np.zeros(terms.shape, np.float32)
        arriving, grads = _arriving(values, grad_messages, grad_sums, grad_moments), _grads(setting, values, grad_terms)
        setting.batch.groups.over_groups(lambda a, b: sweep_backward(weights, jets, values, arriving, grads, a, b))
        (depth, channels), encoded = weight.shape, setting.batch.encoded
        message, even, odd = (in_order(parts)[:depth, :channels] for parts in (grads.message, grads.even, grads.odd))
        found = [grad_terms, message, grads.message_bias.sum(axis=0)[:depth]]
        if setting.first:
            *inputs, bias, power = grads.encoder.sum(axis=0)[:, :encoded]
            return None, *map(_float, (*found, np.stack(inputs, axis=1), bias, power))
        mixing = torch.from_numpy(np.stack([even + odd, even - odd]) / 2).to(given[3])
        norm = torch.from_numpy(grads.norm.sum(axis=0)[:, :depth])
        return None, *map(_float, found), torch.from_numpy(grads.before), None, norm, mixing


_layer: Callable[..., tuple[Tensor, ...]] = _Layer.apply


def _values(setting: _Setting, terms: Tensor, messages: F4, bits: Any, given: Any) -> LayerValues:
    before, before_bits = (messages, bits) if setting.first else map(_array, given[:2])
    return LayerValues(NodeTerms(*_array(terms)), before, before_bits, messages, bits)


def _arriving(values: LayerValues, messages: Tensor | None, sums: Tensor | None, moments: Tensor | None) -> Arriving:
    (nodes, _), narrow = values.terms.u.shape, values.messages.shape[1]
    statistics = np.zeros((2, narrow)) if moments is None else moments.numpy() * [[1.0], [2.0]]
    return Arriving(
        values.messages,
        values.bits,
        np.zeros(values.messages.shape, np.float32) if messages is None else _array(messages),
        np.zeros((nodes, 3, narrow), np.float32) if sums is None else _array(sums.float()),
        np.ascontiguousarray(statistics, np.float32),
    )


def _grads(setting: _Setting, values: LayerValues, terms: F4) -> LayerGrads:
    """Room for a layer's gradients."""
    first, groups, inputs = setting.first, setting.batch.groups.num_groups, setting.batch.products.shape[1]
    wide, narrow = terms.shape[2], values.messages.shape[1]
    matrix, mixing_groups = (narrow + MARGIN, wide), 1 if first else groups
    return LayerGrads(
        before=_rows(1 if first else len(values.messages), narrow),
        terms=NodeTerms(*terms),
        message=np.zeros((groups, *matrix), np.float32),
        even=np.zeros((mixing_groups, *matrix), np.float32),
        odd=np.zeros((mixing_groups, *matrix), np.float32),
        message_bias=np.zeros((groups, narrow)),
        norm=np.zeros((groups, 2, narrow)),
        encoder=np.zeros((groups if first else 1, inputs + 2, wide)),
    )


def _array(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().numpy())


def _float(values: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _rows(number: int, width: int) -> F4:
    """Room for rows that begin with a cache line."""
    buffer = np.empty(number * width + 16, np.float32)
    start = -buffer.ctypes.data % 64 // 4
    return buffer[start : start + number * width].reshape(number, width)


def _weights(setting: _Setting, tensors: list[Tensor]) -> LayerWeights:
    weight, bias, *given = map(double, tensors)
    depth, channels = weight.shape
    narrow, wide, first = blocks_for(depth), blocks_for(channels), setting.first
    zeros, inputs = np.zeros((depth, channels)), setting.batch.products.shape[1]
    embedding, embedding_bias, power = given if first else (np.zeros((1, inputs)), np.zeros(1), np.ones(1))
    (scale, shift), mixing = (np.zeros((2, depth)), [zeros] * 2) if first else given
    leak = np.full(channels, 0.01)
    leak[: setting.batch.encoded * first] = 1
    even, odd = (mixing[0] + mixing[1]) / 2, (mixing[0] - mixing[1]) / 2
    return LayerWeights(
        narrow=narrow,
        wide=wide,
        # of all layers, though only the first encodes: numba compiles once
        encoded=blocks_for(setting.batch.encoded),
        first=first,
        embedding=aligned(padded(embedding.T, wide)),
        embedding_bias=aligned(padded(embedding_bias, wide)),
        power=aligned(padded(power, wide)),
        inverse=aligned(padded(1 / power, wide)),
        scale=aligned(padded(scale, narrow)),
        shift=aligned(padded(shift, narrow)),
        even=aligned(blocked(even, wide)),
        odd=aligned(blocked(odd, wide)),
        message=aligned(blocked(weight.T, narrow)),
        message_bias=aligned(padded(bias, narrow)),
        even_transposed=aligned(blocked(even.T, narrow)),
        odd_transposed=aligned(blocked(odd.T, narrow)),
        message_transposed=aligned(blocked(weight, wide)),
        leak=aligned(padded(leak, wide)),
    )

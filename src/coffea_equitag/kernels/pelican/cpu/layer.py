"""A layer of PELICAN with gradients on the CPU, from messages to the next; wide rows are made again on the way back."""

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
from ..dropout import threshold_of
from .backward import LayerSlopes, sweep_back
from .forward import MARGIN, Jets, LayerWeights, Terms, sweep_forth
from .group_sums import in_order
from .pair_dropout import bytes_of
from .pair_shapes import HALF, columns_for
from .weights import blocked, padded

__all__ = ["Batch", "Messages", "encoded_messages", "next_messages", "total_columns"]


@dataclass(frozen=True)
class Batch:
    """The jets, and what the network sees of their pairs.

    Attributes
    ----------
    layout : JetGroups
        The jets.
    products : ndarray of float64, shape (Q, R)
        Pair channels.
    encoded : int
        Channels that they are encoded to.
    """

    layout: JetGroups
    products: F8
    encoded: int

    @property
    def num_pairs(self) -> int:
        """Q, pairs i = j among them."""
        return int(self.layout.squares[-1])


@dataclass(frozen=True)
class Messages:
    """Messages before their BatchNorm, D channels, and what is summed of them with dropout.

    Attributes
    ----------
    values : Tensor, shape (Q, N)
        The messages, D channels padded to N; of each jet those of pairs i < j, those of j, i, those of i, i.
    bits : Tensor of uint8
        Which of them dropout keeps.
    sums : Tensor of float64, shape (N nodes, 3, N)
        Of those kept: X_ii, the sum of X_ji and the sum of X_ij over j.
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
    batch: Batch,
    terms: Tensor,
    embedding: tuple[Tensor, Tensor, Tensor],
    linear: nn.Linear,
    key: int,
    drop: float,
) -> Messages:
    """The first messages: of encoded products beside LeakyReLU of u_i + v_j + δ_ij d_i.

    Parameters
    ----------
    batch : Batch
        The jets.
    terms : Tensor of float32, shape (3, N nodes, W)
        u, v and d, S channels padded to `total_columns`; 0 in the encoder's.
    embedding : tuple of Tensor
        Weights (C, R) and bias (C,) of the embedding, and the encoder's exponents a (C,).
    linear : Linear
        The message's.
    key, drop : int, float
        What dropout draws, and its probability.
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
    """The messages after X W₁ + (X W₂)ᵀ + u_i + v_j + δ_ij d_i, X being scale Y + shift of those messages Y kept.

    Parameters
    ----------
    batch, terms, linear, key, drop
        As of `encoded_messages`.
    before : Messages
        Y.
    norm : Tensor of float64, shape (2, D)
        Scale and shift, see `pelican_norm`.
    mixing : Tensor of float32, shape (2, D, S)
        W₁ and W₂.
    """
    setting = _Setting(batch, False, key, threshold_of(drop))
    return Messages(*_layer(setting, terms, linear.weight, linear.bias, before.values, before.bits, norm, mixing))


def total_columns(channels: int) -> int:
    """Channels with padding."""
    columns = columns_for(channels)
    return len(columns) * len(columns[0]) * HALF


@dataclass(frozen=True)
class _Setting:
    """What a layer depends on besides tensors: the jets, whether it begins with encoded products, and dropout."""

    batch: Batch
    first: bool
    key: int
    threshold: int


class _Layer(torch.autograd.Function):
    """From terms of nodes, weights, and either encoder or messages, to messages, bits, sums, counts and moments."""

    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, terms: Tensor, weight: Tensor, bias: Tensor, *given: Tensor
    ) -> tuple[Tensor, ...]:
        weights = _weights(setting, [weight, bias, *(given if setting.first else given[2:])])
        layout, narrow = setting.batch.layout, len(weights.message_bias)
        jets, nodes = _jets(setting), (layout.num_nodes, 3, narrow)
        values = _rows(setting.batch.num_pairs, narrow)
        bits = np.empty((len(values), bytes_of(weights.narrow)), np.uint8)
        sums, counts = np.zeros(nodes), np.zeros(nodes, np.float32)
        moments = np.zeros((layout.num_groups, 2, narrow))
        before, before_bits = (values, bits) if setting.first else map(_array, given[:2])
        u, v, d = _array(terms)
        own = Terms(u, v, d, before, before_bits, values, bits)
        key, threshold = np.uint64(setting.key), np.uint32(setting.threshold)
        layout.over_groups(
            lambda first, last: sweep_forth(weights, jets, own, sums, counts, moments, key, threshold, first, last)
        )
        found = tuple(map(torch.from_numpy, (values, bits, sums, counts, moments.sum(axis=0))))
        if any(ctx.needs_input_grad):
            ctx.setting, ctx.weights = setting, weights
            ctx.save_for_backward(found[0], found[1], terms, weight, bias, *given)
            ctx.mark_non_differentiable(found[1], found[3])
            ctx.set_materialize_grads(False)
        return found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, arriving: Tensor | None, _bits: None, of_sums: Tensor | None, _counts: None, of_moments: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        setting, weights = ctx.setting, ctx.weights
        values, bits, terms, weight, _, *given = ctx.saved_tensors
        layout, first = setting.batch.layout, setting.first
        messages, kept = values.numpy(), bits.numpy()
        before, before_bits = (messages, kept) if first else map(_array, given[:2])
        u, v, d = _array(terms)
        (depth, channels), groups = weight.shape, layout.num_groups
        narrow, wide, inputs = messages.shape[1], u.shape[1], setting.batch.products.shape[1]
        statistics = np.zeros((2, narrow)) if of_moments is None else of_moments.numpy() * [[1.0], [2.0]]
        of_weights, of_terms = 1 if first else groups, np.zeros(terms.shape, np.float32)
        slopes = LayerSlopes(
            messages=np.zeros(messages.shape, np.float32) if arriving is None else _array(arriving),
            nodes=np.zeros((len(u), 3, narrow), np.float32) if of_sums is None else _array(of_sums.float()),
            statistics=np.ascontiguousarray(statistics, np.float32),
            before=_rows(1 if first else len(messages), narrow),
            u=of_terms[0],
            v=of_terms[1],
            d=of_terms[2],
            message=np.zeros((groups, narrow + MARGIN, wide), np.float32),
            even=np.zeros((of_weights, narrow + MARGIN, wide), np.float32),
            odd=np.zeros((of_weights, narrow + MARGIN, wide), np.float32),
            message_bias=np.zeros((groups, narrow)),
            norm=np.zeros((groups, 2, narrow)),
            encoder=np.zeros((groups if first else 1, inputs + 2, wide)),
        )
        own, jets = Terms(u, v, d, before, before_bits, messages, kept), _jets(setting)
        layout.over_groups(lambda a, b: sweep_back(weights, jets, own, slopes, a, b))
        found = [
            of_terms,
            _total(slopes.message, depth, channels),
            slopes.message_bias.sum(axis=0)[:depth],
        ]
        gradients = [torch.from_numpy(np.ascontiguousarray(value, np.float32)) for value in found]
        if first:
            *of_inputs, of_bias, of_power = slopes.encoder.sum(axis=0)[:, : setting.batch.encoded]
            encoder = np.stack(of_inputs, axis=1), of_bias, of_power
            gradients += [torch.from_numpy(np.ascontiguousarray(value, np.float32)) for value in encoder]
            return None, *gradients
        even, odd = _total(slopes.even, depth, channels), _total(slopes.odd, depth, channels)
        mixing = np.stack([even + odd, even - odd]) / 2
        return (
            None,
            *gradients,
            torch.from_numpy(slopes.before),
            None,
            torch.from_numpy(slopes.norm.sum(axis=0)[:, :depth]),
            torch.from_numpy(mixing).to(given[3]),
        )


_layer: Callable[..., tuple[Tensor, ...]] = _Layer.apply


def _array(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().numpy())


def _rows(number: int, width: int) -> F4:
    """Room for rows that begin with a cache line."""
    buffer = np.empty(number * width + 16, np.float32)
    start = -buffer.ctypes.data % 64 // 4
    return buffer[start : start + number * width].reshape(number, width)


def _jets(setting: _Setting) -> Jets:
    layout = setting.batch.layout
    return Jets(layout.offsets, layout.squares, layout.groups, setting.batch.products)


def _total(groups: F4, depth: int, channels: int) -> F8:
    """A gradient, groups added up in their order."""
    return in_order(groups)[:depth, :channels]


def _weights(setting: _Setting, tensors: list[Tensor]) -> LayerWeights:
    weight, bias, *given = map(double, tensors)
    depth, channels = weight.shape
    narrow, wide, first = columns_for(depth), columns_for(channels), setting.first
    zeros, inputs = np.zeros((depth, channels)), setting.batch.products.shape[1]
    embedding, embedding_bias, power = given if first else (np.zeros((1, inputs)), np.zeros(1), np.ones(1))
    (scale, shift), mixing = (np.zeros((2, depth)), [zeros] * 2) if first else given
    below_zero = np.full(channels, 0.01)
    below_zero[: setting.batch.encoded * first] = 1
    even, odd = (mixing[0] + mixing[1]) / 2, (mixing[0] - mixing[1]) / 2
    return LayerWeights(
        narrow=narrow,
        wide=wide,
        # of all layers, though the first alone encodes: numba compiles once
        encoded=columns_for(setting.batch.encoded),
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
        even_back=aligned(blocked(even.T, narrow)),
        odd_back=aligned(blocked(odd.T, narrow)),
        message_back=aligned(blocked(weight, wide)),
        below_zero=aligned(padded(below_zero, wide)),
    )

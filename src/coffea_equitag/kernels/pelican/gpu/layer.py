"""A layer of PELICAN with gradients on a GPU, from messages to the next; wide rows are made again on the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...common.gpu.tiles import RECEIVERS, Tiles
from .backward import PROGRAMS, block_slopes_kernel, sender_sums_kernel
from .backward import TILES as TILES_BACK
from .blocks import TILES
from .encoder_gradient import encoder_slopes_kernel
from .forward import messages_kernel, sums_kernel

__all__ = ["Batch", "Draw", "Messages", "encoded_messages", "next_messages"]

#: Nodes' partners that `sums_kernel` takes at once, and channels that are read at once.
_OTHERS, _VECTOR = 2, 4


@dataclass(frozen=True)
class Batch:
    """The jets, what the network sees of their pairs, and how it is worked on.

    Attributes
    ----------
    tiles : Tiles
        The jets.
    shares : Tensor of int64, shape (J + 1,)
        n times its tiles, before each jet.
    num_shares : int
        That of all jets.
    products : Tensor of float64, shape (Q, R)
        Pair channels.
    encoded : int
        Channels that they are encoded to.
    narrow, wide, chunk : int
        Channels of messages and of blocks' outputs, with padding, and how many of the latter are worked on at once.
    precision : str
        Of the products.
    """

    tiles: Tiles
    shares: Tensor
    num_shares: int
    products: Tensor
    encoded: int
    narrow: int
    wide: int
    chunk: int
    precision: str


@dataclass(frozen=True)
class Draw:
    """What a layer's dropout draws: a key, and the hash below which a channel of a pair is dropped; 0 for none."""

    key: int
    threshold: int


@dataclass(frozen=True)
class Messages:
    """Messages before their BatchNorm, D channels, and what is summed of them with dropout.

    Attributes
    ----------
    values : Tensor of float32, shape (Q, D + padding)
        The messages, in rows of a multiple of 16 bytes: all that is kept of pairs.
    draw : Draw
        Which of them dropout keeps; found again from this wherever it is wanted.
    sums : Tensor of float64, shape (N, 3, D)
        Of those kept: X_ii, the sum of X_ji and the sum of X_ij over j.
    counts : Tensor of float32, shape (N, 3, D), or None
        How many were summed, if any was dropped.
    moments : Tensor of float64, shape (2, D)
        Sums of all messages and of their squares.
    """

    values: Tensor
    draw: Draw
    sums: Tensor
    counts: Tensor | None
    moments: Tensor


def encoded_messages(
    batch: Batch, terms: Tensor | None, embedding: tuple[Tensor, Tensor, Tensor], linear: nn.Linear, draw: Draw
) -> Messages:
    """The first messages: of encoded products beside LeakyReLU of u_i + v_j + δ_ij d_i.

    Parameters
    ----------
    batch : Batch
        The jets.
    terms : Tensor of float32, shape (3, N, W), or None
        u, v and d, 0 in the encoder's channels.
    embedding : tuple of Tensor
        Weights (C, R) and bias (C,) of the embedding, and the encoder's exponents a (C,).
    linear : Linear
        The message's.
    draw : Draw
        Its dropout's.
    """
    setting = _Setting(batch, None, draw)
    values, *rest = _layer(setting, terms, linear.weight, linear.bias, *embedding)
    return Messages(values, draw, *rest)


def next_messages(
    batch: Batch, before: Messages, norm: Tensor, terms: Tensor, mixing: Tensor, linear: nn.Linear, draw: Draw
) -> Messages:
    """The messages after X W₁ + (X W₂)ᵀ + u_i + v_j + δ_ij d_i, X being scale Y + shift of those messages Y kept.

    Parameters
    ----------
    batch, terms, linear, draw
        As of `encoded_messages`.
    before : Messages
        Y.
    norm : Tensor of float64, shape (2, D)
        Scale and shift, see `pelican_norm`.
    mixing : Tensor of float32, shape (2, D, S)
        W₁ and W₂.
    """
    setting = _Setting(batch, before.draw, draw)
    values, *rest = _layer(setting, terms, linear.weight, linear.bias, before.values, norm, mixing)
    return Messages(values, draw, *rest)


@dataclass(frozen=True)
class _Setting:
    """What a layer depends on besides tensors: the jets, and dropout of what enters, if messages do, and leaves."""

    batch: Batch
    enters: Draw | None
    leaves: Draw


class _Layer(torch.autograd.Function):
    """From terms of nodes, weights, and either encoder or messages, to messages, sums, counts and moments."""

    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, terms: Tensor | None, weight: Tensor, bias: Tensor, *given: Tensor
    ) -> tuple[Tensor | None, ...]:
        batch, enters, leaves = setting.batch, setting.enters, setting.leaves
        tiles, programs = batch.tiles, (len(batch.tiles.jet),)
        channels, depth = len(weight), -(-len(weight) // _VECTOR) * _VECTOR
        where = tiles.offsets, tiles.pairs, tiles.jet, tiles.first
        values = weight.new_empty(tiles.num_pairs, depth)
        sums = batch.products.new_empty(tiles.num_nodes, 3, depth)
        counts = weight.new_empty(sums.shape if leaves.threshold else (0,))
        moments = batch.products.new_empty(len(tiles.jet), 2, depth)
        if tiles.num_pairs:
            receivers, senders, warps = TILES[batch.precision]
            messages_kernel[programs](
                *_forth(setting, terms, given), _rows(batch, weight).T.contiguous(), _padded(bias, batch.narrow),
                *where, values, batch.encoded, *_draw(enters), FIRST=enters is None,
                INPUTS=batch.products.shape[1], TERMS=terms is not None, DROP=_drops(enters),
                PRECISION=batch.precision, DEPTH=depth, NARROW=batch.narrow, WIDE=batch.wide, CHUNK=batch.chunk,
                RECEIVERS=RECEIVERS, BI=receivers, BJ=senders, num_warps=warps, num_stages=1,
            )  # fmt: skip
            sums_kernel[programs](
                values, *where, sums, counts, moments, *_draw(leaves), DROP=_drops(leaves), DEPTH=depth,
                NARROW=batch.narrow, NODES=RECEIVERS, OTHERS=_OTHERS, num_warps=4 if batch.narrow <= 64 else 8,
            )  # fmt: skip
        ctx.setting = setting
        ctx.save_for_backward(values, terms, weight, *given)
        ctx.set_materialize_grads(False)
        found = sums[..., :channels], counts[..., :channels], moments.sum(dim=0)[:, :channels]
        if not leaves.threshold:
            return values, found[0], None, found[2]
        ctx.mark_non_differentiable(found[1])
        return values, *found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, arriving: Tensor | None, of_sums: Tensor | None, _counts: None, of_moments: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        values, terms, weight, *given = ctx.saved_tensors
        setting: _Setting = ctx.setting
        batch, enters, leaves = setting.batch, setting.enters, setting.leaves
        tiles, narrow, wide = batch.tiles, batch.narrow, batch.wide
        (depth, channels), columns = weight.shape, values.shape[1]
        if not tiles.num_pairs:
            of_bias = weight.new_zeros(depth)
            return None, _zeros(terms), _zeros(weight), of_bias, *map(_zeros, given)
        of_nodes = weight.new_zeros(tiles.num_nodes, 3, columns) if of_sums is None else _padded(of_sums, columns)
        statistics = weight.new_zeros(2, narrow)
        if of_moments is not None:
            statistics[0, :depth], statistics[1, :depth] = of_moments[0], 2 * of_moments[1]
        programs = min(len(tiles.jet), PROGRAMS)
        of_terms = None if terms is None else torch.empty_like(terms)
        of_senders = weight.new_empty(0 if terms is None else batch.num_shares, wide)
        kinds = 1 if enters is None else 3
        matrices = weight.new_empty(programs, kinds, narrow, wide)
        vectors = weight.new_empty(programs, kinds, narrow)
        common = (
            _rows(batch, weight), values, values if arriving is None else arriving.contiguous(), of_nodes, statistics,
            tiles.offsets, tiles.pairs, batch.shares, tiles.jet, tiles.first, len(tiles.jet),
        )  # fmt: skip
        senders, warps = TILES_BACK[batch.precision]
        geometry: dict[str, Any] = {
            "ARRIVES": arriving is not None, "DROP_AFTER": _drops(leaves), "PRECISION": batch.precision,
            "DEPTH": columns, "NARROW": narrow, "WIDE": wide, "CHUNK": batch.chunk, "RECEIVERS": RECEIVERS,
            "BJ": senders, "num_warps": warps if narrow <= 64 else 2 * warps, "num_stages": 1,
        }  # fmt: skip
        through: list[Tensor | None]
        if enters is None:
            inputs = batch.products.shape[1]
            encoder = weight.new_empty(programs, inputs + 2, wide)
            encoder_slopes_kernel[(programs, wide // batch.chunk)](
                *_forth(setting, terms, given)[4:], *common, values if of_terms is None else of_terms, of_senders,
                matrices, vectors, encoder, batch.encoded, *_draw(leaves), TERMS=terms is not None, INPUTS=inputs,
                SEEN=triton.next_power_of_2(inputs), **geometry,
            )  # fmt: skip
            found = encoder[:, :, : batch.encoded].sum(dim=0, dtype=torch.float64).float()
            through = [found[:inputs].T, found[inputs], found[inputs + 1]]
        else:
            assert of_terms is not None
            straight, mirrored = torch.empty_like(values), torch.empty_like(values)
            before, norm, plain, turned = _forth(setting, terms, given)[:4]
            block_slopes_kernel[(programs,)](
                before, norm, plain, turned, plain.T.contiguous(), turned.T.contiguous(), terms, tiles.num_nodes,
                *common, straight, mirrored, of_terms, of_senders, matrices, vectors, *_draw(enters), *_draw(leaves),
                DROP=_drops(enters), **geometry,
            )  # fmt: skip
            through = [straight.add_(mirrored), None, None]
        if of_terms is not None:
            sender_sums_kernel[(len(tiles.jet), wide // batch.chunk)](
                of_senders, tiles.offsets, batch.shares, tiles.jet, tiles.first, of_terms[1],
                WIDE=wide, CHUNK=batch.chunk, RECEIVERS=RECEIVERS,
            )  # fmt: skip
        of_matrices = matrices.sum(dim=0, dtype=torch.float64)
        of_vectors = vectors.sum(dim=0, dtype=torch.float64)[:, :depth]
        if enters is not None:
            through[1:] = of_vectors[1:], of_matrices[1:, :depth, : given[2].shape[2]].float()
        return None, of_terms, of_matrices[0, :depth, :channels].float(), of_vectors[0].float(), *through


_layer: Callable[..., tuple[Any, ...]] = _Layer.apply


def _forth(setting: _Setting, terms: Tensor | None, given: Any) -> tuple[Any, ...]:
    """The first arguments of `messages_kernel`, up to the number of nodes."""
    batch = setting.batch
    number = batch.tiles.num_nodes
    if setting.enters is None:
        weight, bias, power = given
        exponent = nn.functional.pad(power, (0, batch.wide - len(power)), value=1.0)
        embedding = _padded(weight.T, batch.wide), _padded(bias, batch.wide), exponent
        return *[embedding[0]] * 4, batch.products, *embedding, embedding[0] if terms is None else terms, number
    before, norm, mixing = given
    matrices = nn.functional.pad(
        mixing, (0, batch.wide - mixing.shape[2], 0, batch.narrow - mixing.shape[1])
    ).contiguous()
    return before, _padded(norm, batch.narrow), *matrices, *[terms] * 4, terms, number


def _rows(batch: Batch, weight: Tensor) -> Tensor:
    """The message layer's weights, outputs first, padded."""
    depth, channels = weight.shape
    return nn.functional.pad(weight, (0, batch.wide - channels, 0, batch.narrow - depth)).contiguous()


def _padded(values: Tensor, width: int) -> Tensor:
    return nn.functional.pad(values.float(), (0, width - values.shape[-1])).contiguous()


def _draw(draw: Draw | None) -> tuple[int, int]:
    return (0, 0) if draw is None else (draw.key, draw.threshold)


def _drops(draw: Draw | None) -> bool:
    return draw is not None and draw.threshold > 0


def _zeros(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.zeros_like(tensor)

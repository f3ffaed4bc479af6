"""A layer of PELICAN with gradients on a GPU, from messages to the next; T is computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...common.gpu.folding import padded
from ...common.gpu.tiles import Tiles
from .backward import PROGRAMS, block_gradient_kernel, sender_sums_kernel
from .backward import TILES as TILES_BACKWARD
from .blocks import TILES
from .encoder_gradient import encoder_gradient_kernel
from .forward import messages_kernel, sums_kernel
from .kernel_arguments import Arriving, BlockGrads, Encoder, EncoderGrads, Entering, Linear, Shape, Transposed

__all__ = ["Batch", "Draw", "Messages", "encoded_messages", "next_messages"]

#: Nodes' partners that `sums_kernel` takes at once.
_OTHERS = 2


@dataclass(frozen=True)
class Batch:
    """The jets, what the network sees of their pairs, and the kernels' sizes.

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
    shape : Shape
        Sizes, with the backward pass's tiles.
    """

    tiles: Tiles
    shares: Tensor
    num_shares: int
    products: Tensor
    shape: Shape


@dataclass(frozen=True)
class Draw:
    """What a layer's dropout draws: a key, and the hash below which a channel of a pair is dropped; 0 for none."""

    key: int
    threshold: int

    @property
    def drops(self) -> bool:
        """Whether it drops anything."""
        return self.threshold > 0


@dataclass(frozen=True)
class Messages:
    """Messages Y before their BatchNorm, D channels, and their sums after dropout.

    Attributes
    ----------
    values : Tensor of float32, shape (Q, D + padding)
        The messages, in rows of a multiple of 16 bytes: all that is stored of pairs.
    draw : Draw
        Which of them dropout keeps; found again from this wherever it is wanted.
    sums : Tensor of float64, shape (N, 3, D)
        Of those kept: Y_ii, the sum of Y_ji and the sum of Y_ij over j.
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
    """The messages after X W₁ + (X W₂)ᵀ + u_i + v_j + δ_ij d_i, where X = scale Y + shift of the messages Y kept.

    Parameters
    ----------
    batch, terms, linear, draw
        As for `encoded_messages`.
    before : Messages
        Y.
    norm : Tensor of float64, shape (2, D)
        Scale and shift, see `batch_norm.scale_and_shift`.
    mixing : Tensor of float32, shape (2, D, S)
        W₁ and W₂.
    """
    setting = _Setting(batch, before.draw, draw)
    values, *rest = _layer(setting, terms, linear.weight, linear.bias, before.values, norm, mixing)
    return Messages(values, draw, *rest)


_NO_DRAW = Draw(0, 0)


@dataclass(frozen=True)
class _Setting:
    """What a layer depends on besides tensors: the jets, and dropout of what enters, if messages do, and leaves."""

    batch: Batch
    enters: Draw | None
    leaves: Draw

    @property
    def first(self) -> bool:
        return self.enters is None


class _Layer(torch.autograd.Function):
    """From terms of nodes, weights, and either encoder or messages, to messages, sums, counts and moments."""

    @staticmethod
    def forward(
        ctx: Any, setting: _Setting, terms: Tensor | None, weight: Tensor, bias: Tensor, *given: Tensor
    ) -> tuple[Tensor | None, ...]:
        batch, enters, leaves = setting.batch, setting.enters or _NO_DRAW, setting.leaves
        tiles, jets, programs = batch.tiles, batch.tiles.arguments, (len(batch.tiles.jet),)
        channels, shape = len(weight), batch.shape
        values = weight.new_empty(tiles.num_pairs, shape.depth)
        sums = batch.products.new_empty(tiles.num_nodes, 3, shape.depth)
        counts = weight.new_empty(sums.shape if leaves.drops else (0,))
        moments = batch.products.new_empty(len(tiles.jet), 2, shape.depth)
        if tiles.num_pairs:
            receivers, senders, warps = TILES[shape.precision]
            entering, encoder = _inputs(setting, given)
            messages_kernel[programs](
                entering, encoder, entering.plain if terms is None else terms,
                Linear(padded(weight.T, shape.wide, shape.narrow), _padded(bias, shape.narrow)), jets, values,
                tiles.num_nodes, enters.key, enters.threshold, FIRST=setting.first, TERMS=terms is not None,
                DROP=enters.drops, SHAPE=replace(shape, receivers=receivers, senders=senders), num_warps=warps,
                num_stages=1,
            )  # fmt: skip
            sums_kernel[programs](
                values, jets, sums, counts, moments, leaves.key, leaves.threshold, DROP=leaves.drops,
                DEPTH=shape.depth, NARROW=shape.narrow, OTHERS=_OTHERS, num_warps=4 if shape.narrow <= 64 else 8,
            )  # fmt: skip
        ctx.setting = setting
        ctx.save_for_backward(values, terms, weight, *given)
        ctx.set_materialize_grads(False)
        found = sums[..., :channels], counts[..., :channels], moments.sum(dim=0)[:, :channels]
        if not leaves.drops:
            return values, found[0], None, found[2]
        ctx.mark_non_differentiable(found[1])
        return values, *found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_values: Tensor | None, grad_sums: Tensor | None, _counts: None, grad_moments: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        values, terms, weight, *given = ctx.saved_tensors
        batch: Batch = ctx.setting.batch
        tiles, shape, (depth, channels) = batch.tiles, batch.shape, weight.shape
        if not tiles.num_pairs:
            return None, _zeros(terms), _zeros(weight), weight.new_zeros(depth), *map(_zeros, given)
        arriving = _arriving(batch, values, grad_values, grad_sums, grad_moments, depth)
        grad_terms = None if terms is None else torch.empty_like(terms)
        senders = weight.new_empty(0 if terms is None else batch.num_shares, shape.wide)
        programs, kinds = min(len(tiles.jet), PROGRAMS), 1 if ctx.setting.first else 3
        matrices = weight.new_empty(programs, kinds, shape.narrow, shape.wide)
        vectors = weight.new_empty(programs, kinds, shape.narrow)
        gradient = _encoder_gradient if ctx.setting.first else _block_gradient
        through = gradient(
            ctx.setting, weight, terms, given, arriving, (grad_terms, senders, matrices, vectors),
            ARRIVES=grad_values is not None, **_launch(shape),
        )  # fmt: skip
        if grad_terms is not None:
            sender_sums_kernel[(len(tiles.jet), shape.wide // shape.chunk)](
                senders, tiles.arguments, batch.shares, grad_terms[1], WIDE=shape.wide, CHUNK=shape.chunk
            )
        grad_matrices = matrices.sum(dim=0, dtype=torch.float64)
        grad_vectors = vectors.sum(dim=0, dtype=torch.float64)[:, :depth]
        if not ctx.setting.first:
            through += grad_vectors[1:], grad_matrices[1:, :depth, : given[2].shape[2]].float()
        return None, grad_terms, grad_matrices[0, :depth, :channels].float(), grad_vectors[0].float(), *through


_layer: Callable[..., tuple[Any, ...]] = _Layer.apply


def _encoder_gradient(
    setting: _Setting, weight: Tensor, terms: Tensor | None, given: list[Tensor], arriving: Arriving, out: Any,
    **how: Any,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of the embedding's weights, its bias and the exponents; the others are written to `out`."""
    batch, leaves, (grad_terms, senders, matrices, vectors) = setting.batch, setting.leaves, out
    tiles, shape = batch.tiles, batch.shape
    grad_encoder = weight.new_empty(len(matrices), shape.inputs + 2, shape.wide)
    anything = arriving.messages
    encoder_gradient_kernel[(len(matrices), shape.wide // shape.chunk)](
        _inputs(setting, given)[1], padded(weight, shape.narrow, shape.wide), anything if terms is None else terms,
        arriving, tiles.arguments, batch.shares,
        EncoderGrads(anything if grad_terms is None else grad_terms, senders, matrices, vectors, grad_encoder),
        tiles.num_nodes, len(tiles.jet), leaves.key, leaves.threshold, TERMS=terms is not None,
        DROP_AFTER=leaves.drops, **how,
    )  # fmt: skip
    found = grad_encoder[:, :, : shape.encoded].sum(dim=0, dtype=torch.float64).float()
    return found[: shape.inputs].T, found[shape.inputs], found[shape.inputs + 1]


def _block_gradient(
    setting: _Setting, weight: Tensor, terms: Tensor, given: list[Tensor], arriving: Arriving, out: Any, **how: Any
) -> tuple[Tensor, ...]:
    """The gradient of the messages that enter; the others are written to `out`."""
    batch, enters, leaves = setting.batch, setting.enters or _NO_DRAW, setting.leaves
    tiles, shape, (grad_terms, senders, matrices, vectors) = batch.tiles, batch.shape, out
    plain, turned = (torch.empty_like(arriving.messages) for _ in range(2))
    entering, _ = _inputs(setting, given)
    transposed = Transposed(
        padded(weight, shape.narrow, shape.wide), entering.plain.T.contiguous(), entering.turned.T.contiguous()
    )  # fmt: skip
    block_gradient_kernel[(len(matrices),)](
        entering, transposed, terms, arriving, tiles.arguments, batch.shares,
        BlockGrads(plain, turned, grad_terms, senders, matrices, vectors), tiles.num_nodes, len(tiles.jet),
        enters.key, enters.threshold, leaves.key, leaves.threshold, DROP=enters.drops, DROP_AFTER=leaves.drops, **how,
    )  # fmt: skip
    return (plain.add_(turned),)


def _launch(shape: Shape) -> dict[str, Any]:
    _, warps = TILES_BACKWARD[shape.precision]
    return {"SHAPE": shape, "num_warps": warps if shape.narrow <= 64 else 2 * warps, "num_stages": 1}


def _arriving(
    batch: Batch, values: Tensor, grads: Tensor | None, sums: Tensor | None, moments: Tensor | None, depth: int
) -> Arriving:
    nodes = values.new_zeros(batch.tiles.num_nodes, 3, batch.shape.depth) if sums is None else sums
    statistics = values.new_zeros(2, batch.shape.narrow)
    if moments is not None:
        statistics[0, :depth], statistics[1, :depth] = moments[0], 2 * moments[1]
    return Arriving(
        values, values if grads is None else grads.contiguous(), _padded(nodes, batch.shape.depth), statistics
    )  # fmt: skip


def _inputs(setting: _Setting, given: Any) -> tuple[Entering, Encoder]:
    """What enters a layer; of the other kind, anything."""
    batch, shape = setting.batch, setting.batch.shape
    if setting.first:
        weight, bias, power = given
        exponent = nn.functional.pad(power, (0, shape.wide - len(power)), value=1.0)
        embedding = _padded(weight.T, shape.wide)
        return Entering(*[embedding] * 4), Encoder(batch.products, embedding, _padded(bias, shape.wide), exponent)
    before, norm, mixing = given
    plain, turned = padded(mixing, 2, shape.narrow, shape.wide)
    return Entering(before, _padded(norm, shape.narrow), plain, turned), Encoder(batch.products, plain, plain, plain)


def _padded(values: Tensor, width: int) -> Tensor:
    return padded(values, *values.shape[:-1], width)


def _zeros(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.zeros_like(tensor)

"""What PELICAN's Triton kernels are called with: tensors in NamedTuples, sizes in one constant.

Inside a kernel the fields of a NamedTuple are pointers. Whole numbers that differ between batches stay arguments of
their own: in a tuple, Triton would compile a kernel for each kind of value, whatever ``do_not_specialize`` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from ...common.gpu.tiles import RECEIVERS

__all__ = [
    "Arriving", "BlockGrads", "Encoder", "EncoderGrads", "Entering", "Linear", "Pairs", "Shape", "Transposed",
]  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Sizes that a kernel is compiled for.

    Attributes
    ----------
    precision : str
        Of matrix products, see `common.gpu.arithmetic.precision`.
    depth, narrow : int
        Channels of a stored message, and with padding for matrix products.
    wide, chunk : int
        Channels of T with padding, and how many of them are worked on at once.
    inputs, encoded : int
        Pair channels, and how many of the wide channels are encoded.
    senders : int
        Senders worked on at once.
    receivers : int
        Receivers worked on at once; all of a tile by default.
    """

    precision: str
    depth: int
    narrow: int
    wide: int
    chunk: int
    inputs: int
    encoded: int
    senders: int
    receivers: int = RECEIVERS

    @property
    def inputs_padded(self) -> int:
        """The power of two that holds the inputs."""
        return 1 << (self.inputs - 1).bit_length()


class Pairs(NamedTuple):
    """A tile of pairs within a kernel: senders j first, receivers i second."""

    start: Any  # the jet's first node
    n: Any
    i: Any
    j: Any
    place: Any  # of (i, j) among all pairs, (senders, receivers)
    inside: Any  # whether both are nodes of the jet


class Encoder(NamedTuple):
    """Pair channels, and the parameters that bring them to the wide channels."""

    products: Tensor  # (Q, INPUTS), float64
    embedding: Tensor  # (INPUTS, WIDE)
    embedding_bias: Tensor  # (WIDE,)
    exponent: Tensor  # a, (WIDE,); 1 in channels that are not the encoder's


class Entering(NamedTuple):
    """Messages Y that enter a block, and what is done to them."""

    messages: Tensor  # (Q, DEPTH), float32
    norm: Tensor  # scale and shift, (2, NARROW)
    plain: Tensor  # W₁, the weights of X_ij, (NARROW, WIDE)
    turned: Tensor  # W₂, those of X_ji


class Linear(NamedTuple):
    """A message layer."""

    matrix: Tensor  # (WIDE, NARROW)
    bias: Tensor  # (NARROW,)


class Transposed(NamedTuple):
    """The matrices that gradients pass."""

    matrix: Tensor  # of the message layer, (NARROW, WIDE)
    plain: Tensor  # of W₁, (WIDE, NARROW)
    turned: Tensor  # of W₂


class Arriving(NamedTuple):
    """Messages Y and the gradients that arrive at them."""

    messages: Tensor  # (Q, DEPTH), float32
    grads: Tensor  # with ARRIVES, from the next layer, (Q, DEPTH)
    sums: Tensor  # of the sums of `sums_kernel`, (N, 3, DEPTH)
    moments: Tensor  # a constant, and a factor of Y, (2, NARROW)


class BlockGrads(NamedTuple):
    """What `block_gradient_kernel` writes."""

    plain: Tensor  # to the messages that enter from their own pairs' rows of T, (Q, DEPTH)
    turned: Tensor  # and from those of their mirror images; both grow from chunk to chunk
    terms: Tensor  # of u and d, (3, N, WIDE)
    senders: Tensor  # of v, for the receivers of each tile by themselves, (Σ n · tiles, WIDE)
    matrices: Tensor  # of the message layer, W₁ and W₂, (programs, 3, NARROW, WIDE)
    vectors: Tensor  # of the message layer's bias, scale and shift, (programs, 3, NARROW)


class EncoderGrads(NamedTuple):
    """What `encoder_gradient_kernel` writes; `terms` and `senders` only with TERMS."""

    terms: Tensor
    senders: Tensor
    matrices: Tensor  # of the message layer, (programs, NARROW, WIDE)
    vectors: Tensor  # of its bias, (programs, NARROW)
    encoder: Tensor  # of the embedding of each input, of its bias, and of a, (programs, INPUTS + 2, WIDE)

"""One block of L-GATr-slim (arXiv:2512.17011): attention within each jet, then a gated perceptron on each node."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .attention import attend
from .slim import SlimActivation, SlimDropout, SlimGate, SlimLinear, SlimNorm, lowered
from .squares import Squares

__all__ = ["SlimAttention", "SlimBlock", "SlimPerceptron", "SlimSizes"]


@dataclass(frozen=True)
class SlimSizes:
    """Sizes and activations of the blocks, as `coffea_equitag.models.lgatr_slim.LGATrSlim` has them."""

    vectors: int = 32
    scalars: int = 96
    heads: int = 8
    attention_ratio: int = 1
    mlp_ratio: int = 4
    mlp_layers: int = 2
    activation: SlimActivation = "gelu"
    vector_activation: SlimActivation = "sigmoid"
    gains: bool = True
    dropout: float = 0.0

    @property
    def head_channels(self) -> tuple[int, int]:
        """Vectors and scalars of each head."""
        wide = self.attention_ratio
        return max(wide * self.vectors // self.heads, 1), max(wide * self.scalars // self.heads, 4)


class SlimAttention(nn.Module):
    """Heads that weigh nodes by the products of their vectors, Minkowski's, and of their scalars.

    Queries, keys and values of each head are normalised, vectors and scalars together.
    """

    def __init__(self, sizes: SlimSizes) -> None:
        super().__init__()
        self.heads, (v, s) = sizes.heads, sizes.head_channels
        self.head_channels = v, s
        self.inputs = SlimLinear(
            (sizes.vectors, 3 * v * sizes.heads), (sizes.scalars, 3 * s * sizes.heads), bias=False, gain=0.1
        )
        self.norm = SlimNorm()
        self.outputs = SlimLinear((v * sizes.heads, sizes.vectors), (s * sizes.heads, sizes.scalars), gain=0.1)
        self.dropout = SlimDropout(sizes.dropout)

    def forward(self, vectors_N4V: Tensor, scalars_NS: Tensor, squares: Squares) -> tuple[Tensor, Tensor]:
        """Vectors (N, 4, V) and scalars (N, S) of the jets that `squares` lays out."""
        v, s = self.head_channels
        vectors, scalars = self.inputs(vectors_N4V, scalars_NS)
        # the channels of a head lie `heads` apart on the way in: (N, 3, H, 4, V) and (N, 3, H, S)
        vectors = vectors.view(vectors.shape[0], 4, 3, v, self.heads).permute(0, 2, 4, 1, 3)
        scalars = scalars.view(scalars.shape[0], 3, s, self.heads).transpose(2, 3)
        vectors, scalars = self.norm(vectors, scalars)
        q, k, values = (
            torch.cat([vector.flatten(2), scalar], dim=2)
            for vector, scalar in zip(self._lowered_queries(vectors), scalars.unbind(1), strict=True)
        )
        found = attend(q, k, values, squares)
        # and here they are side by side
        vectors = found[..., : 4 * v].reshape(found.shape[0], self.heads, 4, v).transpose(1, 2).flatten(2)
        scalars = found[..., 4 * v :].flatten(1)
        updates: tuple[Tensor, Tensor] = self.dropout(*self.outputs(vectors, scalars))
        return updates

    @staticmethod
    def _lowered_queries(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = vectors.unbind(1)
        return lowered(q.transpose(1, 2)).transpose(1, 2), k, v


class SlimPerceptron(nn.Module):
    """Gated layers, each wider by `mlp_ratio`, and a linear one; a stream with 0 channels is left out."""

    def __init__(self, sizes: SlimSizes, vectors: int, scalars: int) -> None:
        super().__init__()
        wide = [1, *[sizes.mlp_ratio] * (sizes.mlp_layers - 1)]
        self.gates = nn.ModuleList(
            SlimGate((a * vectors, b * vectors), (a * scalars, b * scalars), sizes.activation, sizes.vector_activation)
            for a, b in pairwise(wide)
        )
        self.dropout = SlimDropout(sizes.dropout)
        self.outputs = SlimLinear((wide[-1] * vectors, vectors), (wide[-1] * scalars, scalars))

    def forward(self, vectors_N4V: Tensor, scalars_NS: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes stay."""
        for gate in self.gates:
            vectors_N4V, scalars_NS = self.dropout(*gate(vectors_N4V, scalars_NS))
        updates: tuple[Tensor, Tensor] = self.outputs(vectors_N4V, scalars_NS)
        return updates


class SlimBlock(nn.Module):
    """Attention and perceptron, each after a normalisation and added to what came in.

    Parameters
    ----------
    sizes : SlimSizes
        The channels.
    keeps_vectors : bool
        False in the last block of a classifier, whose vectors nobody sees: its perceptron has none.
    """

    def __init__(self, sizes: SlimSizes, keeps_vectors: bool = True) -> None:
        super().__init__()
        kept = sizes.vectors if keeps_vectors else 0
        self.keeps_vectors = keeps_vectors
        self.first_norm = SlimNorm(sizes.vectors, sizes.scalars) if sizes.gains else SlimNorm()
        self.attention = SlimAttention(sizes)
        self.second_norm = SlimNorm(kept, sizes.scalars) if sizes.gains else SlimNorm()
        self.perceptron = SlimPerceptron(sizes, kept, sizes.scalars)

    def forward(self, vectors_N4V: Tensor, scalars_NS: Tensor, squares: Squares) -> tuple[Tensor, Tensor]:
        """Vectors (N, 4, V), or (N, 4, 0) where they are not kept, and scalars (N, S)."""
        vectors, scalars = self.attention(*self.first_norm(vectors_N4V, scalars_NS), squares)
        vectors, scalars = vectors_N4V + vectors, scalars_NS + scalars
        new_vectors, new_scalars = self.second_norm(vectors, scalars)
        if not self.keeps_vectors:
            vectors, new_vectors = vectors[..., :0], new_vectors[..., :0]
        new_vectors, new_scalars = self.perceptron(new_vectors, new_scalars)
        return vectors + new_vectors, scalars + new_scalars

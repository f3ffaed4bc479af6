"""Layers on scalars and Lorentz vectors side by side, the two streams of L-GATr-slim.

Petitjean, Plehn, Spinner, Köthe, "Economical Jet Taggers – Equivariant, Slim, and Quantized", arXiv:2512.17011.

Vectors have the shape (N, 4, V) with (E, px, py, pz) in the second axis, scalars (N, S), for N nodes. Vector channels
are mixed by matrices that act on all four components alike, and gated by products v·w: every layer is covariant.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SLIM_ACTIVATIONS", "SlimActivation", "SlimDropout", "SlimGate", "SlimLinear", "SlimNorm", "lowered"]

SlimActivation = Literal["gelu", "silu", "relu", "sigmoid", "tanh"]

#: Types of the gates' activations; the official GELU is its approximation by tanh.
SLIM_ACTIVATIONS: dict[SlimActivation, nn.Module] = {
    "gelu": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "relu": nn.ReLU(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
}


def lowered(vectors_N4V: Tensor) -> Tensor:
    """Vectors with the index lowered: (E, −px, −py, −pz), shape (N, 4, ...)."""
    signs = vectors_N4V.new_tensor([1.0, -1.0, -1.0, -1.0])
    return vectors_N4V * signs.view(4, *[1] * (vectors_N4V.ndim - 2))


class SlimLinear(nn.Module):
    """Mix the channels of vectors, and those of scalars.

    Parameters
    ----------
    vectors, scalars : (int, int)
        Channels in and out of each stream; where either is 0, what comes out is 0.
    bias : bool
        Of the scalars; vectors can have none.
    gain : float
        Scale of the first weights, which are uniform in ±gain/√channels.
    linear : type
        Of the layers.
    """

    def __init__(
        self,
        vectors: tuple[int, int],
        scalars: tuple[int, int],
        *,
        bias: bool = True,
        gain: float = 1.0,
        linear: type[nn.Linear] = nn.Linear,
    ) -> None:
        super().__init__()
        self.channels = vectors[1], scalars[1]
        self.vectors = linear(*vectors, bias=False) if all(vectors) else None
        self.scalars = linear(*scalars, bias=bias) if all(scalars) else None
        with torch.no_grad():
            for layer in (self.vectors, self.scalars):
                if layer is not None:
                    bound = gain / layer.in_features**0.5
                    layer.weight.uniform_(-bound, bound)
                    if layer.bias is not None:
                        layer.bias.zero_()

    def forward(self, vectors_N4V: Tensor, scalars_NS: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (N, 4, V') and scalars (N, S')."""
        v, s = self.channels
        return (
            vectors_N4V.new_zeros(*vectors_N4V.shape[:2], v) if self.vectors is None else self.vectors(vectors_N4V),
            scalars_NS.new_zeros(scalars_NS.shape[0], s) if self.scalars is None else self.scalars(scalars_NS),
        )


class SlimNorm(nn.Module):
    """Divide both streams by one invariant: √(ε + mean over all channels of |v·v| and s²).

    Channels are the last axis of scalars, and of vectors, which have their components in the axis before.

    Parameters
    ----------
    vectors, scalars : int
        Channels with a gain of their own; 0: none.
    """

    epsilon = 0.01

    def __init__(self, vectors: int = 0, scalars: int = 0) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.ones(vectors)) if vectors else None
        self.scalars = nn.Parameter(torch.ones(scalars)) if scalars else None

    def forward(self, vectors: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Of shapes (..., 4, V) and (..., S)."""
        square = vectors.square()
        invariant = (square[..., 0, :] - square[..., 1:, :].sum(-2)).abs().sum(-1) + scalars.square().sum(-1)
        scale = torch.rsqrt(invariant / (vectors.shape[-1] + scalars.shape[-1]) + self.epsilon)[..., None]
        vectors, scalars = vectors * scale[..., None], scalars * scale
        return (
            vectors if self.vectors is None else vectors * self.vectors,
            scalars if self.scalars is None else scalars * self.scalars,
        )


class SlimGate(nn.Module):
    """Gated activation: s' = f(g) s with scalars g, and v' = f(u·w/2) v with vectors u, w, all linear in the input.

    Parameters
    ----------
    vectors, scalars : (int, int)
        Channels in and out.
    activation, vector_activation : str
        f of scalars and of vectors, in `SLIM_ACTIVATIONS`.
    """

    def __init__(
        self,
        vectors: tuple[int, int],
        scalars: tuple[int, int],
        activation: SlimActivation = "gelu",
        vector_activation: SlimActivation = "sigmoid",
    ) -> None:
        super().__init__()
        self.linear = SlimLinear((vectors[0], 3 * vectors[1]), (scalars[0], 2 * scalars[1]))
        self.channels = vectors[1], scalars[1]
        self.activation, self.vector_activation = SLIM_ACTIVATIONS[activation], SLIM_ACTIVATIONS[vector_activation]

    def forward(self, vectors_N4V: Tensor, scalars_NS: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (N, 4, V') and scalars (N, S')."""
        vectors, scalars = self.linear(vectors_N4V, scalars_NS)
        v, u, w = vectors.split(self.channels[0], dim=2) if self.channels[0] else (vectors,) * 3
        s, g = scalars.split(self.channels[1], dim=1)
        return self.vector_activation(0.5 * (lowered(u) * w).sum(1, keepdim=True)) * v, self.activation(g) * s


class SlimDropout(nn.Module):
    """Drop scalars, and whole vectors, while training."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, vectors_N4V: Tensor, scalars_NS: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes stay."""
        if not self.training or not self.probability:
            return vectors_N4V, scalars_NS
        kept = functional.dropout(torch.ones_like(vectors_N4V[:, :1]), self.probability)
        return vectors_N4V * kept, functional.dropout(scalars_NS, self.probability)

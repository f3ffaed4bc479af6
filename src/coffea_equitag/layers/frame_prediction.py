"""LLoCa's prediction of a local frame for each constituent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .polar_frame import polar_frames
from .squares import Squares

__all__ = ["LEAST_MASS", "LEAST_SQUARE_MASS", "FramePrediction", "frames_of_sums"]

#: Mean and standard deviation of log m²_ij/GeV² over the pairs of boosted jets.
_EDGE_MEAN, _EDGE_STD = 0.0, 2.2
#: Below it, in GeV², m²_ij has no logarithm; and below this mass, in GeV, nothing is divided by it.
LEAST_SQUARE_MASS, LEAST_MASS = 1e-10, 1e-6
_LEAST_NORM = 1e-5
_VECTORS = 3


class FramePrediction(nn.Module):
    """Three covariant vectors per constituent, and the local frame that they define (arXiv:2505.20280).

    v_i = Σ_j w_ij (p_i + p_j)/m_ij over j ≠ i, with weights w_ij that are softmaxes over j of a perceptron of the
    scalars of i and j and of log m²_ij. The masses, those of the sums included, come from the products p_i·p_j.

    Parameters
    ----------
    n_scalars : int
        Scalars of each node.
    hidden, layers : int
        Width of the perceptron's hidden layers, and how many there are.
    dropout : float
        After each hidden layer, while training.

    Attributes
    ----------
    edge_mean, edge_std : Tensor
        What log m²_ij is standardised with: typical of boosted jets, or a checkpoint's. Not learned.
    """

    edge_mean: Tensor
    edge_std: Tensor

    def __init__(self, n_scalars: int, hidden: int = 128, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_scalars = n_scalars
        self.first = nn.Linear(2 * n_scalars + 1, hidden)
        self.rest = nn.Sequential()
        for _ in range(layers - 1):
            self.rest.extend([nn.Dropout(dropout), nn.GELU(), nn.Linear(hidden, hidden)])
        self.rest.extend([nn.Dropout(dropout), nn.GELU(), nn.Linear(hidden, _VECTORS)])
        self.register_buffer("edge_mean", torch.tensor(_EDGE_MEAN))
        self.register_buffer("edge_std", torch.tensor(_EDGE_STD))

    def forward(self, p4_N4: Tensor, gram_Q: Tensor, scalars_NS: Tensor, squares: Squares, references: int) -> Tensor:
        """Frames of the constituents, not of the references before them.

        Parameters
        ----------
        p4_N4 : Tensor of float64, shape (N, 4)
            Nodes, the first of each jet being references, in the frame that the local ones start from.
        gram_Q : Tensor of float64, shape (Q,)
            p_i·p_j of the nodes, square layout.
        scalars_NS : Tensor, shape (N, n_scalars)
            Scalars of the nodes.
        squares : Squares
            Layout of the nodes.
        references : int
            References per jet.

        Returns
        -------
        Tensor of float64, shape (constituents, 4, 4)
            Proper Lorentz transformations into the local frames.
        """
        runs = zip(squares.blocks(gram_Q[:, None]), squares.rows(p4_N4), squares.rows(scalars_NS), strict=True)
        frames = [self.of_run(g[..., 0], p, s, references) for g, p, s in runs if p.shape[1] > references]
        return torch.cat(frames) if frames else p4_N4.new_empty(0, 4, 4)

    def of_run(self, gram: Tensor, p4: Tensor, scalars: Tensor, first: int, real: Tensor | None = None) -> Tensor:
        """Frames of the constituents `first`, ... of B jets of n nodes each, of which some (B, n) may not be real."""
        share = self._coefficients(gram, scalars, first, real)
        vectors = (share @ p4[:, None]).movedim(1, 0)
        # of the products, all positive: no digit is lost
        square = ((share @ gram[:, None]) * share).sum(-1).movedim(1, 0)
        nodes = gram.shape[1] if real is None else real.sum(1, keepdim=True).expand(-1, p4.shape[1] - first).flatten()
        return frames_of_sums(vectors.flatten(1, 2), square.flatten(1), p4[:, first:].flatten(0, 1), nodes)

    def _coefficients(self, gram: Tensor, scalars: Tensor, first: int, real: Tensor | None) -> Tensor:
        """What each node contributes to the vectors of each constituent: (B, 3, n − first, n)."""
        own = gram.diagonal(dim1=1, dim2=2)
        square = (own[:, first:, None] + own[:, None] + 2 * gram[:, first:]).clamp(min=0)
        weight = self._weights(square, scalars, first, real).double().movedim(3, 1)
        share = weight / square.clamp(min=LEAST_MASS**2).sqrt()[:, None]
        return share + torch.diag_embed(share.sum(-1), offset=first)[:, :, : share.shape[2]]

    def _weights(self, square: Tensor, scalars: Tensor, first: int, real: Tensor | None) -> Tensor:
        """Softmax weights (B, n − first, n, 3) of the other nodes; 0 where there are none."""
        edge = (torch.log(square.clamp(min=LEAST_SQUARE_MASS)) - self.edge_mean) / self.edge_std
        of_i, of_j, of_edge = torch.split(self.first.weight, [self.n_scalars, self.n_scalars, 1], dim=1)
        sent, received = scalars @ of_j.T, scalars[:, first:] @ of_i.T + self.first.bias
        hidden = received[:, :, None] + sent[:, None] + edge.to(sent)[..., None] * of_edge[:, 0]
        logits: Tensor = self.rest(hidden)
        itself = torch.ones(square.shape[1:], dtype=torch.bool, device=square.device).tril(first).triu(first)
        if real is not None:
            hidden = (itself | ~real[:, None])[..., None]
            return torch.where(hidden, 0.0, torch.softmax(torch.where(hidden, -1e30, logits), dim=2))
        if square.shape[2] == 1:
            return torch.zeros_like(logits) * logits
        return torch.softmax(logits.masked_fill(itself[:, :, None], -torch.inf), dim=2)


def frames_of_sums(vectors_3N4: Tensor, square_3N: Tensor, own_N4: Tensor, nodes: Tensor | int) -> Tensor:
    """Frames (N, 4, 4) from the three vectors v_i of each constituent, their squares and its own momentum, float64.

    `nodes` is how many its jet has, references included.
    """
    norm = square_3N.sum(0).abs().clamp(min=_LEAST_NORM**2).sqrt()
    mass = square_3N[0].clamp(min=1e-60).sqrt() / norm
    # n nodes have n − 1 independent vectors: the others would differ by rounding
    independent = torch.arange(_VECTORS, device=own_N4.device)[:, None] < nodes - 1
    return polar_frames(vectors_3N4 / norm[:, None] * independent[:, :, None], mass, own_N4)

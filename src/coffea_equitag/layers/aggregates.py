"""PELICAN's sums over the constituents of a jet."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .multiplicity_power import MultiplicityPower
from .squares import Squares

__all__ = ["Aggregates", "Aggregation"]


@dataclass(frozen=True)
class Aggregates:
    """Aggregates of a pair tensor X.

    Attributes
    ----------
    row, column : Tensor, shape (N, C)
        X_ij and X_ji summed over j, for each node i.
    diagonal : Tensor, shape (N, C)
        X_ii.
    trace, total : Tensor, shape (J, C)
        X_ii summed over i, and X_ij summed over i and j.
    """

    row: Tensor
    column: Tensor
    diagonal: Tensor
    trace: Tensor
    total: Tensor


@dataclass(frozen=True)
class Aggregation:
    """How nodes are aggregated.

    Attributes
    ----------
    kind : str
        ``"mean"``: mean over the n nodes of the jet, times trainable powers of n/n̄. ``"sum"``: sum / n̄, no powers.
    mean_count : float
        n̄, the typical number of nodes.
    """

    kind: str = "mean"
    mean_count: float = 49.0

    def power(self, channels: int, operations: int, *, random: bool) -> MultiplicityPower | None:
        """The trainable powers of n/n̄, or None for ``"sum"``."""
        if self.kind == "sum":
            return None
        return MultiplicityPower(channels, operations, mean_count=self.mean_count, random=random)

    def norm(self, counts_J: Tensor) -> Tensor | float:
        """Divisor of sums over the nodes of each jet: shape (J, 1), or a number."""
        return self.mean_count if self.kind == "sum" else counts_J.clamp(min=1)[:, None]

    def __call__(self, pairs_QC: Tensor, squares: Squares, weight_N: Tensor | None = None) -> Aggregates:
        """Aggregate X of shape (Q, C); node weights (N,) enter every sum."""
        row, column, diagonal = squares.sums(pairs_QC, weight_N)
        norm = self.norm(squares.counts)
        norm_N = norm[squares.jet] if isinstance(norm, Tensor) else norm
        row, column = row / norm_N, column / norm_N
        return Aggregates(
            row=row,
            column=column,
            diagonal=diagonal,
            trace=self.over_jets(diagonal, squares, weight_N),
            total=self.over_jets(row, squares, weight_N),
        )

    def over_jets(self, nodes_NC: Tensor, squares: Squares, weight_N: Tensor | None = None) -> Tensor:
        """Aggregate node values (N, C) over each jet, shape (J, C)."""
        if weight_N is not None:
            nodes_NC = nodes_NC * weight_N[:, None]
        return squares.over_jets(nodes_NC) / self.norm(squares.counts)

"""What every tagger network has in common: jets in, one row of logits a jet out."""

from __future__ import annotations

from typing import Any, ClassVar

import awkward as ak
import torch
from torch import Tensor, nn

from .jets.ragged import RaggedJets

__all__ = ["JetModel"]


class JetModel(nn.Module):
    """A network that takes jets directly: awkward arrays or `RaggedJets`.

    Attributes
    ----------
    kind : str
        The name `coffea_equitag.models.build` knows it by.
    options : dict
        The options it was built with, all of them, JSON-able.
    fields : tuple of str
        Constituent columns it needs beside the four-momenta.
    paper, symmetry : str
        Where it is from, and what it is invariant under.
    extra_nodes : int
        Reference vectors it puts into each jet, for counting pairs.
    sees_pairs : bool
        Whether its cost goes with pairs (n²) or constituents (n).
    """

    kind: ClassVar[str]
    paper: ClassVar[str]
    symmetry: ClassVar[str]
    sees_pairs: ClassVar[bool] = True
    extra_nodes: int = 0
    fields: tuple[str, ...] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    @property
    def n_classes(self) -> int:
        """Number of logits a jet."""
        return int(self.options["n_classes"])

    @property
    def output(self) -> str:
        """What the network gives: ``"classes"`` (logits), ``"momentum"`` (4-vectors) or ``"vector"`` (3-vectors)."""
        return str(self.options.get("output", "classes"))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The network's precision; invariants are always formed in float64."""
        return next(self.parameters()).dtype

    def forward(self, jets: ak.Array | RaggedJets, **keywords: Any) -> Tensor:
        """Logits of each jet.

        Parameters
        ----------
        jets : ak.Array or RaggedJets
            Canonical jets, any nesting; missing jets are left out.

        Returns
        -------
        Tensor, shape (J, n_classes)

        Raises
        ------
        JetError
            If the jets are not canonical or lack a column of `fields`.
        """
        ragged = jets if isinstance(jets, RaggedJets) else RaggedJets.from_awkward(jets, self.fields)
        return self.logits(ragged.to(self.device), **keywords)

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes) of a ragged batch on the network's device."""
        raise NotImplementedError(f"{type(self).__name__} must define logits")

    def num_parameters(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

"""What all tagger networks have in common: jets in, one row of logits per jet out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import awkward as ak
import torch
from torch import Tensor, nn

from .jets.ragged import RaggedJets, boundaries
from .option_types import check_values
from .plain_numbers import plain
from .recording import constituent_rows, jet_rows

__all__ = ["AUXILIARY", "JetModel"]

#: Name of the submodule with the heads of auxiliary tasks, where a network has any.
AUXILIARY = "auxiliary"


class JetModel(nn.Module):
    """A network that takes jets directly: awkward arrays or `RaggedJets`.

    Attributes
    ----------
    kind : str
        Its name in `coffea_equitag.models.build`.
    options : dict
        All options it was built with, serializable as JSON.
    fields : tuple of str
        Constituent columns it needs besides the four-momenta.
    paper, symmetry : str
        The paper it is taken from, and the symmetry it has.
    embeds : str
        What `embed` gives.
    extra_nodes : int
        Number of reference vectors it adds to each jet; they count as constituents in the number of pairs.
    references : tuple of tuple of float
        (E, px, py, pz) of the reference vectors that `logits` takes as `beams`, where it does: to be transformed
        together with the jets.
    max_constituents : int or None
        The hardest constituents of each jet that it sees, as it was trained; None: all.
    sees_pairs : bool
        Whether its cost scales with the number of pairs (n²) rather than constituents (n).
    """

    kind: ClassVar[str]
    paper: ClassVar[str]
    symmetry: ClassVar[str]
    embeds: ClassVar[str]
    sees_pairs: ClassVar[bool] = True
    extra_nodes: int = 0
    references: tuple[tuple[float, ...], ...] = ()
    max_constituents: int | None = None
    fields: tuple[str, ...] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = plain(options)
        check_values(self.kind, type(self).__init__, self.options)

    @classmethod
    def stored_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options that any version has stored, complete: one that did not exist yet has the value that it stands for.

        That is its default, unless a network says otherwise because its default behaves differently today.
        """
        known = inspect.signature(cls.__init__).parameters.values()
        return {one.name: one.default for one in known if one.default is not one.empty} | dict(options)

    @property
    def n_classes(self) -> int:
        """Number of logits per jet."""
        return int(self.options["n_classes"])

    @property
    def output(self) -> str:
        """What the network returns: ``"classes"`` (logits), ``"momentum"`` (4-vectors) or ``"vector"`` (3-vectors)."""
        return str(self.options.get("output", "classes"))

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return _first_parameter(self).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network; invariants are always computed in float64."""
        return _first_parameter(self).dtype

    def forward(self, jets: ak.Array | RaggedJets, **keywords: Any) -> Tensor:
        """Logits of each jet.

        Parameters
        ----------
        jets : ak.Array or RaggedJets
            Canonical jets, any nesting; missing jets are skipped.

        Returns
        -------
        Tensor, shape (J, n_classes)

        Raises
        ------
        JetError
            If the jets are not canonical or lack a column listed in `fields`.
        """
        return self.logits(self._seen(jets), **keywords)

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes) of a ragged batch on the network's device."""
        raise NotImplementedError(f"{type(self).__name__} must define logits")

    def with_constituents(self, jets: RaggedJets) -> tuple[Tensor, Tensor, RaggedJets]:
        """What the network makes of jets, and what its layers know of each constituent before they sum over the jet.

        The layers run, not the kernels.

        Returns
        -------
        (Tensor, Tensor, RaggedJets)
            Outputs (J, K) of the network; rows (N, C), invariant wherever logits are; and the jets with the
            constituents that these rows belong to: all of them, or the hardest ones.
        """
        if self.max_constituents is not None:
            jets = jets.hardest(self.max_constituents)
        order = torch.argsort(jets.counts, stable=True)
        with constituent_rows.recording() as found:
            outputs = self.logits(jets.select(order))
        (rows_NC,) = found
        # networks sort jets by multiplicity: those in order stay so, and the rows are put back here
        counts = jets.counts[order]
        shift = torch.repeat_interleave(jets.offsets[:-1][order] - boundaries(counts)[:-1], counts)
        at = torch.arange(len(rows_NC), device=rows_NC.device) + shift
        outputs = torch.empty_like(outputs).index_copy(0, order, outputs)
        return outputs, torch.empty_like(rows_NC).index_copy(0, at, rows_NC), jets

    def embed(self, jets: ak.Array | RaggedJets) -> Tensor:
        """Features of each jet just before the network's head: what `embeds` says.

        The layers run, not the kernels; gradients flow.

        Parameters
        ----------
        jets : ak.Array or RaggedJets
            Canonical jets, any nesting; missing jets are skipped.

        Returns
        -------
        Tensor, shape (J, C)
            In the network's precision.

        Raises
        ------
        JetError
            If the jets are not canonical or lack a column listed in `fields`.
        """
        ragged = self._seen(jets)
        # networks sort jets by multiplicity: those in order stay so, and the rows are put back here
        order = torch.argsort(ragged.counts, stable=True)
        with jet_rows.recording() as found:
            self.logits(ragged.select(order))
        (rows_JC,) = found
        return torch.empty_like(rows_JC).index_copy(0, order, rows_JC)

    def _seen(self, jets: ak.Array | RaggedJets) -> RaggedJets:
        """The batch as the network sees it, on its device."""
        ragged = jets if isinstance(jets, RaggedJets) else RaggedJets.from_awkward(jets, self.fields)
        if self.max_constituents is not None:
            ragged = ragged.hardest(self.max_constituents)
        return ragged.to(self.device)

    def num_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def _first_parameter(model: nn.Module) -> Tensor:
    """The first of ``model.parameters()``, which takes as long as a small batch to begin."""
    waiting = [model]
    while waiting:
        module = waiting.pop()
        for parameter in module._parameters.values():
            if parameter is not None:
                return parameter
        waiting += [child for child in reversed(module._modules.values()) if child is not None]
    raise ValueError(f"{type(model).__name__} has no parameters")

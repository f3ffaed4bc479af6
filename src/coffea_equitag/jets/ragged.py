"""Ragged batches of jets: values and offsets, never padded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from ..array_types import AnyArray
from .collection import flatten
from .nesting import Nesting

__all__ = ["LOG_SCALE", "RaggedJets", "ragged_and_nesting"]

#: Column of `RaggedJets.scaled`: logarithm of the factor on each constituent's four-momentum; 0 for references.
LOG_SCALE = "log_scale"


@dataclass(frozen=True)
class RaggedJets:
    """A batch of jets as flat tensors: the only input of the networks.

    J jets with N constituents in total; jet j has the rows ``offsets[j]:offsets[j + 1]``.

    Attributes
    ----------
    p4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of the constituents in GeV.
    mass : Tensor of float64, shape (N,)
        Masses of the constituents in GeV, as given or derived without rounding noise.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    jet_p4 : Tensor of float64, shape (J, 4)
        The jets' own four-momenta in GeV.
    polar : Tensor of float64, shape (N, 3), or None
        (pT, η, φ), if given: they resolve the angle of nearly collinear pairs. NaN in rows without them.
    columns : mapping of str to Tensor
        Further constituent columns, shape (N,) each: ``pdgId``, ``charge``, ...
    """

    p4: Tensor
    mass: Tensor
    offsets: Tensor
    jet_p4: Tensor
    polar: Tensor | None = None
    columns: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def from_awkward(cls, jets: ak.Array, fields: Iterable[str] = ()) -> RaggedJets:
        """Flatten awkward jets of any layout and nesting; missing jets are skipped.

        Parameters
        ----------
        jets : ak.Array
            Canonical jets (see `coffea_equitag.jets`).
        fields : iterable of str
            Further constituent columns to include.

        Raises
        ------
        JetError
            If the jets are not canonical or hold invalid numbers.
        """
        return ragged_and_nesting(jets, fields)[0]

    @classmethod
    def from_momenta(
        cls,
        p4: Tensor,
        offsets: Tensor,
        *,
        mass: Tensor | None = None,
        columns: Mapping[str, Tensor] | None = None,
    ) -> RaggedJets:
        """Build a batch from Cartesian four-momenta.

        Parameters
        ----------
        p4 : Tensor, shape (N, 4)
            (E, px, py, pz), GeV.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries.
        mass : Tensor, shape (N,), optional
            Masses; if not given, derived from `p4` by the rules of `coffea_equitag.jets`.
        """
        counts = (offsets[1:] - offsets[:-1]).cpu().numpy()
        names = ["px", "py", "pz", "E" if mass is None else "mass"]
        values = [p4[:, 1], p4[:, 2], p4[:, 3], p4[:, 0] if mass is None else mass]
        flat = {name: value.detach().cpu().numpy() for name, value in zip(names, values, strict=True)}
        flat |= {name: value.cpu().numpy() for name, value in (columns or {}).items()}
        jets = ak.Array({"constituents": ak.unflatten(ak.zip(flat), counts)})
        return cls.from_awkward(jets, tuple(columns or ()))

    @property
    def num_jets(self) -> int:
        """Number of jets J."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Tensor:
        """Number of constituents per jet, shape (J,)."""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.p4.device

    def to(self, device: torch.device | str) -> RaggedJets:
        """Copy to a device; returns itself if it is already there."""
        device = torch.device(device)
        if device == self.device:
            return self
        return RaggedJets(
            p4=self.p4.to(device),
            mass=self.mass.to(device),
            offsets=self.offsets.to(device),
            jet_p4=self.jet_p4.to(device),
            polar=None if self.polar is None else self.polar.to(device),
            columns={name: column.to(device) for name, column in self.columns.items()},
        )

    def slice(self, first: int, last: int) -> RaggedJets:
        """Jets ``first:last``, as views."""
        a, b = int(self.offsets[first]), int(self.offsets[last])
        return RaggedJets(
            p4=self.p4[a:b],
            mass=self.mass[a:b],
            offsets=self.offsets[first : last + 1] - a,
            jet_p4=self.jet_p4[first:last],
            polar=None if self.polar is None else self.polar[a:b],
            columns={name: column[a:b] for name, column in self.columns.items()},
        )

    def select(self, jets: Tensor) -> RaggedJets:
        """The jets with the given indices, in that order (a copy)."""
        counts = self.counts[jets]
        offsets = boundaries(counts)
        shift = torch.repeat_interleave(self.offsets[:-1][jets] - offsets[:-1], counts)
        rows = torch.arange(int(offsets[-1]), device=self.device) + shift
        return RaggedJets(
            p4=self.p4[rows],
            mass=self.mass[rows],
            offsets=offsets,
            jet_p4=self.jet_p4[jets],
            polar=None if self.polar is None else self.polar[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
        )

    def hardest(self, most: int) -> RaggedJets:
        """At most `most` constituents of each jet, those of the largest pT, in the order they had; itself if all are.

        The jets' own four-momenta stay.
        """
        counts = self.counts
        if self.num_jets == 0 or int(counts.max()) <= most:
            return self
        jet_of = torch.repeat_interleave(torch.arange(self.num_jets, device=self.device), counts)
        by_pt = torch.argsort(torch.hypot(self.p4[:, 1], self.p4[:, 2]), descending=True, stable=True)
        order = by_pt[torch.argsort(jet_of[by_pt], stable=True)]  # jet by jet, hardest first
        rank = torch.arange(len(order), device=self.device) - self.offsets[:-1][jet_of]
        rows = torch.sort(order[rank < most]).values
        return RaggedJets(
            p4=self.p4[rows],
            mass=self.mass[rows],
            offsets=boundaries(counts.clamp(max=most)),
            jet_p4=self.jet_p4,
            polar=None if self.polar is None else self.polar[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
        )

    def by_multiplicity(self, function: Callable[[RaggedJets], Tensor]) -> Tensor:
        """Apply a function with one row per jet to the jets sorted by n, and return the rows in the original order.

        Layers process consecutive jets of equal n together.
        """
        if self.num_jets < 2:
            return function(self)
        order = torch.argsort(self.counts, stable=True)
        rows = function(self.select(order))
        return torch.empty_like(rows).index_copy(0, order, rows)

    def spread(self, values_J: Tensor) -> Tensor:
        """Values (J, ...) of the jets, repeated for each of their constituents: (N, ...)."""
        if self.num_jets == 1:
            return values_J.expand(self.p4.shape[0], *values_J.shape[1:])
        return torch.repeat_interleave(values_J, self.counts, dim=0)

    def scaled(self, log_scale: Tensor, *, jets_too: bool) -> RaggedJets:
        """Constituents with four-momenta multiplied by factors, through which gradients flow into every network.

        Parameters
        ----------
        log_scale : Tensor of float64, shape (N,)
            Logarithms of the factors.
        jets_too : bool
            Whether the jets' momenta are the sums of the constituents', and so change with them.
        """
        factor = torch.exp(log_scale)
        p4 = self.p4 * factor[:, None]
        change = p4 - self.p4
        if jets_too:
            jet = torch.repeat_interleave(torch.arange(self.num_jets, device=self.device), self.counts)
            jet_p4 = self.jet_p4.index_add(0, jet, change)
        return replace(
            self,
            p4=p4,
            mass=self.mass * factor,
            jet_p4=jet_p4 if jets_too else self.jet_p4,
            polar=None
            if self.polar is None
            else torch.cat([self.polar[:, :1] * factor[:, None], self.polar[:, 1:]], 1),
            columns={**self.columns, LOG_SCALE: log_scale},
        )

    def prepend(self, p4: Tensor, mass: Tensor) -> RaggedJets:
        """Put the same k reference vectors (beams, spurions) before each jet's constituents.

        Parameters
        ----------
        p4 : Tensor, shape (k, 4)
            (E, px, py, pz).
        mass : Tensor, shape (k,)
            Their masses.

        Returns
        -------
        RaggedJets
            With n + k rows per jet, the k reference vectors first. Their other columns are 0; a new column
            ``reference`` (bool) distinguishes them from constituents.
        """
        k, jets = len(mass), self.num_jets
        offsets = self.offsets + k * torch.arange(jets + 1, device=self.device)
        own = torch.ones(len(self.p4) + k * jets, dtype=torch.bool, device=self.device)
        if jets == 1:
            own[:k] = False
        else:
            own[(offsets[:-1, None] + torch.arange(k, device=self.device)).flatten()] = False

        def merge(front: Tensor, rows: Tensor) -> Tensor:
            if jets == 1:
                return torch.cat([front.to(rows), rows])
            merged = rows.new_empty((len(own), *rows.shape[1:]))
            merged[own] = rows
            merged[~own] = front.to(rows).repeat(jets, *[1] * (rows.ndim - 1))
            return merged

        return RaggedJets(
            p4=merge(p4, self.p4),
            mass=merge(mass, self.mass),
            offsets=offsets,
            jet_p4=self.jet_p4,
            polar=None if self.polar is None else merge(self.polar.new_full((k, 3), torch.nan), self.polar),
            columns={name: merge(column.new_zeros(k), column) for name, column in self.columns.items()}
            | {"reference": ~own},
        )

    def split(self, budget: int, extra: int = 0, *, pairs: bool = True) -> Iterator[RaggedJets]:
        """Split into consecutive batches of at most `budget` pairs Σ(n + extra)², or nodes Σ(n + extra) if not `pairs`.

        A jet that exceeds the budget forms a batch of its own. Memory is bounded by the budget and the largest jet.
        """
        if self.num_jets == 1:
            yield self
            return
        counts = self.counts.cpu().numpy() + extra
        work = np.cumsum(counts**2 if pairs else counts)
        first = 0
        while first < self.num_jets:
            done = work[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(work, done + budget, side="right")))
            yield self.slice(first, last)
            first = last


def boundaries(counts: Tensor) -> Tensor:
    """Offsets (J + 1,) of lists of the given lengths (J,)."""
    return torch.nn.functional.pad(torch.cumsum(counts, 0), (1, 0))


def ragged_and_nesting(jets: ak.Array, fields: Iterable[str] = ()) -> tuple[RaggedJets, Nesting]:
    """Flatten awkward jets, and keep the nesting that takes one value per jet back into their structure."""
    flat = flatten(jets, fields)
    momenta = flat.momenta
    ragged = RaggedJets(
        p4=_tensor(momenta.p4),
        mass=_tensor(momenta.mass),
        offsets=_tensor(flat.offsets),
        jet_p4=_tensor(flat.jet_p4),
        polar=None if momenta.polar is None else _tensor(momenta.polar),
        columns={name: _tensor(column) for name, column in flat.columns.items()},
    )
    return ragged, flat.nesting


def _tensor(values: AnyArray) -> Tensor:
    # Awkward's buffers may be read-only, which makes torch warn, or big-endian if they come from ROOT files.
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "u":  # torch compares and negates none of these
        values = values.astype(np.int64)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    if not values.flags.writeable or any(stride < 0 for stride in values.strides):
        values = values.copy()
    return torch.from_numpy(values)

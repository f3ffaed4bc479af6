"""The labelled jets that are compared: massless and with the same cuts, whatever file they come from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from ...array_types import F8, I8
from ...errors import JetError, explain
from ...jets import flatten
from ...jets.nesting import unnest
from ...readers import read_jets
from ...readers.simulated_folder import check_whole

__all__ = ["JetSample", "jet_files", "read_sample"]


@dataclass(frozen=True)
class JetSample:
    """J labelled jets with N constituents, hardest first; jet j owns rows ``offsets[j]:offsets[j + 1]``.

    Constituents are massless (E = |p|) and at most the hardest `max_constituents` of a jet are kept, so that neither a
    file's mass convention nor its limit on constituents distinguishes two samples.

    Attributes
    ----------
    pt, eta, phi : ndarray of float64, shape (N,)
        Of the constituents, pT in GeV.
    offsets : ndarray of int64, shape (J + 1,)
        Jet boundaries; a jet may be empty.
    labels : ndarray of int64, shape (J,)
        Classes.
    """

    pt: F8
    eta: F8
    phi: F8
    offsets: I8
    labels: I8

    @classmethod
    def of(cls, jets: ak.Array, labels: str = "label", max_constituents: int = 128) -> JetSample:
        """Flatten jets; missing jets are left out.

        Parameters
        ----------
        jets : ak.Array
            Canonical jets, any outer nesting.
        labels : str
            Jet field that holds the class: whole numbers from 0.
        max_constituents : int
            Number of hardest constituents kept in each jet.

        Raises
        ------
        JetError
            If the jets are not canonical, or labels are missing or not class numbers.
        """
        if max_constituents < 1:
            raise JetError(explain(f"max_constituents = {max_constituents}", "1 or more", "leave it at 128"))
        flat = flatten(jets)
        classes = _classes(jets, labels)
        p4, offsets = flat.momenta.p4, flat.offsets
        pt = np.hypot(p4[:, 1], p4[:, 2])
        jet_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = np.lexsort((-pt, jet_of))
        kept = order[np.arange(len(pt)) - offsets[:-1][jet_of] < max_constituents]
        bounds = np.concatenate([[0], np.cumsum(np.minimum(np.diff(offsets), max_constituents))]).astype(np.int64)
        # a particle along the beam has no pseudorapidity: use a large one
        eta = np.arcsinh(p4[:, 3] / np.maximum(pt, 1e-12 * np.abs(p4[:, 3]) + 1e-300))
        return cls(pt[kept], eta[kept], np.arctan2(p4[:, 2], p4[:, 1])[kept], bounds, classes)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def counts(self) -> I8:
        """Constituents per jet, shape (J,)."""
        return np.diff(self.offsets)

    @cached_property
    def p4(self) -> F8:
        """(E, px, py, pz) of the constituents, E = |p|, shape (N, 4), GeV."""
        p = self.pt
        return np.stack(
            [p * np.cosh(self.eta), p * np.cos(self.phi), p * np.sin(self.phi), p * np.sinh(self.eta)], axis=1
        )

    @cached_property
    def jet_p4(self) -> F8:
        """Sums of the constituents, shape (J, 4), GeV."""
        return np.stack([self.sums(component) for component in self.p4.T], axis=1)

    @cached_property
    def relative(self) -> tuple[F8, F8]:
        """Distances Δy and Δφ of each constituent from its jet's axis, shapes (N,).

        y is the rapidity: additive under boosts along the beam, and equal to η for massless particles.
        """
        energy, px, py, pz = np.repeat(self.jet_p4, self.counts, axis=0).T
        mass2 = np.maximum(energy**2 - px**2 - py**2 - pz**2, 0)
        d_eta = self.eta - np.arcsinh(pz / np.maximum(np.sqrt(px**2 + py**2 + mass2), 1e-300))
        d_phi = np.remainder(self.phi - np.arctan2(py, px) + np.pi, 2 * np.pi) - np.pi
        return d_eta, d_phi

    def sums(self, values: F8) -> F8:
        """Sum over each jet of one value per constituent, 0 for an empty jet, shape (J,)."""
        total = np.zeros(len(self))
        filled = self.counts > 0
        if filled.any():
            total[filled] = np.add.reduceat(values, self.offsets[:-1][filled])
        return total

    def select(self, jets: Any) -> JetSample:
        """The jets of the given indices, or of a mask, in that order."""
        index = np.arange(len(self))[jets]
        counts = self.counts[index]
        bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.arange(bounds[-1]) + np.repeat(self.offsets[:-1][index] - bounds[:-1], counts)
        return JetSample(self.pt[rows], self.eta[rows], self.phi[rows], bounds, self.labels[index])

    def centred(self) -> ak.Array:
        """Canonical jets boosted along the beam and rotated about it to y = φ = 0: massless, with pT, Δy and Δφ."""
        d_eta, d_phi = self.relative
        columns = {"pt": self.pt, "eta": d_eta, "phi": d_phi, "mass": np.zeros_like(self.pt)}
        return ak.zip({"constituents": ak.unflatten(ak.zip(columns), self.counts)}, depth_limit=1)


def jet_files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Files named by paths, patterns and folders of Parquet shards.

    Raises
    ------
    JetError
        If a folder holds no Parquet file, or a simulation that was interrupted.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[str] = []
    for one in several:
        path = Path(one).expanduser()
        if not path.is_dir():
            found.append(os.fspath(one))
            continue
        check_whole(path)
        shards = sorted(str(file) for file in path.glob("*.parquet") if not file.name.startswith("."))
        if not shards:
            raise JetError(
                explain(
                    f"folder {path} without a Parquet file",
                    "a folder from `equitag simulate`, with shard-00000.parquet, ...",
                    "give the files, or the folder that holds them",
                )
            )
        found += shards
    return found


def read_sample(paths: Any, labels: str, max_constituents: int) -> tuple[ak.Array, JetSample]:
    """Jets from files, patterns or folders: as they are, and in the form that is compared."""
    jets = read_jets(jet_files(paths))
    return jets, JetSample.of(jets, labels, max_constituents)


def _classes(jets: ak.Array, name: str) -> I8:
    if name not in jets.fields:
        raise JetError(
            explain(
                f"jets without a field '{name}'; they have {', '.join(jets.fields)}",
                "a label for each jet",
                "name the field that holds it (labels='...', --labels on the command line)",
            )
        )
    labels = unnest(jets)[1][name]
    try:
        values = np.asarray(ak.to_numpy(labels, allow_missing=False), np.float64)
    except (TypeError, ValueError) as error:
        raise JetError(
            explain(f"'{name}' of type {labels.type}", "a whole number from 0 for each jet", "drop the other jets")
        ) from error
    bad = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if bad.any():
        raise JetError(
            explain(
                f"'{name}' = {values[int(np.argmax(bad))]:g} of jet {int(np.argmax(bad))} ({int(bad.sum())} such)",
                "whole numbers from 0",
                f"drop those jets, e.g. jets[jets.{name} >= 0]",
            )
        )
    return values.astype(np.int64)

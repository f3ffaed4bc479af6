"""Observables of single jets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...array_types import F8, Bools
from .jet_sample import JetSample
from .subjets import n_subjettiness, three_subjet_masses

__all__ = ["OBSERVABLES", "SOFT", "Observable", "values_of"]


#: Constituents below this pT (GeV) are called soft.
SOFT = 1.0


@dataclass(frozen=True)
class Observable:
    """One number per jet.

    Attributes
    ----------
    title : str
        For plots, with Matplotlib's mathematics.
    words : str
        For tables, plain text.
    unit : str
        "GeV" or nothing.
    whole : bool
        Whether it is a count.
    """

    title: str
    words: str
    unit: str = ""
    whole: bool = False

    @property
    def axis(self) -> str:
        """Title with its unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


#: Name -> observable, in the order of the table.
OBSERVABLES = {
    "multiplicity": Observable("constituents", "constituents", whole=True),
    "soft": Observable("constituents below 1 GeV", "constituents below 1 GeV", whole=True),
    "soft_fraction": Observable("share of constituents below 1 GeV", "share of constituents below 1 GeV"),
    "smallest_pt": Observable(r"smallest constituent $p_T$", "smallest constituent pT", "GeV"),
    "largest_pt_share": Observable(r"hardest constituent's share of $p_T$", "hardest constituent's share of pT"),
    "jet_pt": Observable(r"jet $p_T$", "jet pT", "GeV"),
    "jet_eta": Observable(r"jet $|\eta|$", "jet |η|"),
    "jet_mass": Observable("jet mass", "jet mass", "GeV"),
    "width": Observable(r"$p_T$-weighted mean $\Delta R$ from the axis", "pT-weighted mean ΔR from the axis"),
    "tau21": Observable(r"$\tau_{21}$", "τ21"),
    "tau32": Observable(r"$\tau_{32}$", "τ32"),
    "pair_mass": Observable("smallest pair mass of 3 subjets", "smallest pair mass of 3 subjets", "GeV"),
}


def values_of(sample: JetSample) -> dict[str, F8]:
    """All observables of all jets, shape (J,); NaN where undefined (an empty jet has no smallest pT)."""
    d_eta, d_phi = sample.relative
    energy, px, py, pz = sample.jet_p4.T
    pt, counts, filled = np.hypot(px, py), sample.counts.astype(np.float64), sample.counts > 0
    soft = sample.sums((sample.pt < SOFT).astype(np.float64))
    tau = n_subjettiness(sample)
    scalar_pt = sample.sums(sample.pt)
    return {
        "multiplicity": counts,
        "soft": soft,
        "soft_fraction": _ratio(soft, counts),
        "smallest_pt": _at(sample, filled, -1),
        "largest_pt_share": _ratio(_at(sample, filled, 0), scalar_pt),
        "jet_pt": np.where(filled, pt, np.nan),
        "jet_eta": np.where(filled, np.abs(np.arcsinh(_ratio(pz, pt))), np.nan),
        "jet_mass": np.where(filled, np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0)), np.nan),
        "width": _ratio(sample.sums(sample.pt * np.hypot(d_eta, d_phi)), scalar_pt),
        "tau21": _ratio(tau[:, 1], tau[:, 0]),
        "tau32": _ratio(tau[:, 2], tau[:, 1]),
        "pair_mass": three_subjet_masses(sample)[:, 0],
    }


def _at(sample: JetSample, filled: Bools, place: int) -> F8:
    """The pT of the first (0) or last (-1) constituent of each jet; they are in order of decreasing pT."""
    values = np.full(len(sample), np.nan)
    rows = sample.offsets[:-1] if place == 0 else sample.offsets[1:] - 1
    values[filled] = sample.pt[rows[filled]]
    return values


def _ratio(above: F8, below: F8) -> F8:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))

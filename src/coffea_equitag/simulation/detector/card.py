"""The card of a detector: geometry, efficiencies and resolutions as data."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field, model_validator

from ...array_types import F8, I8, Bools
from ...validation import Strict

__all__ = [
    "Calorimeter",
    "DetectorCard",
    "EfficiencyRegion",
    "EnergyResolution",
    "ImpactResolution",
    "MomentumResolution",
    "TowerBand",
    "TrackType",
]


class _Region(Strict):
    eta: tuple[float, float] = Field(description="Range of |eta| at the calorimeter's surface: above the first.")

    @model_validator(mode="after")
    def _ordered(self) -> _Region:
        if not 0 <= self.eta[0] < self.eta[1]:
            raise ValueError(f"|eta| range {self.eta} is not 0 ≤ low < high")
        return self

    def holds(self, abs_eta: F8) -> Bools:
        """Which |eta| lie in this region; the lower edge belongs to it only if it is 0."""
        low, high = self.eta
        return ((abs_eta > low) | (low == 0)) & (abs_eta <= high)


class EfficiencyRegion(_Region):
    """Track efficiency in a region of (pT, |eta|); 0 outside all regions."""

    pt: tuple[float, float] = Field(description="Range of pT in GeV: above the first, up to the second.")
    efficiency: float = Field(ge=0, le=1)


class MomentumResolution(_Region):
    """σ(pT)/pT = sqrt(constant² + (slope · pT)²)."""

    constant: float = Field(ge=0, description="Multiple scattering.")
    slope: float = Field(ge=0, description="Intrinsic resolution, 1/GeV.")


class ImpactResolution(_Region):
    """Resolution of impact parameters, interpolated between points in log pT and log σ."""

    pt: tuple[float, ...] = Field(description="pT of the points in GeV, increasing.")
    d0: tuple[float, ...] = Field(description="σ of the transverse impact parameter at the points in mm.")
    dz: tuple[float, ...] = Field(description="σ of the longitudinal impact parameter at the points in mm.")

    @model_validator(mode="after")
    def _paired(self) -> ImpactResolution:
        if not len(self.pt) == len(self.d0) == len(self.dz) > 0 or min(*self.pt, *self.d0, *self.dz) <= 0:
            raise ValueError("pt, d0 and dz need equal numbers of positive points")
        if any(b <= a for a, b in zip(self.pt, self.pt[1:], strict=False)):
            raise ValueError(f"the points' pT {self.pt} do not increase")
        return self


class TrackType(Strict):
    """Tracking of one kind of charged particle."""

    efficiency: tuple[EfficiencyRegion, ...]
    resolution: tuple[MomentumResolution, ...]


class EnergyResolution(_Region):
    """σ(E) = (scale + curve · (|eta| - centre)²) · sqrt((constant · E)² + stochastic² · E + noise²), GeV."""

    constant: float = Field(ge=0)
    stochastic: float = Field(ge=0, description="sqrt(GeV).")
    noise: float = Field(default=0.0, ge=0, description="GeV.")
    scale: float = Field(default=1.0, gt=0)
    curve: float = Field(default=0.0, ge=0)
    centre: float = 0.0


class TowerBand(Strict):
    """Towers of both hemispheres with one segmentation in phi."""

    eta_edges: tuple[float, ...] = Field(description="Edges in |eta|, increasing.")
    phi_towers: int = Field(ge=1, description="Number of towers around the beam.")


class Calorimeter(Strict):
    """One calorimeter: towers, resolution and thresholds."""

    bands: tuple[TowerBand, ...] = Field(description="Towers from the centre outwards; bands adjoin.")
    resolution: tuple[EnergyResolution, ...]
    min_energy: float = Field(ge=0, description="Smallest energy of a tower that is measured, GeV.")
    min_significance: float = Field(ge=0, description="The same in units of the energy's σ.")

    @model_validator(mode="after")
    def _joined(self) -> Calorimeter:
        for one, next_one in zip(self.bands, self.bands[1:], strict=False):
            if not math.isclose(one.eta_edges[-1], next_one.eta_edges[0]):
                raise ValueError(f"towers end at |eta| {one.eta_edges[-1]} and continue at {next_one.eta_edges[0]}")
        edges = self.edges
        if edges[0] < 0 or np.any(np.diff(edges) <= 0):
            raise ValueError("edges in |eta| do not increase from 0")
        return self

    @property
    def edges(self) -> F8:
        """All edges in |eta|."""
        first = self.bands[0].eta_edges[:1]
        return np.array([*first, *(edge for band in self.bands for edge in band.eta_edges[1:])], np.float64)

    @property
    def phi_towers(self) -> I8:
        """Number of towers in phi for every interval between `edges`."""
        return np.concatenate([np.full(len(b.eta_edges) - 1, b.phi_towers) for b in self.bands]).astype(np.int64)


class DetectorCard(Strict):
    """Description of a detector; refuses unknown fields."""

    name: str
    source: str = Field(description="Source of the parameters.")
    field: float = Field(gt=0, description="Magnetic field along the beam in T.")
    radius: float = Field(gt=0, description="Radius of the field, where the calorimeter begins, in mm.")
    half_length: float = Field(gt=0, description="Half length of the field in mm.")
    hadrons: TrackType = Field(description="Charged hadrons.")
    electrons: TrackType
    muons: TrackType
    impact: tuple[ImpactResolution, ...] = Field(description="Empty if tracks have no impact parameters.")
    ecal: Calorimeter
    hcal: Calorimeter
    combined: bool = Field(description="Whether the ECAL and HCAL objects of a tower share one smeared direction.")
    energy_fractions: dict[int, tuple[float, float]] = Field(
        description="|PDG code| -> fractions of the energy measured by ECAL and HCAL; 0 stands for all others."
    )

    @model_validator(mode="after")
    def _consistent(self) -> DetectorCard:
        if 0 not in self.energy_fractions:
            raise ValueError("energy_fractions lack code 0, which stands for all others")
        if self.combined and self.ecal.bands != self.hcal.bands:
            raise ValueError("a combined calorimeter needs the same towers in ECAL and HCAL")
        return self

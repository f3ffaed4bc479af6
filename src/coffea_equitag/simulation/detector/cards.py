"""Parameters of the ATLAS- and CMS-like detectors, with their sources."""

from __future__ import annotations

from .card import (
    Calorimeter,
    DetectorCard,
    EfficiencyRegion,
    EnergyResolution,
    ImpactResolution,
    MomentumResolution,
    TowerBand,
    TrackType,
)

__all__ = ["ATLAS", "CARDS", "CMS"]

#: No upper limit.
_ANY = 1e9

_CENTRAL, _FORWARD = (0.0, 1.5), (1.5, 2.5)


def _efficiency(*rows: tuple[tuple[float, float], tuple[float, float], float]) -> tuple[EfficiencyRegion, ...]:
    return tuple(EfficiencyRegion(eta=eta, pt=pt, efficiency=value) for eta, pt, value in rows)


def _momentum(*rows: tuple[float, float]) -> tuple[MomentumResolution, ...]:
    regions = ((0.0, 0.5), (0.5, 1.5), (1.5, 2.5))
    return tuple(
        MomentumResolution(eta=eta, constant=constant, slope=slope)
        for eta, (constant, slope) in zip(regions, rows, strict=True)
    )


# Both cards of Delphes 3.3 have the same tracking efficiencies.
_HADRON_EFFICIENCY = _efficiency(
    (_CENTRAL, (0.1, 1.0), 0.70),
    (_CENTRAL, (1.0, _ANY), 0.95),
    (_FORWARD, (0.1, 1.0), 0.60),
    (_FORWARD, (1.0, _ANY), 0.85),
)
_ELECTRON_EFFICIENCY = _efficiency(
    (_CENTRAL, (0.1, 1.0), 0.73),
    (_CENTRAL, (1.0, 100.0), 0.95),
    (_CENTRAL, (100.0, _ANY), 0.99),
    (_FORWARD, (0.1, 1.0), 0.50),
    (_FORWARD, (1.0, 100.0), 0.83),
    (_FORWARD, (100.0, _ANY), 0.90),
)
_MUON_EFFICIENCY = _efficiency(
    (_CENTRAL, (0.1, 1.0), 0.75),
    (_CENTRAL, (1.0, _ANY), 0.99),
    (_FORWARD, (0.1, 1.0), 0.70),
    (_FORWARD, (1.0, _ANY), 0.98),
)

_FRACTIONS = {
    0: (0.0, 1.0),
    11: (1.0, 0.0),
    22: (1.0, 0.0),
    111: (1.0, 0.0),
    12: (0.0, 0.0),
    13: (0.0, 0.0),
    14: (0.0, 0.0),
    16: (0.0, 0.0),
    310: (0.3, 0.7),
    3122: (0.3, 0.7),
}

# Points read off the curves for muons; used for all tracks.
_IMPACT_PT = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)
_IMPACT = (
    ImpactResolution(
        eta=(0.0, 0.9),
        pt=_IMPACT_PT,
        d0=(0.281, 0.158, 0.0753, 0.049, 0.0283, 0.020, 0.013, 0.0104),
        dz=(0.314, 0.208, 0.111, 0.074, 0.0484, 0.040, 0.0316, 0.0283),
    ),
    ImpactResolution(
        eta=(0.9, 1.4),
        pt=_IMPACT_PT,
        d0=(0.358, 0.18, 0.0926, 0.052, 0.0313, 0.0217, 0.0134, 0.0102),
        dz=(0.601, 0.354, 0.198, 0.111, 0.0707, 0.0525, 0.0377, 0.0343),
    ),
    ImpactResolution(
        eta=(1.4, 2.5),
        pt=_IMPACT_PT,
        d0=(0.605, 0.31, 0.156, 0.084, 0.0425, 0.0267, 0.0165, 0.013),
        dz=(2.07, 1.32, 0.67, 0.352, 0.182, 0.122, 0.0847, 0.082),
    ),
)

_ATLAS_TOWERS = (
    TowerBand(eta_edges=tuple(round(0.1 * k, 1) for k in range(27)), phi_towers=36),
    TowerBand(eta_edges=(2.6, 2.8, 3.0, 3.2, 3.3, 3.5, 3.7, 3.9, 4.1, 4.3, 4.5, 4.7, 4.9), phi_towers=18),
)

ATLAS = DetectorCard(
    name="ATLAS",
    source="Delphes' delphes_card_ATLAS.tcl of release 3.3 (commit 8713dee), which cites physics/0608012 for the ECAL "
    "and hep-ex/0004009 for the HCAL; towers beyond |eta| 2.6 slightly simplified. Impact parameters: the card has "
    "none.",
    field=2.0,
    radius=1150.0,
    half_length=3510.0,
    hadrons=TrackType(
        efficiency=_HADRON_EFFICIENCY, resolution=_momentum((0.06, 1.3e-3), (0.10, 1.7e-3), (0.25, 3.1e-3))
    ),
    electrons=TrackType(
        efficiency=_ELECTRON_EFFICIENCY, resolution=_momentum((0.06, 1.3e-3), (0.10, 1.7e-3), (0.25, 3.1e-3))
    ),
    muons=TrackType(efficiency=_MUON_EFFICIENCY, resolution=_momentum((0.02, 2e-4), (0.03, 3e-4), (0.06, 6e-4))),
    impact=(),
    ecal=Calorimeter(
        bands=_ATLAS_TOWERS,
        resolution=(
            EnergyResolution(eta=(0.0, 3.2), constant=0.0017, stochastic=0.101),
            EnergyResolution(eta=(3.2, 4.9), constant=0.035, stochastic=0.285),
        ),
        min_energy=0.5,
        min_significance=1.0,
    ),
    hcal=Calorimeter(
        bands=_ATLAS_TOWERS,
        resolution=(
            EnergyResolution(eta=(0.0, 1.7), constant=0.0302, stochastic=0.5205, noise=1.59),
            EnergyResolution(eta=(1.7, 3.2), constant=0.05, stochastic=0.706),
            EnergyResolution(eta=(3.2, 4.9), constant=0.0942, stochastic=1.0),
        ),
        min_energy=1.0,
        min_significance=1.0,
    ),
    combined=True,
    energy_fractions=_FRACTIONS,
)

CMS = DetectorCard(
    name="CMS",
    source="Delphes' delphes_card_CMS.tcl (commit 0593ac3), which cites arXiv:1405.6569 for tracks, arXiv:1306.2016 "
    "and 1502.02701 for the ECAL; HCAL towers 5 degrees to |eta| 1.653 and 10 degrees beyond. Impact parameters: "
    "arXiv:1405.6569, figure 15.",
    field=3.8,
    radius=1290.0,
    half_length=3000.0,
    hadrons=TrackType(
        efficiency=_HADRON_EFFICIENCY, resolution=_momentum((0.01, 1.5e-4), (0.015, 2.5e-4), (0.025, 5.5e-4))
    ),
    electrons=TrackType(
        efficiency=_ELECTRON_EFFICIENCY, resolution=_momentum((0.03, 1.3e-3), (0.05, 1.7e-3), (0.15, 3.1e-3))
    ),
    muons=TrackType(
        efficiency=_MUON_EFFICIENCY, resolution=_momentum((0.01, 1.0e-4), (0.015, 1.5e-4), (0.025, 3.5e-4))
    ),
    impact=_IMPACT,
    ecal=Calorimeter(
        bands=(
            TowerBand(eta_edges=tuple(round(0.0174 * k, 4) for k in range(171)), phi_towers=360),
            TowerBand(
                eta_edges=(2.958, 3.125, 3.3, 3.475, 3.65, 3.825, 4.0, 4.175, 4.35, 4.525, 4.7, 5.0), phi_towers=36
            ),
        ),
        resolution=(
            EnergyResolution(eta=(0.0, 1.5), constant=0.008, stochastic=0.11, noise=0.4, scale=1.0, curve=0.64),
            EnergyResolution(
                eta=(1.5, 2.5), constant=0.008, stochastic=0.11, noise=0.4, scale=2.16, curve=5.6, centre=2.0
            ),
            EnergyResolution(eta=(2.5, 5.0), constant=0.107, stochastic=2.08),
        ),
        min_energy=0.5,
        min_significance=2.0,
    ),
    hcal=Calorimeter(
        bands=(
            TowerBand(eta_edges=tuple(round(0.087 * k, 3) for k in range(20)), phi_towers=72),
            TowerBand(
                eta_edges=(
                    *(1.653, 1.74, 1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 2.95, 3.125, 3.3, 3.475),
                    *(3.65, 3.825, 4.0, 4.175, 4.35, 4.525),
                ),
                phi_towers=36,
            ),
            TowerBand(eta_edges=(4.525, 4.7, 5.0), phi_towers=18),
        ),
        resolution=(
            EnergyResolution(eta=(0.0, 3.0), constant=0.05, stochastic=1.5),
            EnergyResolution(eta=(3.0, 5.0), constant=0.13, stochastic=2.7),
        ),
        min_energy=1.0,
        min_significance=2.0,
    ),
    combined=False,
    energy_fractions=_FRACTIONS,
)

#: Name -> card.
CARDS = {card.name: card for card in (ATLAS, CMS)}

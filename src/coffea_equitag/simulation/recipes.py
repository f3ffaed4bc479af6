"""Which jets to make: processes, jet definition, detector and selection, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..errors import JetError, explain

__all__ = ["RECIPES", "Process", "SampleRecipe", "recipe"]


@dataclass(frozen=True)
class Process:
    """One hard process, and the class of its jets.

    Attributes
    ----------
    name : str
        Short name of the process.
    settings : tuple of str
        Pythia settings that switch it on.
    label : int
        Class of its jets, unless it is given by their flavour.
    truth : str, optional
        What its leading jets must contain: a whole hadronic ``"top"`` or ``"W"``; or ``"flavour"``: their label is
        their flavour, one of `flavours`.
    early_veto : bool
        Whether events may be vetoed at parton level; not where the leading jet is a decay product of a resonance.
    flavours : tuple of int
        Flavours of the leading jets that are kept, as labels; the others are left out and counted.
    """

    name: str
    settings: tuple[str, ...]
    label: int
    truth: Literal["top", "W", "flavour"] | None = None
    early_veto: bool = True
    flavours: tuple[int, ...] = ()


@dataclass(frozen=True)
class SampleRecipe:
    """A labelled sample: its processes and the jets that are kept.

    Attributes
    ----------
    name, summary : str
        Name on the command line, and what it is.
    classes : tuple of str
        Class names, in the order of the labels.
    processes : tuple of Process
        Each makes an equal share of the jets.
    settings : tuple of str
        Pythia settings common to all processes.
    radius : float
        Radius of the anti-kT jets; also the largest distance of a decay quark or hadron from its jet.
    leading_pt : tuple of float
        Range of the leading jet's pT in GeV.
    leading_eta : float
        Largest absolute pseudorapidity (or rapidity) of the leading jet.
    rapidity : bool
        Whether `leading_eta` is a rapidity.
    min_pt : float
        Smallest pT in GeV of the jets that are kept in an event.
    max_constituents : int, optional
        How many of the hardest constituents are kept in a jet of the flat sample; None for all.
    detector : str, optional
        Name of a card in `coffea_equitag.simulation.detector.CARDS`; None for particle level.
    massless : bool
        Whether constituents are made massless, with their rapidity as pseudorapidity, like EnergyFlow's. Objects
        from a detector have no mass anyway.
    mpi : bool
        Whether Pythia's multiparton interactions (the underlying event) are on.
    """

    name: str
    summary: str
    classes: tuple[str, ...]
    processes: tuple[Process, ...]
    settings: tuple[str, ...]
    radius: float = 0.8
    leading_pt: tuple[float, float] = (550.0, 650.0)
    leading_eta: float = 2.0
    rapidity: bool = False
    min_pt: float = 200.0
    max_constituents: int | None = 200
    detector: str | None = None
    massless: bool = False
    mpi: bool = True

    @property
    def pythia(self) -> tuple[str, ...]:
        """Pythia settings common to all processes, including those of the underlying event."""
        return self.settings if self.mpi else (*self.settings, "PartonLevel:MPI = off")

    def variant(self, *, mpi: bool = True, particle_level: bool = False) -> SampleRecipe:
        """The same recipe without the underlying event or without the detector."""
        return replace(self, mpi=self.mpi and mpi, detector=None if particle_level else self.detector)


# Every W decays to quarks.
_HADRONIC_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
_TTBAR = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_HADRONIC_W)
_INVISIBLE_Z = ("WeakZ0:gmZmode = 2", "23:onMode = off", "23:onIfAny = 12 14 16")

# Multiparton interactions are on, though the paper of the Top Landscape (arXiv:1902.09914) says off: with them, and
# only with them, multiplicities agree with the published jets.
_TOP = SampleRecipe(
    name="top",
    summary="hadronic top against QCD jets, 14 TeV, anti-kT R = 0.8, 550-650 GeV, ATLAS-like detector",
    classes=("QCD", "top"),
    processes=(
        Process(name="ttbar", settings=_TTBAR, label=1, truth="top"),
        Process(name="QCD", settings=("HardQCD:all = on",), label=0),
    ),
    # a jet of 550-650 GeV seldom comes from a parton outside 500-800 GeV
    settings=("Beams:eCM = 14000.", "PhaseSpace:pTHatMin = 500.", "PhaseSpace:pTHatMax = 800."),
    detector="ATLAS",
)

_QUARK_GLUON = SampleRecipe(
    name="qg",
    summary="quark against gluon jets beside Z -> nu nu, 14 TeV, anti-kT R = 0.4, 500-550 GeV, |y| < 1.7, "
    "particle level",
    classes=("gluon", "quark"),
    processes=(
        Process(name="Z quark", settings=("WeakBosonAndParton:qg2gmZq = on", *_INVISIBLE_Z), label=1),
        Process(name="Z gluon", settings=("WeakBosonAndParton:qqbar2gmZg = on", *_INVISIBLE_Z), label=0),
    ),
    settings=("Beams:eCM = 14000.", "PhaseSpace:pTHatMin = 450.", "PhaseSpace:pTHatMax = 800."),
    radius=0.4,
    leading_pt=(500.0, 550.0),
    leading_eta=1.7,
    rapidity=True,
    max_constituents=None,
    massless=True,
)

# As in arXiv:2303.11288: signal are b jets of top pairs; background are jets without a b hadron of inclusive QCD, with
# its own share of c jets. Every W decays to quarks here too, so that no leading jet is a lepton. QCD jets just above
# 90 GeV that come from partons below 80 GeV are missing.
_BOTTOM = SampleRecipe(
    name="btag",
    summary="b jets of top pairs against light and c jets of QCD, 13 TeV, anti-kT R = 0.5, pT > 90 GeV, |eta| < 2.4, "
    "CMS-like detector with impact parameters",
    classes=("light", "c", "b"),
    processes=(
        Process(name="ttbar", settings=_TTBAR, label=-1, truth="flavour", early_veto=False, flavours=(2,)),
        Process(
            name="QCD",
            settings=("HardQCD:all = on", "PhaseSpace:pTHatMin = 80."),
            label=-1,
            truth="flavour",
            flavours=(0, 1),
        ),
    ),
    settings=("Beams:eCM = 13000.",),
    radius=0.5,
    leading_pt=(90.0, 7000.0),
    # within the tracker, with most of the jet
    leading_eta=2.4,
    min_pt=30.0,
    detector="CMS",
)

_W = SampleRecipe(
    name="w",
    summary="boosted W -> qq' with its true four-momentum, 14 TeV, anti-kT R = 0.8, 550-650 GeV, ATLAS-like detector",
    classes=("W",),
    processes=(
        Process(
            name="W jet",
            settings=("WeakBosonAndParton:qqbar2Wg = on", "WeakBosonAndParton:qg2Wq = on", *_HADRONIC_W),
            label=0,
            truth="W",
        ),
    ),
    settings=("Beams:eCM = 14000.", "PhaseSpace:pTHatMin = 500.", "PhaseSpace:pTHatMax = 800."),
    detector="ATLAS",
)

#: Name -> recipe. ``top-particle`` is ``top`` without the detector.
RECIPES = {
    known.name: known
    for known in (
        _TOP,
        replace(
            _TOP,
            name="top-particle",
            summary="the same without a detector",
            detector=None,
        ),
        _QUARK_GLUON,
        _BOTTOM,
        _W,
    )
}


def recipe(name: str) -> SampleRecipe:
    """Return the recipe of this name.

    Raises
    ------
    JetError
        If there is no such recipe.
    """
    if name not in RECIPES:
        raise JetError(
            explain(
                f"no recipe {name!r}",
                "one of " + ", ".join(f"{known.name} ({known.summary})" for known in RECIPES.values()),
                "use one of these, or generate the jets elsewhere and read them with eqt.read_jets",
            )
        )
    return RECIPES[name]

"""Which jets to make: processes, jet definition and selection, by name."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import JetError, explain

__all__ = ["RECIPES", "Process", "Recipe", "recipe"]


@dataclass(frozen=True)
class Process:
    """One hard process and what its jets are.

    Attributes
    ----------
    name : str
        Short name of the process.
    settings : tuple of str
        Pythia settings that switch it on.
    label : int
        Class of its jets.
    tops : bool
        Whether it makes top pairs; jets then have to hold a whole hadronic top.
    """

    name: str
    settings: tuple[str, ...]
    label: int
    tops: bool = False


@dataclass(frozen=True)
class Recipe:
    """A labelled sample: its processes and the jets that are kept.

    Attributes
    ----------
    name, summary : str
        Name on the command line, and what it is.
    classes : tuple of str
        Class names, in the order of the labels.
    processes : tuple of Process
        One process a class, the signal first.
    settings : tuple of str
        Pythia settings common to all processes.
    radius : float
        Radius of the anti-kT jets; also the largest distance of a decay quark from its jet.
    leading_pt : tuple of float
        Range of the leading jet's pT, GeV.
    leading_eta : float
        Largest absolute pseudorapidity of the leading jet.
    min_pt : float
        Smallest pT of the jets that are kept in an event, GeV.
    max_constituents : int
        The hardest constituents kept in a jet of the flat sample.
    """

    name: str
    summary: str
    classes: tuple[str, ...]
    processes: tuple[Process, ...]
    settings: tuple[str, ...]
    radius: float = 0.8
    leading_pt: tuple[float, float] = (550.0, 650.0)
    leading_eta: float = 2.0
    min_pt: float = 200.0
    max_constituents: int = 200


_TOP = Recipe(
    name="top",
    summary="hadronic top against QCD jets, 14 TeV, anti-kT R = 0.8, 550-650 GeV, particle level",
    classes=("QCD", "top"),
    processes=(
        Process(
            name="ttbar",
            # Every W decays to quarks: both tops of an event are hadronic.
            settings=(
                "Top:gg2ttbar = on",
                "Top:qqbar2ttbar = on",
                "24:onMode = off",
                "24:onIfAny = 1 2 3 4 5",
            ),
            label=1,
            tops=True,
        ),
        Process(name="QCD", settings=("HardQCD:all = on",), label=0),
    ),
    # A jet of 550-650 GeV seldom comes from a parton outside 500-800 GeV.
    settings=("Beams:eCM = 14000.", "PhaseSpace:pTHatMin = 500.", "PhaseSpace:pTHatMax = 800."),
)

#: Recipe name -> recipe.
RECIPES = {_TOP.name: _TOP}


def recipe(name: str) -> Recipe:
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
                "name one of these, or generate the jets elsewhere and read them with eqt.read_jets",
            )
        )
    return RECIPES[name]

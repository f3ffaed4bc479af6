"""Simulated samples: QCD, top pairs, a resonance, and pseudo-data that contain all three.

Pseudo-data play the part of nature. They are made with a softer final-state shower than the simulation, so that QCD
jets are mis-tagged at another rate than simulated ones, and with a trigger whose turn-on the simulation only knows
approximately. Their truth is not written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np

from coffea_equitag import simulation
from coffea_equitag.simulation.recipes import Process

from .trigger import efficiency

#: Mass of the resonance (GeV), and the σ × B(tt, all-hadronic) in pb for which the signal strength is 1. The latter is
#: a round number, not the prediction of a model.
MASS, REFERENCE_CROSS_SECTION = 1250.0, 10.0

_HADRONIC = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")

PROCESSES = {
    "qcd": Process("QCD", ("HardQCD:all = on", "PhaseSpace:pTHatMin = 400."), label=0),
    "ttbar": Process(
        "ttbar",
        ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "PhaseSpace:pTHatMin = 350.", *_HADRONIC),
        label=1,
        truth="top",
    ),
    "zprime": Process(
        "zprime",
        (
            "NewGaugeBoson:ffbar2gmZZprime = on",
            "Zprime:gmZmode = 3",  # without interference
            f"32:m0 = {MASS}",
            "32:onMode = off",
            "32:onIfAny = 6",
            *_HADRONIC,
        ),
        label=1,
        truth="top",
        early_veto=False,  # its leading jets are decay products of a resonance
    ),
}

#: Softer than Pythia's 0.1365.
_NATURE = ("TimeShower:alphaSvalue = 0.127",)


@dataclass(frozen=True)
class Size:
    """How much is simulated: luminosity of the pseudo-data (1/pb), and numbers of simulated events."""

    luminosity: float
    qcd: int
    ttbar: int
    zprime: int


SIZES = {"small": Size(0.4, 160, 40, 40), "full": Size(10.0, 15_000, 1_500, 1_500)}


def recipe(process: str, settings: tuple[str, ...] = ()) -> simulation.SampleRecipe:
    """Events of one process whose leading anti-kT R = 0.8 jet has pT > 500 GeV, in a CMS-like detector."""
    return simulation.SampleRecipe(
        name=process,
        summary=f"{process}, 13 TeV, CMS-like detector",
        classes=("qcd", "top"),
        processes=(PROCESSES[process],),
        settings=("Beams:eCM = 13000.", *settings),
        leading_pt=(500.0, 1500.0),
        min_pt=200.0,
        detector="CMS",
    )


def cross_section(path: Path) -> float:
    """Cross-section in pb of what a simulated file holds; the signal's is the reference."""
    (found,) = simulation.read_provenance(path)["yields"]
    expected = REFERENCE_CROSS_SECTION if path.stem == "zprime" else found["cross_section_pb"]
    return expected * found["efficiency"]


def make(folder: Path, size: Size, *, strength: float = 0.0, seed: int = 1, workers: int = 1) -> dict[str, Path]:
    """Simulate what is missing in the folder; returns dataset -> file.

    Parameters
    ----------
    folder : Path
    size : Size
    strength : float
        Signal strength in the pseudo-data.
    seed : int
    workers : int
        Number of processes; the samples do not depend on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"size": [size.luminosity, size.qcd, size.ttbar, size.zprime], "strength": strength, "seed": seed}
    note = folder / "samples.json"
    if note.exists() and json.loads(note.read_text()) != wanted:
        raise SystemExit(f"{folder} holds samples of {note.read_text()}; wanted {wanted}: choose another folder")
    note.write_text(json.dumps(wanted))
    files = {name: folder / f"{name}.root" for name in (*PROCESSES, "data")}
    for k, name in enumerate(PROCESSES):
        if not files[name].exists():
            number = getattr(size, name)
            simulation.simulate_file(recipe(name), number, files[name], seed=100 * seed + k, workers=workers)
    if not files["data"].exists():
        expected = {name: cross_section(files[name]) * size.luminosity for name in PROCESSES}
        expected["zprime"] *= strength
        simulation.write_pfnano(files["data"], pseudo_data(expected, seed=100 * seed + 50, workers=workers))
    return files


def pseudo_data(expected: dict[str, float], *, seed: int, workers: int = 1) -> ak.Array:
    """Events of all processes in Poisson-distributed numbers, shuffled, that pass the trigger."""
    random = np.random.default_rng(seed)
    numbers = {name: int(random.poisson(mean)) for name, mean in expected.items()}
    parts = [
        simulation.simulate_events(recipe(name, _NATURE), number, seed=seed + k, workers=workers)
        for k, (name, number) in enumerate(numbers.items())
        if number
    ]
    events = ak.concatenate(parts)[random.permutation(sum(numbers.values()))]
    events = events[random.random(len(events)) < efficiency(ak.to_numpy(events.jets.pt[:, 0]), "truth")]
    jets = events.jets[[name for name in events.jets.fields if name not in ("label", "isTop", "isQCD")]]
    return ak.zip({"jets": jets, "partons": events.partons[:, :0], "weight": events.weight}, depth_limit=1)

"""The analysis as a `TaggerProcessor`: cuts, weights, variations, regions, and histograms of the tagger's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
from coffea import processor

import coffea_equitag as eqt
from coffea_equitag.schema import QuietPFNano
from coffea_equitag.variations import CandidateScale, JetScale, TrackingEfficiency, up_and_down

from . import samples, trigger
from .selection import COLLECTION, EVENT_SELECTIONS, JET_SELECTIONS, MASS_AXIS, REGIONS, dijet_mass, region

TAGGER = Path(__file__).parent / "tagger"
WORKING_POINTS = TAGGER / "working_points.json"


#: Energy scale of the jets; and of their neutral candidates and the tracking efficiency, which change the scores.
VARIATIONS = {
    **up_and_down("jet_scale", JetScale, 0.02, collection=COLLECTION),
    "neutral_scaleUp": CandidateScale(neutral=0.05, photon=0.01),
    "neutral_scaleDown": CandidateScale(neutral=-0.05, photon=-0.01),
    "trackingDown": TrackingEfficiency(0.03),
}


def trigger_weights(events: ak.Array) -> tuple[np.ndarray, ...]:
    """Efficiency of the trigger, and its variations up and down."""
    pt = ak.to_numpy(ak.fill_none(ak.firsts(events[COLLECTION].pt), 0.0))
    return tuple(trigger.efficiency(pt, kind) for kind in ("nominal", "up", "down"))


def sample_weight(events: ak.Array) -> np.ndarray:
    """Luminosity times cross-section, divided by the number of simulated events."""
    return events.genWeight * events.metadata["scale"]


VARIABLES = {
    "dijet_mass": (MASS_AXIS, dijet_mass),
    "constituents": (hist.axis.Regular(40, 0, 160, name="constituents", label="Constituents"), "nConstituents"),
    "mass": hist.axis.Regular(40, 0, 300, name="mass", label="Jet mass [GeV]"),
    "pt": hist.axis.Regular(40, 400, 1200, name="pt", label=r"Jet $p_T$ [GeV]"),
}


def inputs(events: ak.Array, jets: Mapping[str, ak.Array]) -> dict[str, Any]:
    """Histograms of what the tagger sees of the selected jets."""
    canonical = eqt.readers.nanoaod(events, COLLECTION)
    canonical = canonical[ak.local_index(canonical, axis=1) < 2]
    metadata = events.metadata
    weight = sample_weight(events) * trigger_weights(events)[0] if metadata["is_mc"] else np.ones(len(events))
    return {"inputs": eqt.evaluation.input_histograms(canonical, weight, dataset=metadata["dataset"])}


def make_processor() -> eqt.TaggerProcessor:
    return eqt.TaggerProcessor(
        {COLLECTION: TAGGER},
        event_selections=EVENT_SELECTIONS,
        jet_selections={COLLECTION: JET_SELECTIONS},
        working_points=WORKING_POINTS,
        variations=VARIATIONS,
        weights={"sample": sample_weight, "trigger": trigger_weights},
        regions={name: region(*tags) for name, tags in REGIONS.items()},
        variables={COLLECTION: VARIABLES},
        hook=inputs,
    )


def fileset(files: Mapping[str, Path], luminosity: float) -> dict[str, Any]:
    """coffea's description of the datasets; simulated ones are scaled to the luminosity."""
    found = {"data": {"files": {str(files["data"]): "Events"}, "metadata": {"is_mc": False}}}
    for name in samples.PROCESSES:
        number = eqt.simulation.read_provenance(files[name])["n"]
        scale = luminosity * samples.cross_section(files[name]) / number
        found[name] = {"files": {str(files[name]): "Events"}, "metadata": {"is_mc": True, "scale": scale}}
    return found


def run(files: Mapping[str, Path], luminosity: float, workers: int = 1) -> dict[str, Any]:
    """Process all files; the histograms are scaled to the luminosity."""
    executor = (
        processor.FuturesExecutor(workers=workers, status=False)
        if workers > 1
        else processor.IterativeExecutor(status=False)
    )
    runner = processor.Runner(executor, schema=QuietPFNano, chunksize=10_000)
    return runner(fileset(files, luminosity), make_processor())

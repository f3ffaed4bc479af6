"""The demonstration: from a ROOT file through a coffea processor to scores, histograms and plots."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import coffea.util
import numpy as np
import uproot
from coffea import processor
from coffea.nanoevents import NanoEventsFactory
from rich.console import Console
from rich.table import Table

from ..array_types import AnyArray
from ..atomic_file import make_folder
from ..demo import PACKAGED_FILE, PACKAGED_JETS, PACKAGED_TAGGER
from ..errors import JetRangeWarning
from ..evaluation import Metrics, measure, plots
from ..processor import TaggerProcessor
from ..readers import read_jets
from ..schema import QuietPFNano
from ..scoring import score_file
from ..tagger import load

__all__ = ["DemoReport", "run_demo"]

#: The range of the jets that the tagger was trained on.
PT_RANGE, ETA_LIMIT = (550.0, 650.0), 2.0

#: What the plots show.
SAMPLE = r"$t\bar{t}$ and QCD, Pythia 8, ATLAS-like detector; $550 < p_T < 650$ GeV, $|\eta| < 2$"

#: All jets, and no systematic.
NOMINAL = {"systematic": "nominal", "region": "inclusive"}

WORKING_POINTS = {"loose": 0.5, "tight": 0.9}


@dataclass(frozen=True)
class DemoReport:
    """Output of the demonstration.

    Attributes
    ----------
    files : dict of str to Path
        Scored ROOT file, histograms and plots.
    metrics : Metrics
        Of the tagger, on the selected jets whose truth is known and 4000 further jets.
    output : dict
        The processor's accumulator.
    seconds : float
        Wall-clock time.
    """

    files: dict[str, Path]
    metrics: Metrics
    output: dict[str, Any]
    seconds: float


def in_range(jets: ak.Array) -> ak.Array:
    """Jets in the range of the packaged tagger: 550 < pT < 650 GeV, |η| < 2."""
    return (jets.pt > PT_RANGE[0]) & (jets.pt < PT_RANGE[1]) & (abs(jets.eta) < ETA_LIMIT)


def run_demo(folder: Path, console: Console | None = None) -> DemoReport:
    """Run the demonstration.

    Parameters
    ----------
    folder : Path
        Folder of its files; files of an earlier run are replaced.
    console : rich Console, optional
        Where to print.
    """
    start = time.perf_counter()
    console = console or Console(quiet=True)
    folder = make_folder(folder)
    files = {
        "scored ROOT file": folder / "scored.root",
        "histograms (coffea)": folder / "histograms.coffea",
        "histograms (ROOT)": folder / "histograms.root",
        "plot of scores": folder / "scores.png",
        "plot of ROC": folder / "roc.png",
    }
    console.print(f"[bold]1.[/] running a coffea processor with {PACKAGED_TAGGER} over {PACKAGED_FILE.name}")
    output = run_processor()
    coffea.util.save(output, files["histograms (coffea)"])
    with uproot.recreate(files["histograms (ROOT)"]) as out:
        for name, histogram in flat_histograms(output).items():
            out[name] = histogram

    console.print("[bold]2.[/] writing the scores beside the original branches")
    with warnings.catch_warnings():
        # every jet of the file is scored here; jets outside the tagger's range are left out of the plots
        warnings.simplefilter("ignore", JetRangeWarning)
        scoring = score_file(
            PACKAGED_TAGGER, PACKAGED_FILE, files["scored ROOT file"], jets="FatJet", name="top", overwrite=True
        )

    console.print(f"[bold]3.[/] reading the scores, adding the jets of {PACKAGED_JETS.name}, and plotting them")
    scores, labels = map(
        np.concatenate, zip(scores_and_truth(files["scored ROOT file"]), further_scores_and_truth(), strict=True)
    )
    metrics = measure(scores, labels)
    plots.score_by_class(scores, labels, classes=("QCD", "top"), title=f"{PACKAGED_TAGGER}\n{SAMPLE}").savefig(
        files["plot of scores"], dpi=150
    )
    plots.roc_curve(scores, labels, name=PACKAGED_TAGGER, title=SAMPLE).savefig(files["plot of ROC"], dpi=150)

    report = DemoReport(files, metrics, output, time.perf_counter() - start)
    print_report(report, console, scoring.events, scoring.jets)
    return report


def scores_and_truth(path: Path) -> tuple[AnyArray, AnyArray]:
    """Scores and labels of the jets in range that contain a whole top or none of it, from the scored file."""
    events = NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=QuietPFNano).events()
    jets = ak.flatten(events.FatJet)
    jets = jets[in_range(jets) & ((jets.isTop == 1) | (jets.isQCD == 1))]
    return ak.to_numpy(jets.top), ak.to_numpy(jets.isTop)


def further_scores_and_truth() -> tuple[AnyArray, AnyArray]:
    """Scores and labels of the packaged jets."""
    jets = read_jets(PACKAGED_JETS)
    return ak.to_numpy(load(PACKAGED_TAGGER, shared=True)(jets)), ak.to_numpy(jets.label)


def run_processor() -> dict[str, Any]:
    """Run `TaggerProcessor` on the packaged file, with ordinary cuts."""
    tagging = TaggerProcessor(
        {"FatJet": PACKAGED_TAGGER},
        event_selections={"a jet above 500 GeV": lambda events: ak.any(events.FatJet.pt > 500, axis=1)},
        jet_selections={"FatJet": {"550 < pT < 650 GeV, |eta| < 2": in_range}},
        working_points={"FatJet": WORKING_POINTS},
    )
    run = processor.Runner(processor.IterativeExecutor(status=False), schema=QuietPFNano)
    output: dict[str, Any] = run({"packaged": {"files": {str(PACKAGED_FILE): "Events"}}}, tagging)
    return output


def flat_histograms(output: dict[str, Any]) -> dict[str, Any]:
    """The processor's histograms without categories, as ROOT stores them: ``FatJet_mass_tight_pass``, ..."""
    found = {}
    for group in ("scores", "jets"):
        for collection, histograms in output[group].items():
            for name, histogram in histograms.items():
                for point in histogram.axes["working_point"]:
                    for decision in ("pass", "fail"):
                        chosen = NOMINAL | {"dataset": sum, "working_point": point, "decision": decision}
                        flat = histogram[chosen]
                        found[f"{collection}_{name}_{point}_{decision}"] = flat
    return found


def print_report(report: DemoReport, console: Console, num_events: int, num_jets: int) -> None:
    """Print the cutflow, the tagger's metrics on these jets, and the paths of the files."""
    tagger = load(PACKAGED_TAGGER, shared=True)
    cuts = Table(title="Cutflow", show_header=False)
    for cut, count in report.output["cutflow"]["packaged"].items():
        cuts.add_row(f"events: {cut}", str(count["events"]))
    for cut, count in report.output["jet_cutflow"]["FatJet"]["packaged"].items():
        cuts.add_row(f"fat jets: {cut}", str(count))
    scores = report.output["scores"]["FatJet"]["score"]
    for point, threshold in WORKING_POINTS.items():
        passed = scores[NOMINAL | {"dataset": sum, "working_point": point, "decision": "pass"}].sum().value
        cuts.add_row(f"fat jets: score of {threshold} or more ({point})", f"{passed:.0f}")
    console.print(cuts)
    console.print(str(report.metrics))
    training = tagger.card.training
    if training is not None:
        console.print(f"{tagger.name}: {training.num_jets} training jets; {training.data}")
    for what, path in report.files.items():
        console.print(f"{what:22} {path}")
    console.print(f"{num_events} events, {num_jets} jets, in {report.seconds:.1f} s")

"""A search for boosted hadronic tops, as an analyst would write it.

The leading central fat jet with pT between 550 and 650 GeV is selected and scored by a packaged LorentzNet, next to
the ordinary cuts. Its mass is histogrammed in the regions that pass and fail the working point, the starting point
of a background estimate.

Run it on the packaged file or on your own PFNano files::

    python example_analysis/boosted_top.py
    python example_analysis/boosted_top.py --files ttbar.root qcd.root --output plots
"""

from __future__ import annotations

import argparse
from pathlib import Path

import awkward as ak
import hist
import matplotlib as mpl
import mplhep
import numpy as np
from coffea import processor
from coffea.nanoevents import PFNanoAODSchema

import coffea_equitag as eqt

TAGGER = "top-lorentznet"
WORKING_POINT = 0.9


class BoostedTop(processor.ProcessorABC):
    """Select and tag the leading fat jet."""

    def __init__(self, tagger: str = TAGGER, working_point: float = WORKING_POINT) -> None:
        self.tagger, self.working_point = tagger, working_point

    def process(self, events):
        dataset = events.metadata["dataset"]
        weights = ak.to_numpy(events.genWeight) if "genWeight" in events.fields else np.ones(len(events))
        cutflow = {"all": float(weights.sum())}

        # only jets that can pass the cuts are scored; the score of the others is missing
        def in_range(jets):
            return (jets.pt > 550) & (jets.pt < 650) & (abs(jets.eta) < 2)

        events = eqt.attach(events, {"FatJet": self.tagger}, name="top_score", where=in_range)
        jets = events.FatJet[in_range(events.FatJet)]
        jets = jets[ak.argsort(jets.pt, axis=1, ascending=False)]

        selected = ak.num(jets) > 0
        cutflow["fat jet, 550 < pT < 650 GeV"] = float(weights[selected].sum())
        leading, weights = jets[selected][:, 0], weights[selected]

        # jets whose candidates are not in the file have no score, and fail
        top_score = ak.to_numpy(ak.fill_none(leading.top_score, 0.0))
        tagged = top_score > self.working_point
        cutflow[f"top score above {self.working_point}"] = float(weights[tagged].sum())
        truth = np.where(ak.to_numpy(leading.isTop) == 1, "top", "other") if "isTop" in leading.fields else "data"

        mass = (
            hist.Hist.new.StrCat([], growth=True, name="dataset")
            .StrCat([], growth=True, name="truth")
            .StrCat(["pass", "fail"], name="region")
            .Reg(40, 0, 400, name="mass", label="Jet mass [GeV]")
            .Weight()
        )
        score = (
            hist.Hist.new.StrCat([], growth=True, name="dataset")
            .StrCat([], growth=True, name="truth")
            .Reg(40, 0, 1, name="score", label="Top score")
            .Weight()
        )
        mass.fill(
            dataset=dataset,
            truth=truth,
            region=np.where(tagged, "pass", "fail"),
            mass=ak.to_numpy(leading.mass),
            weight=weights,
        )
        score.fill(dataset=dataset, truth=truth, score=top_score, weight=weights)
        return {"cutflow": {dataset: cutflow}, "mass": mass, "score": score}

    def postprocess(self, accumulator):
        return accumulator


def analyse(files: dict[str, list[str]], workers: int = 1, chunksize: int = 100_000):
    """Run the processor over ``{dataset: [files]}``."""
    executor = (
        processor.FuturesExecutor(workers=workers, status=False)
        if workers > 1
        else processor.IterativeExecutor(status=False)
    )
    run = processor.Runner(executor, schema=PFNanoAODSchema, chunksize=chunksize)
    fileset = {name: {"files": dict.fromkeys(paths, "Events")} for name, paths in files.items()}
    return run(fileset, BoostedTop())


def plot(output, folder: Path) -> list[Path]:
    """Plot the mass of passing and failing jets, and the score."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with plt.style.context(mplhep.style.CMS):
        figure, axes = plt.subplots(1, 2, figsize=(20, 9))
        for axis, region in zip(axes, ("pass", "fail"), strict=True):
            histogram = output["mass"][{"dataset": sum, "region": region}]
            mplhep.histplot(
                [histogram[{"truth": k}] for k in histogram.axes["truth"]],
                label=list(histogram.axes["truth"]),
                stack=True,
                histtype="fill",
                ax=axis,
            )
            axis.set(xlabel="Jet mass [GeV]", ylabel="Jets / 10 GeV", title=f"{region}es the tagger")
            axis.legend()
        paths.append(folder / "mass.png")
        figure.savefig(paths[-1], dpi=80, bbox_inches="tight")
        plt.close(figure)

        figure, axis = plt.subplots(figsize=(10, 9))
        histogram = output["score"][{"dataset": sum}]
        mplhep.histplot(
            [histogram[{"truth": k}] for k in histogram.axes["truth"]],
            label=list(histogram.axes["truth"]),
            ax=axis,
        )
        axis.set(xlabel="Top score", ylabel="Jets", yscale="log")
        axis.legend()
        paths.append(folder / "score.png")
        figure.savefig(paths[-1], dpi=80, bbox_inches="tight")
        plt.close(figure)
    return paths


def main() -> None:
    from coffea_equitag.demo import PACKAGED_FILE

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="+", default=[str(PACKAGED_FILE)], help="PFNano files (default: packaged)")
    parser.add_argument("--output", type=Path, default=Path("boosted-top"), help="folder for the plots")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")
    arguments = parser.parse_args()
    output = analyse({Path(name).stem: [name] for name in arguments.files}, arguments.workers)
    for dataset, cutflow in output["cutflow"].items():
        print(dataset)
        for cut, count in cutflow.items():
            print(f"  {cut:30} {count:10.1f}")
    for path in plot(output, arguments.output):
        print(path)


if __name__ == "__main__":
    main()

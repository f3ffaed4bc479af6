"""How the analysis' tagger was made: a small LorentzNet on jets of the analysis' own detector and pT range.

It runs for about half an hour on two cores::

    python -m example_analysis.train --output example_analysis/tagger

The jets are independent of those of the analysis. Their pT spectrum is flattened; as the network sees Lorentz
invariants alone, it hardly depends on it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

import coffea_equitag as eqt
from coffea_equitag import simulation

from .samples import PROCESSES, recipe

_FLAT = ("PhaseSpace:bias2Selection = on", "PhaseSpace:bias2SelectionPow = 4.")

#: Working point -> share of QCD jets that pass it.
MISTAG_RATES = {"loose": 0.05}


def jets(number: int, seed: int, workers: int = 1):
    """Leading jets of 400 to 1500 GeV, half of them QCD jets and half with a whole hadronic top."""
    wide = replace(
        recipe("qcd", _FLAT),
        name="training",
        processes=tuple(
            replace(PROCESSES[name], settings=(*PROCESSES[name].settings, "PhaseSpace:pTHatMin = 300."))
            for name in ("qcd", "ttbar")
        ),
        leading_pt=(400.0, 1500.0),
    )
    return simulation.simulate(wide, number, seed=seed, workers=workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the tagger")
    parser.add_argument("--run", type=Path, default=Path("boosted-top-training"), help="folder of the training")
    parser.add_argument("--jets", type=int, default=14_000, help="number of training jets (default: 14000)")
    parser.add_argument("--epochs", type=int, default=12, help="epochs (default: 12)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")
    arguments = parser.parse_args()
    training = jets(arguments.jets, seed=9001, workers=arguments.workers)
    validation = jets(arguments.jets // 7, seed=9002, workers=arguments.workers)
    torch.manual_seed(9)
    model = eqt.models.build("lorentznet", n_classes=2, n_scalar=1, hidden=16, n_layers=4, beams=False, clamp=None)
    tagger = eqt.fit(
        model,
        training,
        validation=validation,
        out=arguments.run,
        epochs=arguments.epochs,
        name="boosted-top",
        classes=("qcd", "top"),
        data="Pythia 8, pp at 13 TeV, QCD and tt, flattened pT, CMS-like detector (example_analysis/train.py)",
        jet_definition="anti-kT, R = 0.8, |eta| < 2, CMS-like particle flow",
    )
    print(tagger.card.metrics)
    tagger.save(arguments.output)
    points = eqt.evaluation.working_points(tagger(validation), validation.label, MISTAG_RATES, background=True)
    points.to_correctionlib(arguments.output / "working_points.json", tagger=tagger)


if __name__ == "__main__":
    main()

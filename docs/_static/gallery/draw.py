"""Draws the pictures of the gallery that no page has: roc.png, scores.png and calibration.png."""

from pathlib import Path

import coffea_equitag as eqt
from coffea_equitag.demo import PACKAGED_JETS

HERE = Path(__file__).parent

jets = eqt.read_jets(PACKAGED_JETS)
tagger = eqt.load("top-pfn-mass")
scores = tagger(jets)
plots = eqt.evaluation.plots
plots.roc_curve(scores, jets.label, name=tagger.name).savefig(HERE / "roc.png", dpi=80)
plots.score_by_class(scores, jets.label, classes=tagger.classes).savefig(HERE / "scores.png", dpi=80)
evaluation = eqt.evaluation.Evaluation(tagger.classes).fill(scores, jets.label, jets)
curves = {name: evaluation.calibration.curve(name) for name in tagger.classes}
plots.calibration(curves).savefig(HERE / "calibration.png", dpi=80)

"""What a tagger's card says: performance, symmetry, calibration and cost, measured."""

from __future__ import annotations

from collections.abc import Sequence

import awkward as ak
import numpy as np
from scipy.special import softmax

from coffea_equitag.array_types import F8, I8
from coffea_equitag.benchmarking.scoring_cost import microseconds_per_jet
from coffea_equitag.cpu_name import cpu_name
from coffea_equitag.evaluation import Estimate, Evaluation, resolution_of_jets
from coffea_equitag.evaluation.audit.deviation import Change, Comparer, worst
from coffea_equitag.evaluation.audit.invariance import all_with_references, subgroup
from coffea_equitag.evaluation.audit.moves import GENERATORS
from coffea_equitag.evaluation.audit.scores import Scores
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.tagger import Tagger
from coffea_equitag.tagger.measurements import CostRecord, Measured, Performance, Symmetry, SymmetryChange
from coffea_equitag.testing import transform

__all__ = ["cost", "evaluation", "logits", "measured", "performance", "resolution", "symmetry"]

#: Jets that are transformed, and jets whose scoring is timed.
_AUDITED, _TIMED = 100, 1000

#: Kinds of transformations by the generators of the Lorentz group.
_KINDS = {
    "rotations about the beam": ("Rz",),
    "rotations about other axes": ("Rx", "Ry"),
    "boosts along the beam": ("Bz",),
    "boosts along other axes": ("Bx", "By"),
}


def measured(estimate: Estimate) -> Measured:
    """An estimate for a card."""
    return Measured.of(estimate.value, estimate.low, estimate.high)


def logits(tagger: Tagger, jets: ak.Array) -> F8:
    """Outputs of the network (J, n_classes), whatever the temperature."""
    return tagger.outputs(RaggedJets.from_awkward(jets, tagger.model.fields))


def evaluation(tagger: Tagger, logits_JK: F8, labels: I8) -> Evaluation:
    """Jets with these outputs, at the tagger's temperature, counted."""
    found = softmax(logits_JK / tagger.card.temperature, axis=1)
    scores = ak.zip({name: found[:, k] for k, name in enumerate(tagger.classes)})
    signal = tagger.card.signal
    return Evaluation(tagger.classes, signal=signal, variables={}).fill(
        scores if len(tagger.classes) > 2 else scores[str(signal)], labels
    )


def performance(found: Evaluation, words: str, efficiencies: Sequence[float], *, real: bool = False) -> Performance:
    """Metrics on test jets, with `words` that say which they are; of several backgrounds also one by one."""
    measures = found.measure(efficiencies=efficiencies)
    estimates = {
        "accuracy": Estimate(measures.accuracy, measures.accuracy_low, measures.accuracy_high),
        "auc": Estimate(measures.auc, measures.auc_low, measures.auc_high),
        **{f"rejection_{100 * one.efficiency:g}": one.estimate for one in measures.rejections},
    }
    if len(found.backgrounds()) > 1:
        for background in found.backgrounds():
            against = found.separation(background=background)
            estimates |= {
                f"rejection_{100 * wanted:g}_{background}": against.rejection(wanted).estimate
                for wanted in efficiencies
            }
    estimates["calibration_error"] = found.calibration.curve().error
    return Performance(
        jets=words,
        real=real,
        num_jets=dict(zip(found.classes, found.confusion.number.sum(axis=1).tolist(), strict=True)),
        metrics={name: measured(estimate) for name, estimate in estimates.items()},
    )


def resolution(tagger: Tagger, jets: ak.Array, words: str) -> Performance:
    """Widths of m/m_true and pT/pT_true, and the angle, of a tagger of momenta and of the jets' own."""
    found = resolution_of_jets(jets, tagger(jets))
    metrics = {
        f"{quantity}_resolution{end}": measured(found[source].spreads[quantity].width)
        for source, end in (("tagger", ""), ("jet", "_of_jets"))
        for quantity in ("mass", "pt", "angle")
    }
    return Performance(jets=words, real=False, num_jets={"all": len(jets)}, metrics=metrics)


def symmetry(tagger: Tagger, jets: ak.Array) -> Symmetry:
    """What the symmetry audit measures of its generators, and with the network's own reference vectors."""
    few = jets[np.unique(np.linspace(0, len(jets) - 1, min(_AUDITED, len(jets))).astype(int))]
    few = transform(few, np.eye(4, dtype=np.longdouble))
    comparer = Comparer(Scores.of(tagger, few), few)
    curves = {key: comparer.curve(one.matrix, one.parameters) for key, one in GENERATORS.items()}
    changes = {kind: _largest([change for key in keys for change in curves[key]]) for kind, keys in _KINDS.items()}
    if comparer.scores.moving is not None:
        changes["rotations and boosts of jets and reference vectors"] = _largest(all_with_references(comparer))
    kept = subgroup({key: worst(curve) for key, curve in curves.items()}).name
    precision = str(tagger.model.dtype).removeprefix("torch.")
    return Symmetry(kept=kept, num_jets=len(few), precision=precision, changes=changes)


def _largest(changes: Sequence[Change]) -> SymmetryChange:
    one = max(changes, key=lambda change: change.largest)
    return SymmetryChange(largest=one.largest, rms=one.rms, rounding=one.floor.largest)


def cost(tagger: Tagger, jets: ak.Array) -> CostRecord:
    """Processor time of scoring in one thread, the best of three."""
    timed = jets[:_TIMED]
    return CostRecord(
        microseconds_per_jet=microseconds_per_jet(tagger, timed),
        constituents=float(ak.mean(ak.num(timed.constituents))),
        num_jets=len(timed),
        processor=cpu_name(),
    )

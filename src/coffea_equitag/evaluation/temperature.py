"""The temperature at which a tagger's probabilities are right on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

from ..array_types import F8, I8
from ..errors import JetError, TaggerError, explain
from ..jets.ragged import ragged_and_nesting
from ..tagger import Tagger
from .structure import flat_entries, same_shape

__all__ = ["TemperatureFit", "fit_temperature", "minimise"]

#: Inverse temperatures between which the minimum is looked for.
_RANGE = (1e-3, 1e3)


@dataclass(frozen=True)
class TemperatureFit:
    """Result of `fit_temperature`.

    Attributes
    ----------
    temperature, uncertainty : float
        With its standard deviation, from the variance of the gradient (weights and wrong models included).
    loss_before, loss_after : float
        Mean cross-entropy per jet at the tagger's own temperature, and at this one.
    num_jets : int
        Jets used.
    tagger : Tagger
        The tagger at this temperature, to be saved.
    """

    temperature: float
    uncertainty: float
    loss_before: float
    loss_after: float
    num_jets: int
    tagger: Tagger

    def __str__(self) -> str:
        return (
            f"temperature {self.temperature:.4g} ± {self.uncertainty:.2g} from {self.num_jets} jets: "
            f"cross-entropy {self.loss_before:.5g} → {self.loss_after:.5g}"
        )


def fit_temperature(tagger: Tagger, jets: ak.Array, labels: Any = "label", *, weights: Any = None) -> TemperatureFit:
    """Fit the temperature of a tagger's probabilities on labelled jets that it was not trained on.

    ::

        fit = eqt.evaluation.fit_temperature(tagger, jets, jets.label)
        fit.tagger.save("my-calibrated-tagger/")

    Logits are divided by the temperature, which minimises the cross-entropy (Guo et al., arXiv:1706.04599). It changes
    neither the order of two-class scores nor the ROC curve, but thresholds: measure working points afterwards.

    Parameters
    ----------
    tagger : Tagger
        A tagger with classes.
    jets : ak.Array
        Canonical jets, any nesting; missing jets are left out.
    labels : str or array-like
        Field of the jets, or in their structure, the index of each jet's class in ``tagger.classes``. Probabilities are
        right for classes that are as frequent as here: give `weights` that make them so.
    weights : array-like, optional
        One weight per jet.

    Raises
    ------
    JetError
        If labels or weights do not fit the jets, there are fewer than two classes, or the jets are separated so well
        (or wrongly) that no temperature fits.
    TaggerError
        If the tagger has no classes.
    """
    if not tagger.classes:
        raise TaggerError(explain(f"{tagger.name}, whose output is a vector", "a tagger with classes", "use another"))
    given = jets[labels] if isinstance(labels, str) else labels
    ragged, _ = ragged_and_nesting(jets, tagger.card.contract.constituent_fields)
    number = _column(given, jets, "labels")
    weight = np.ones(len(number)) if weights is None else _column(weights, jets, "weights")
    known = (number >= 0) & (number < len(tagger.classes)) & (number == np.rint(number))
    if not known.all():
        expected = f"0 to {len(tagger.classes) - 1}, the index in {tagger.classes}"
        raise JetError(explain(f"a label {number[~known][0]:g}", expected, "number the classes as the tagger does"))
    logits = tagger.outputs(ragged).astype(np.float64)
    temperature, uncertainty = minimise(logits, number.astype(np.int64), weight)
    before, after = (_loss(logits / t, number.astype(np.int64), weight) for t in (tagger.card.temperature, temperature))
    return TemperatureFit(temperature, uncertainty, before, after, len(number), tagger.with_temperature(temperature))


def minimise(logits_JK: F8, labels: I8, weights: F8) -> tuple[float, float]:
    """The temperature with the least cross-entropy, and its standard deviation.

    Raises
    ------
    JetError
        If there is no minimum.
    """
    if len(labels) == 0 or len(np.unique(labels[weights != 0])) < 2 or not weights.sum() > 0:
        raise JetError(
            explain(
                f"{len(labels)} jets of {len(np.unique(labels))} classes",
                "jets of at least two classes, of positive weight in all",
                "give a sample of all classes",
            )
        )
    true = logits_JK[np.arange(len(labels)), labels]

    # the loss is convex in the inverse temperature β: its slope is the mean of <z>_β − z_true
    def gradients(beta: float) -> F8:
        found: F8 = (softmax(beta * logits_JK, axis=1) * logits_JK).sum(axis=1) - true
        return found

    def slope(log_beta: float) -> float:
        return float((weights * gradients(np.exp(log_beta))).sum())

    low, high = np.log(_RANGE)
    if not slope(low) < 0 < slope(high):
        raise JetError(
            explain(
                f"no temperature makes the probabilities of {len(labels)} jets right",
                "classes that overlap, and scores that are higher for the true class on average",
                "check the labels; give more jets, so that some are tagged wrongly",
            )
        )
    beta = float(np.exp(brentq(slope, low, high, xtol=1e-12, rtol=1e-13)))
    probabilities = softmax(beta * logits_JK, axis=1)
    mean = (probabilities * logits_JK).sum(axis=1)
    curvature = float((weights * ((probabilities * logits_JK**2).sum(axis=1) - mean**2)).sum())
    spread = float(np.sqrt((weights**2 * gradients(beta) ** 2).sum())) / curvature
    return 1 / beta, spread / beta**2


def _loss(logits: F8, labels: I8, weights: F8) -> float:
    each = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float((weights * each).sum() / weights.sum())


def _column(values: Any, jets: ak.Array, name: str) -> F8:
    """One number for each jet that is not missing."""
    flat, shape = flat_entries(ak.Array(values))
    like, jet_shape = flat_entries(ak.num(jets["constituents"], axis=-1))
    if not same_shape(shape, jet_shape):
        raise JetError(explain(f"{name} of another structure than the jets", "one per jet", "take both from the jets"))
    flat = flat[~ak.is_none(like)]
    found = np.asarray(ak.to_numpy(ak.fill_none(flat, np.nan)), np.float64)
    if not np.isfinite(found).all():
        raise JetError(explain(f"{name} that are missing or not finite", "one number per jet", "drop those jets"))
    return found

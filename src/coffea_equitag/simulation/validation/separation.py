"""Real or simulated? Small Particle Flow Networks are trained to distinguish them, with cross-validation.

An AUC of 0.5 means that they cannot. That is no proof that nothing could: the networks see only as many jets as the
smaller sample has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from ...array_types import F8, I8, Bools
from ...errors import JetError, explain
from .jet_sample import JetSample

if TYPE_CHECKING:
    from ...jet_model import JetModel

__all__ = ["Separation", "separate"]


#: Called after each training with the number done and the total.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Separation:
    """How well networks distinguish simulated jets from real ones.

    Attributes
    ----------
    auc, error : float
        Mean over the folds of the area under the ROC curve (with simulated jets as signal), each on jets that its
        network has not seen, and its bootstrap uncertainty. That does not include the scatter between trainings.
    number : int
        Number of jets of each sample.
    scores : ndarray, shape (2 · number,)
        Scores of the networks on jets that they have not seen.
    simulated : ndarray of bool, shape (2 · number,)
        Which of them are simulated.
    """

    auc: float
    error: float
    number: int
    scores: F8
    simulated: Bools


def separate(
    simulated: JetSample,
    real: JetSample,
    *,
    folds: int = 5,
    epochs: int = 25,
    seed: int = 1,
    progress: Progress | None = None,
) -> Separation | None:
    """Train networks to distinguish two samples, and measure them on jets that they have not seen.

    Equally many jets of each class are drawn from both samples. A jet is represented by its hardest constituents,
    massless, as (pT, Δy, Δφ) with the jet at y = φ = 0. The jets of each class and sample are distributed over the
    folds; a fifth of the training folds selects the best epoch.

    Parameters
    ----------
    simulated, real : JetSample
        The samples, limited to the same number of constituents.
    folds, epochs, seed : int
        Folds of the cross-validation, epochs of each training, seed of all draws and weights.
    progress : callable, optional
        Called with (done, folds) after each training.

    Returns
    -------
    Separation or None
        None if a class has fewer than four jets per fold.

    Raises
    ------
    JetError
        For fewer than two folds.
    TaggerError
        Without Lightning (``pip install 'coffea-equitag[train]'``).
    """
    if folds < 2:
        raise JetError(explain(f"folds = {folds}", "2 or more", "leave it at 5"))
    rng = np.random.default_rng([seed, len(simulated), len(real)])
    chosen, fold_of = _balanced(simulated, real, folds, rng)
    if chosen is None:
        return None
    jets = ak.concatenate(
        [sample.select(index).centred() for sample, index in zip((simulated, real), chosen, strict=True)]
    )
    is_simulated = np.repeat([True, False], [len(index) for index in chosen])
    scores = np.empty(len(is_simulated))
    for fold in range(folds):
        held = fold_of == fold
        # unshuffled, all simulated jets would come before the real ones
        train = rng.permutation(np.flatnonzero(~held))
        scores[held] = _train(jets[train], is_simulated[train], epochs, seed + fold)(jets[held])
        if progress is not None:
            progress(fold + 1, folds)
    groups = [(scores[fold_of == fold], is_simulated[fold_of == fold]) for fold in range(folds)]
    again = [_mean_auc([_resampled(*group, rng) for group in groups]) for _ in range(200)]
    return Separation(
        auc=_mean_auc(groups),
        error=float(np.std(again, ddof=1)),
        number=len(chosen[0]),
        scores=scores,
        simulated=is_simulated,
    )


def _balanced(
    simulated: JetSample, real: JetSample, folds: int, rng: np.random.Generator
) -> tuple[tuple[I8, I8] | None, I8]:
    """Equally many jets of each class from both samples, and the fold of each (simulated jets first)."""
    chosen: tuple[list[I8], list[I8]] = ([], [])
    dealt: list[I8] = []
    for label in np.union1d(simulated.labels, real.labels):
        members = [np.flatnonzero(sample.labels == label) for sample in (simulated, real)]
        number = min(map(len, members))
        if number < 4 * folds:
            return None, np.zeros(0, np.int64)
        for into, index in zip(chosen, members, strict=True):
            into.append(rng.permutation(index)[:number])
        dealt.append(np.arange(number) % folds)
    fold_of = np.concatenate(dealt)
    return (np.concatenate(chosen[0]), np.concatenate(chosen[1])), np.concatenate([fold_of, fold_of])


def _train(jets: ak.Array, is_simulated: Bools, epochs: int, seed: int) -> Callable[[ak.Array], F8]:
    # imported only now, as torch takes long to import
    import torch

    from ... import models
    from ...jets.ragged import RaggedJets
    from ...tagger.inference import outputs
    from ...training import fit

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: JetModel = models.build("pfn", n_classes=2, phi=(64, 64, 64), f=(64, 64), batch_norm=True)
    with tempfile.TemporaryDirectory(prefix="equitag-validate-") as folder:
        tagger = fit(
            network,
            ak.with_field(jets, is_simulated.astype(np.int8), "simulated"),
            "simulated",
            validation=0.2,
            out=folder,
            epochs=epochs,
            batch_size=100,
            monitor="auc",
            seed=seed,
            progress=False,
            classes=("real", "simulated"),
        )

    def scores(held: ak.Array) -> F8:
        # not tagger(held), which warns of jets outside the pT range of the few training jets
        logits = outputs(tagger.model, RaggedJets.from_awkward(held))
        return np.asarray(expit(logits[:, 1] - logits[:, 0]))

    return scores


def _mean_auc(groups: Sequence[tuple[F8, Bools]]) -> float:
    return float(np.mean([roc_auc_score(simulated, scores) for scores, simulated in groups]))


def _resampled(scores: F8, simulated: Bools, rng: np.random.Generator) -> tuple[F8, Bools]:
    """Equally many jets of each kind, drawn with replacement."""
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(simulated == kind), int((simulated == kind).sum())) for kind in (True, False)]
    )
    return scores[rows], simulated[rows]

"""A plain network without any symmetry, beside which deviations are shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise

import awkward as ak
import numpy as np

from ...array_types import F8, Bools
from ...jets import flatten

__all__ = ["plain_mlp"]

#: Constituents that it reads, and its hidden layers.
_HARDEST, _HIDDEN = 30, (64, 32)


def plain_mlp(jets: ak.Array, is_signal: Bools | None, seed: int = 0) -> Callable[[ak.Array], F8]:
    """A multilayer perceptron on (E, px, py, pz) of the 30 hardest constituents, one after the other.

    Trained on these jets where they have labels; otherwise with random weights.

    Parameters
    ----------
    jets : ak.Array
        Flat jets.
    is_signal : ndarray of bool, shape (J,), or None
        Labels.
    seed : int
        Of its weights.

    Returns
    -------
    callable
        Logits (J,) of flat jets.
    """
    inputs = _inputs(jets)
    scale = float(inputs.std()) or 1.0
    weights = _random(seed) if is_signal is None else _trained(inputs / scale, is_signal, seed)

    def logits(given: ak.Array) -> F8:
        x = _inputs(given) / scale
        for matrix, bias in weights[:-1]:
            x = np.maximum(x @ matrix + bias, 0.0)
        matrix, bias = weights[-1]
        found: F8 = (x @ matrix + bias)[:, 0]
        return found

    return logits


def _inputs(jets: ak.Array) -> F8:
    """Momenta of the hardest constituents, padded by 0: (J, 120)."""
    flat = flatten(jets)
    p4, offsets = flat.momenta.p4, flat.offsets
    counts = np.diff(offsets)
    jet = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort([-np.hypot(p4[:, 1], p4[:, 2]), jet])
    rank = np.arange(len(jet)) - offsets[:-1][jet]
    found = np.zeros((len(counts), _HARDEST, 4))
    kept = rank < _HARDEST
    found[jet[kept], rank[kept]] = p4[order][kept]
    return found.reshape(len(counts), -1)


def _random(seed: int) -> list[tuple[F8, F8]]:
    rng, widths = np.random.default_rng(seed), (4 * _HARDEST, *_HIDDEN, 1)
    return [
        (rng.normal(0, np.sqrt(2 / before), (before, after)), np.zeros(after)) for before, after in pairwise(widths)
    ]


def _trained(inputs: F8, is_signal: Bools, seed: int) -> Sequence[tuple[F8, F8]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(_HIDDEN, max_iter=60, random_state=seed, alpha=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(inputs, is_signal)
    return list(zip(network.coefs_, network.intercepts_, strict=True))

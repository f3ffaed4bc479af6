"""Two-pronged jets whose composition can be shifted."""

from collections.abc import Callable

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import make_jets


@pytest.fixture(scope="session")
def toy_jets() -> Callable[..., ak.Array]:
    """Jets of two classes, alternating; those of class 1 have two prongs. `softer` multiplies the multiplicity."""

    def make(n: int, seed: int = 0, softer: float = 1.0) -> ak.Array:
        rng = np.random.default_rng(seed)
        labels = np.arange(n) % 2
        counts = rng.poisson(softer * (15 + 5 * labels)) + 3
        jet = np.repeat(np.arange(n), counts)
        prong = rng.random(len(jet)) < 0.4
        eta = rng.uniform(-2, 2, n)[jet] + 0.5 * prong * labels[jet] + rng.normal(0, 0.1, len(jet))
        phi = rng.uniform(-np.pi, np.pi, n)[jet] + rng.normal(0, 0.1, len(jet))
        pt = rng.exponential(600 / counts[jet])
        columns = {"pt": pt, "eta": eta, "phi": phi, "mass": np.where(prong, 0.13957, 0.0)}
        return make_jets(ak.unflatten(ak.zip(columns), counts), label=labels)

    return make

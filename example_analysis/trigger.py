"""A trigger on the leading jet: what it does to pseudo-data, and the weights of the simulation."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

#: pT (GeV) of half efficiency, width and plateau. The simulation is weighted by the nominal turn-on, as measured with
#: an uncertainty of 5 GeV; that of the pseudo-data is the truth.
TURN_ON = {
    "truth": (503.0, 22.0, 0.99),
    "nominal": (500.0, 22.0, 0.99),
    "up": (495.0, 22.0, 1.0),
    "down": (505.0, 22.0, 0.98),
}


def efficiency(pt: np.ndarray, kind: str = "nominal") -> np.ndarray:
    """Efficiency for events whose leading jet has this pT in GeV."""
    half, width, plateau = TURN_ON[kind]
    return plateau * 0.5 * (1 + erf((pt - half) / (np.sqrt(2) * width)))

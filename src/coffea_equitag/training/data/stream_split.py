"""Validation jets of a stream: a fraction that is selected jet by jet, without knowing the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...array_types import I8, U8, Bools
from .folds import event_hash, in_validation

__all__ = ["HeldOut"]


@dataclass(frozen=True)
class HeldOut:
    """A fraction of the jets, selected by a hash of their events or, where these are not known, of their places.

    Attributes
    ----------
    fraction : float
        Share of the jets.
    seed : int
        Another seed selects others.
    """

    fraction: float
    seed: int

    def __call__(self, file: int, rows: I8, events: U8 | None = None) -> Bools:
        """Which jets are held out.

        Parameters
        ----------
        file : int
            Number of the file.
        rows : ndarray of int64, shape (J,)
            Their places in it.
        events : ndarray of uint64, shape (J,), optional
            Hashes of their events, which then decide.
        """
        hashes = event_hash([np.full(len(rows), file), rows]) if events is None else events
        return in_validation(hashes, self.fraction, self.seed)

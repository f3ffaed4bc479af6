"""Jets drawn more or less often than once, by given factors."""

from __future__ import annotations

import numpy as np

from ...array_types import F8, I8

__all__ = ["resampled"]


def resampled(factors: F8, generator: np.random.Generator) -> I8:
    """Draw jets so that the mean number of copies of each is its factor (systematic sampling).

    A jet of factor f is drawn ⌊f⌋ or ⌈f⌉ times, and Σ f jets in all, rounded up or down: the smallest scatter that is
    possible. For a stream, call it chunk by chunk.

    Parameters
    ----------
    factors : ndarray of float64, shape (J,)
        Mean number of copies; not negative.
    generator : numpy.random.Generator
        Of (seed, epoch, chunk): one number is drawn.

    Returns
    -------
    ndarray of int64
        Indices of the jets drawn, ascending; a jet drawn twice is there twice.
    """
    # one point per unit of Σ f, at the same random place of each
    last = np.floor(np.cumsum(factors) + generator.random()).astype(np.int64)
    return np.repeat(np.arange(len(factors)), np.diff(last, prepend=0))

"""One thread per worker: a pool has a process per core already."""

from __future__ import annotations

import multiprocessing
import os
from functools import cache

import torch

__all__ = ["settle_threads"]

#: Who sets one of these has decided; Dask does so by itself.
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@cache
def settle_threads() -> None:
    """In a worker process of an executor, score with one thread unless the environment says otherwise.

    By default torch takes all cores in each process: n workers would run n² threads on n cores.
    """
    if multiprocessing.parent_process() is not None and not any(name in os.environ for name in _VARIABLES):
        torch.set_num_threads(1)

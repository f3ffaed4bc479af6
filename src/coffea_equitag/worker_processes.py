"""Processes of this machine that work for this one: they end with it, and share its cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["available_cores", "processes", "threads_per_worker"]

#: Seconds to wait for killed processes: the system ends them, but a disk may keep them waiting.
_PATIENCE = 10.0

#: What OpenMP, the BLAS libraries and numba read when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def available_cores() -> int:
    """Cores that this process may use: a batch system may have given it fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_per_worker(workers: int, most: int | None = None) -> int:
    """Threads for each of several processes, so that together they have no more than there are cores.

    Parameters
    ----------
    workers : int
        Number of processes.
    most : int, optional
        Most threads of one process, e.g. ``torch.get_num_threads()``, which knows of ``OMP_NUM_THREADS``.
    """
    share = max(1, available_cores() // max(1, workers))
    return share if most is None else min(share, max(1, most))


class _Pool(ProcessPoolExecutor):
    """Starts its processes in a thread: an interrupt, which only the main thread gets, leaves none half started."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        with ThreadPoolExecutor(1) as starter:
            return starter.submit(super().submit, function, *arguments, **keywords).result()


@contextmanager
def processes(workers: int, threads: int | None = None) -> Iterator[Executor]:
    """Processes that end when they are no longer needed, or when this process is killed; after an error, at once.

    Parameters
    ----------
    workers : int
        How many.
    threads : int, optional
        Threads of each; default whatever its libraries choose.
    """
    # neither Pythia nor threads survive a fork: new processes
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    pool = _Pool(workers, mp_context=context, initializer=_begin, initargs=(lifeline, threads))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        # those that have not got as far as the lifeline would import for a while
        killed = list((getattr(pool, "_processes", None) or {}).values())
        for process in killed:
            process.kill()
        for process in killed:
            process.join(_PATIENCE)
        raise
    finally:
        # the workers end with the lifeline; the pool's thread may hang on a half-sent result, so do not wait for it
        held.close()
        pool.shutdown(wait=False, cancel_futures=True)
        lifeline.close()


def _begin(lifeline: Connection, threads: int | None) -> None:
    # Ctrl-C reaches all processes of a terminal; this one leaves it to the main process, which closes the lifeline
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)

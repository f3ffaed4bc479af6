"""Who makes the shards: this process, others of this machine, or any executor, Dask's among them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from ..errors import EquitagError, explain

__all__ = ["run_shards"]

_Result = TypeVar("_Result")

#: Shards under way for each that can be worked on: none waits for the next one, and memory stays flat.
_AHEAD = 2


def run_shards(
    make: Callable[[int, int], _Result],
    sizes: Mapping[int, int],
    workers: int,
    executor: Any = None,
    *,
    in_order: bool = False,
) -> Iterator[tuple[int, _Result]]:
    """Call ``make(shard, size)`` for every shard, and yield ``(shard, result)``.

    Only a few shards are under way at a time, however many there are.

    Parameters
    ----------
    make : callable
        Can be pickled, as its results can.
    sizes : mapping
        Shard -> size.
    workers : int
        Processes of this machine; with an executor, how many shards it can work on at once.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who works instead; a client is asked how many threads its cluster has.
    in_order : bool
        Yield the shards as they are listed, not as they are ready.

    Raises
    ------
    EquitagError
        If a worker ends before its shard is made.
    """
    if executor is None and (workers == 1 or len(sizes) <= 1):
        for shard, size in sizes.items():
            yield shard, make(shard, size)
        return
    with _processes(min(workers, len(sizes))) if executor is None else _given(executor) as pool:
        waiting, tasks = iter(sizes.items()), dict[Future[_Result], int]()
        try:
            while True:
                room = _AHEAD * max(workers, _threads(executor)) - len(tasks)
                for shard, size in islice(waiting, max(room, 0)):
                    tasks[pool.submit(make, shard, size)] = shard
                if not tasks:
                    return
                task = next(iter(tasks if in_order else wait(tasks, return_when=FIRST_COMPLETED).done))
                shard = tasks.pop(task)
                result = _result(task, shard, foreign=executor is not None)
                # a result is let go as soon as it is used, or memory would grow with the sample
                del task
                yield shard, result
                del result
        finally:
            for task in tasks:
                task.cancel()


def _result(task: Future[_Result], shard: int, foreign: bool) -> _Result:
    try:
        return task.result()
    except (BrokenExecutor, CancelledError) as error:
        raise EquitagError(
            explain(
                f"a worker ended before shard {shard} was made ({type(error).__name__})",
                "workers that live until the sample is whole",
                "give each more memory, or have fewer of them; a script that uses several needs "
                'if __name__ == "__main__":',
            )
        ) from error
    except (EquitagError, OSError):
        raise
    except Exception as error:
        if not foreign:
            raise
        raise EquitagError(
            explain(
                f"shard {shard} failed on its worker ({type(error).__name__}: {error})",
                "workers with the same software as here",
                "see the worker's log",
            )
        ) from error


def _threads(executor: Any) -> int:
    return sum(executor.nthreads().values()) if hasattr(executor, "nthreads") else 0


@contextmanager
def _given(executor: Any) -> Iterator[Executor]:
    """Take an executor as it is, and the executor of a Dask client."""
    yield executor.get_executor(pure=False) if hasattr(executor, "get_executor") else executor


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """Processes that end when they are not wanted any more, or when this one is killed."""
    # Pythia does not survive a fork: fresh processes, each with its own.
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(lifeline,))
    try:
        yield pool
        pool.shutdown()
    finally:
        # the workers end with the lifeline; the pool's thread may wait for what one of them half sent, so not for it
        held.close()
        pool.shutdown(wait=False, cancel_futures=True)
        lifeline.close()


def _begin(lifeline: Connection) -> None:
    # Ctrl-C goes to all processes of a terminal; the first of them tells the others by the lifeline.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)

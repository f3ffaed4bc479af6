"""Run shards in this process, in other processes of this machine, or on any executor, including Dask's."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from ..errors import EquitagError, explain
from ..worker_processes import processes

__all__ = ["run_shards"]

_Result = TypeVar("_Result")

#: Shards submitted per shard that can be worked on: no worker waits for the next one, and memory stays flat.
_AHEAD = 2


def run_shards(
    make: Callable[[int, int], _Result],
    sizes: Mapping[int, int],
    workers: int,
    executor: Any = None,
    *,
    in_order: bool = False,
) -> Generator[tuple[int, _Result]]:
    """Call ``make(shard, size)`` for every shard, and yield ``(shard, result)``.

    Only a few shards are in progress at a time, however many there are.

    Parameters
    ----------
    make : callable
        Picklable, as are its results.
    sizes : mapping
        Shard -> size.
    workers : int
        Processes on this machine; with an executor, how many shards it can work on at once.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Works instead; a client is asked how many threads its cluster has.
    in_order : bool
        Yield the shards in the order of ``sizes``, not as they are finished.

    Raises
    ------
    EquitagError
        If a worker ends before its shard is finished.
    """
    if executor is None and (workers == 1 or len(sizes) <= 1):
        for shard, size in sizes.items():
            yield shard, make(shard, size)
        return
    with processes(min(workers, len(sizes))) if executor is None else _given(executor) as pool:
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
                # drop each result as soon as it is used, or memory would grow with the sample
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
                f"a worker ended before shard {shard} was finished ({type(error).__name__})",
                "workers that run until the sample is complete",
                "use fewer workers or give each more memory; a script with several workers needs "
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
    """The executor itself, or that of a Dask client."""
    yield executor.get_executor(pure=False) if hasattr(executor, "get_executor") else executor

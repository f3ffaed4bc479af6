"""Call a function for many files, in this process or in several; a worker that dies takes only its own file along."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import TypeVar

from ..errors import EquitagError, explain
from ..worker_processes import processes

__all__ = ["DeadWorkerError", "each"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class DeadWorkerError(EquitagError):
    """The process that worked on a file was killed, or crashed."""


def each(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int, threads: int
) -> Generator[tuple[_Item, _Result | DeadWorkerError]]:
    """Yield each item with its result, in the order in which they are done.

    If a process dies, the items that were in work are tried again, each alone in a process of its own.

    Parameters
    ----------
    function : callable
        Picklable where there are several workers, as are items and results; it does not raise.
    items : iterable
        What it is called with.
    workers : int
        Number of processes; with 1, this process.
    threads : int
        Threads of each.

    Raises
    ------
    DeadWorkerError
        If no process does any work.
    """
    if workers == 1:
        for item in items:
            yield item, function(item)
        return
    waiting, works = deque(items), False
    while waiting:
        suspects = list[_Item]()
        for item, result in _until_one_dies(function, waiting, workers, threads, suspects):
            works = True
            yield item, result
        for item in suspects:
            found = _alone(function, item, threads)
            works = works or not isinstance(found, DeadWorkerError)
            yield item, found
        if not works:
            raise DeadWorkerError(
                explain(
                    "processes that end before they have done anything",
                    "worker processes that run",
                    'use one worker; a script with several needs if __name__ == "__main__":',
                )
            )


def _until_one_dies(
    function: Callable[[_Item], _Result], waiting: deque[_Item], workers: int, threads: int, suspects: list[_Item]
) -> Iterator[tuple[_Item, _Result]]:
    tasks = dict[Future[_Result], _Item]()
    with processes(min(workers, len(waiting)), threads) as pool:
        try:
            while waiting or tasks:
                while waiting and len(tasks) < workers:
                    tasks[pool.submit(function, waiting[0])] = waiting[0]
                    waiting.popleft()
                for task in wait(tasks, return_when=FIRST_COMPLETED).done:
                    result = task.result()
                    yield tasks.pop(task), result
        except BrokenExecutor:
            suspects.extend(tasks.values())


def _alone(function: Callable[[_Item], _Result], item: _Item, threads: int) -> _Result | DeadWorkerError:
    try:
        with processes(1, threads) as pool:
            return pool.submit(function, item).result()
    except BrokenExecutor:
        return DeadWorkerError(
            explain(
                "the process that worked on it was killed or crashed",
                "enough memory for every worker",
                "use fewer workers (--workers), or smaller chunks (--chunk)",
            )
        )

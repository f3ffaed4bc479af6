"""Tasks done ahead in threads: in order, and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["ReadAhead"]

_Item = TypeVar("_Item")


class ReadAhead(Generic[_Item]):
    """Results of tasks, in their order, of which some are worked on before they are asked for.

    Parameters
    ----------
    tasks : iterable of callables
        What to do; those with the same key follow one another and are never worked on at the same time.
    workers : int
        Threads; with 0 tasks are done when they are asked for.
    """

    def __init__(self, tasks: Iterable[tuple[object, Callable[[], _Item]]], workers: int) -> None:
        self._tasks = iter(tasks)
        self._workers = workers
        self._pool: Executor | None = ThreadPoolExecutor(workers, "equitag-read") if workers else None
        self._begun: deque[Future[_Item]] = deque()
        self._last: tuple[object, Future[_Item]] | None = None

    def __enter__(self) -> ReadAhead[_Item]:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, number: int) -> None:
        """See to it that this many results that have not been asked for are there or worked on."""
        while self._pool is not None and len(self._begun) < number:
            following = next(self._tasks, None)
            if following is None:
                return
            key, task = following
            before = self._last[1] if self._last is not None and self._last[0] == key else None
            self._begun.append(self._pool.submit(_after, before, task))
            self._last = key, self._begun[-1]

    def next(self) -> _Item:
        """The next result, or the exception of its task."""
        if self._pool is None:
            return next(self._tasks)[1]()
        self.begin(max(1, self._workers))
        return self._begun.popleft().result()


def _after(before: Future[_Item] | None, task: Callable[[], _Item]) -> _Item:
    if before is not None:
        before.exception()
    return task()

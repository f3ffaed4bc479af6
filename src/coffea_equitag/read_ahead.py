"""A generator in a thread: what it makes is ready before it is asked for, and the thread ends with who asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

__all__ = ["read_ahead"]

_Item = TypeVar("_Item")

#: Seconds after which a thread looks whether it is still wanted.
_POLL = 0.1


def read_ahead(items: Generator[_Item], ahead: int) -> Generator[_Item]:
    """The items of a generator that runs in a thread, up to `ahead` of them before they are asked for.

    When this iterator is closed, or ends, the thread has ended and the generator is closed. The thread has the caller's
    context variables.
    """
    ready: queue.Queue[tuple[_Item | None, BaseException | None]] = queue.Queue(ahead)
    unwanted = threading.Event()

    def put(item: _Item | None, error: BaseException | None = None) -> None:
        while not unwanted.is_set():
            try:
                ready.put((item, error), timeout=_POLL)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    put(item)
                    del item
                    if unwanted.is_set():
                        return
        except BaseException as error:
            put(None, error)
        else:
            put(None)

    thread = threading.Thread(target=copy_context().run, args=(work,), name="equitag-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
            del item
    finally:
        unwanted.set()
        thread.join()

"""Ctrl-C, and the signals of batch systems and lost terminals, end a command, which removes its temporary files.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a finalizer, or in a callback that a library
calls from C, it is printed and dropped: the command would run on. So the signal is repeated until it is heard.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupts"]

#: Seconds until a signal that has not ended the command is repeated: longer than it takes to close files.
_PATIENCE = 10.0

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """Turns signals into KeyboardInterrupt, repeatedly if need be.

    Attributes
    ----------
    status : int
        What a command that ends by the last signal returns: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self) -> None:
        self.status = 128 + signal.SIGINT
        self._heard = threading.Event()
        self._repeater: threading.Thread | None = None

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Within this block, in the main thread; signals that are ignored (``nohup``) or handled otherwise stay so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = (signal.SIG_DFL, signal.default_int_handler)
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        former = {number: handler for number in numbers if (handler := signal.getsignal(number)) in usual}
        for number in former:
            signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            self._heard.set()
            for number, handler in former.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        self.status = 128 + number
        if self._repeater is None:
            self._repeater = threading.Thread(target=self._repeat, args=(number,), daemon=True)
            self._repeater.start()
        raise KeyboardInterrupt

    def _repeat(self, number: int) -> None:
        while not self._heard.wait(_PATIENCE):
            os.kill(os.getpid(), number)

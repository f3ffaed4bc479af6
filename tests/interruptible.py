"""Processes that an interrupt ends, also where the tests run as a background job, which ignores it."""

from __future__ import annotations

import signal

__all__ = ["interruptible"]


def interruptible() -> None:
    """For ``preexec_fn`` of `subprocess.Popen`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

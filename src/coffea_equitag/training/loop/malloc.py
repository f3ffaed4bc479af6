"""Memory that glibc keeps between the steps of a training, instead of giving it back and taking it anew.

A step allocates large temporary tensors. By default glibc takes each from the system and gives it back when it is free:
the system must fill every page with zeros again, which costs a fifth of the time of some networks on a CPU.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["retained_memory"]

#: Parameters of mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4

#: Blocks that malloc may take from the system one by one, its default.
_DEFAULT_MMAP_MAX = 65_536

#: The largest block that malloc's own adaptation leaves to the heap, in bytes; it trims at twice that size.
_ADAPTED = 32 << 20


@contextmanager
def retained_memory() -> Iterator[bool]:
    """Let malloc keep what is freed; what is free at the end goes back to the system.

    Nothing is done, and False yielded, without glibc, and where the environment already sets malloc's parameters.
    Afterwards blocks of up to 32 MB come from the heap, as in any process that has freed one of that size.
    """
    libc = _glibc()
    if libc is None or _is_set(os.environ):
        yield False
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield True
    finally:
        libc.mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        libc.mallopt(_MMAP_THRESHOLD, _ADAPTED)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _ADAPTED)
        libc.malloc_trim(0)


def _glibc() -> Any:
    """The C library if it is GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _is_set(environment: Any) -> bool:
    return "glibc.malloc" in environment.get("GLIBC_TUNABLES", "") or any(
        name in environment for name in ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    )

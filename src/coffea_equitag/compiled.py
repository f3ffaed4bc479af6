"""How this package compiles with numba: cached on disk, releasing the GIL, with IEEE arithmetic."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import event, types
from numba.extending import intrinsic, overload, register_jitable

from .array_types import I8
from .code_cache import enable_cache
from .compile_notice import CompileNotice

__all__ = ["fma", "inner", "inner_by_type", "leaf", "njit", "over_jets"]

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

#: Below this much work (pairs), threads cost more than they save.
_SERIAL_WORK = 20_000
#: Ranges per thread, and the least work of one.
_RANGES, _LEAST_WORK = 16, 5_000

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


class _Compiling(event.Listener):
    """Python's garbage collector waits while numba compiles: it would take 10–15% of that, and find nothing.

    If it is ours and takes long, the user is told.

    numba compiles one function at a time and those that it calls within, so that only the outermost counts.
    """

    def __init__(self) -> None:
        self._depth, self._resumes = 0, False
        self._notice = CompileNotice()

    def on_start(self, event: event.Event) -> None:
        if self._depth == 0:
            self._resumes = gc.isenabled()
            gc.disable()
            if event.data["dispatcher"].__module__.startswith(f"{__package__}."):
                self._notice.begin()
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._notice.end()
            if self._resumes:
                gc.enable()


event.register("numba:compile", _Compiling())


def njit(function: _F) -> _F:
    """Compile on the first call, cache on disk and release the GIL; no fast-math."""
    _check_name(function)
    compiled: Any = numba.njit(**_OPTIONS)(function)
    enable_cache(compiled)
    return cast(_F, compiled)


def inner(function: _F) -> _F:
    """Like `njit`, for functions called only from compiled code, with which they are kept on disk.

    The Python wrapper, slow to compile, is left out.
    """
    _check_name(function)
    registered: _F = register_jitable(**_OPTIONS)(function)
    return registered


def inner_by_type(choose: Callable[..., Any]) -> Callable[..., Any]:
    """Like `inner`, for a function that is another one for other types of its arguments.

    When a call is compiled, `choose` gets numba's types of its arguments, and returns the function that takes these.
    """

    @overload(choose, jit_options=_OPTIONS, strict=False)
    def chosen(*arguments: Any) -> Any:
        return choose(*arguments)

    return choose


#: What a `leaf` may return.
_PLAIN = {"None", "bool", "int", "float", "tuple[int, int]"}


def leaf(function: _F) -> _F:
    """Like `inner`, for functions that neither make nor return arrays: they do not count references to their caller's.

    numba counts those of all arrays of a NamedTuple, atomically, wherever a function takes one: 2 · 25 for a tower's
    weights, at each chunk of pairs. A leaf calls leaves and what returns no arrays.
    """
    _check_name(function)
    if function.__annotations__.get("return") not in _PLAIN:
        raise ValueError(f"{function.__qualname__} must return one of {', '.join(sorted(_PLAIN))} to be a leaf")
    registered: _F = register_jitable(**_OPTIONS, _nrt=False)(function)
    return registered


def _check_name(function: Callable[..., Any]) -> None:
    """Functions made in a function have one name, and are told apart by a number that each process counts anew.

    Code that two processes left on disk would be linked with another one's function: give each its `__qualname__`.
    """
    if "<locals>" in function.__qualname__:
        raise ValueError(f"{function.__qualname__} needs a __qualname__ of its own before it is compiled")


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c with a single rounding."""
    signature = types.float64(types.float64, types.float64, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return signature, generate


def over_jets(function: Callable[[int, int], Any], work: I8, threads: int | None = None) -> None:
    """Call ``function(first, last)`` on ranges of jets with roughly equal work, on several threads.

    These are plain threads rather than numba's parallel loops, whose OpenMP layer kills a process that forks
    afterwards, as coffea's FuturesExecutor does. Each takes the next range when it has done one: what a jet costs is
    not known exactly, and other programs take their time. No jet is shared between threads, so results do not depend
    on their number.

    Parameters
    ----------
    function : callable
        Compiled code that releases the GIL.
    work : ndarray of int64, shape (J + 1,)
        Cumulative work (pairs) before each jet.
    threads : int, optional
        Default: ``NUMBA_NUM_THREADS``, or the number of cores this process may use.
    """
    jets, total = len(work) - 1, int(work[-1] - work[0])
    threads = min(threads or numba.config.NUMBA_NUM_THREADS, jets)
    if threads <= 1 or total < _SERIAL_WORK:
        function(0, jets)
        return
    number = min(threads * _RANGES, total // _LEAST_WORK)
    bounds = np.searchsorted(work, work[0] + total * np.arange(1, number) / number)
    # each range goes to whoever asks first
    ranges = iter([(a, b) for a, b in pairwise([0, *bounds.tolist(), jets]) if b > a])

    def take() -> None:
        for first, last in ranges:
            function(first, last)

    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="equitag")
    others = [_pools[key].submit(take) for _ in range(threads - 1)]
    try:
        take()
    finally:
        wait(others)
    for done in others:
        done.result()

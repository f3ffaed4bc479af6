"""How this package compiles."""

import gc
from typing import Any

import numba
import numpy as np
import pytest
from numba.extending import overload

from coffea_equitag import compiled


def _collects() -> bool:
    raise NotImplementedError


@overload(_collects)
def _collects_while_compiling() -> Any:
    found = gc.isenabled()
    return lambda: found


def _compiled(module: str) -> Any:
    def function() -> bool:
        return _collects()

    function.__module__ = module
    return numba.njit(function)


@pytest.mark.parametrize("before", [True, False])
def test_no_garbage_is_sought_while_our_code_compiles(before: bool) -> None:
    enabled = gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        assert not _compiled("coffea_equitag.some.place")()
        assert gc.isenabled() is before
    finally:
        (gc.enable if enabled else gc.disable)()


def test_it_is_sought_again_after_a_failure() -> None:
    def function(x: Any) -> int:
        return len(x)

    function.__module__ = "coffea_equitag.some.place"
    assert gc.isenabled()
    with pytest.raises(numba.core.errors.TypingError):
        numba.njit(function)(3)
    assert gc.isenabled()


def test_inner_code_is_python_to_python() -> None:
    @compiled.inner
    def doubled(x: float) -> float:
        return 2 * x

    @numba.njit
    def total(values: Any) -> float:
        found = 0.0
        for value in values:
            found += doubled(value)
        return found

    assert doubled(3.0) == 6.0
    assert total(np.arange(4.0)) == 12.0

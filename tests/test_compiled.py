"""What goes on while numba compiles, and on several threads."""

from __future__ import annotations

import gc
import sys

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError
from numba.extending import overload

from coffea_equitag import compiled
from coffea_equitag.array_types import F8


@pytest.fixture
def marked():
    """A function, and whether the garbage collector was on each time that numba typed it."""
    found = []

    def function():
        pass

    @overload(function)
    def compiled_function():
        found.append(gc.isenabled())
        return lambda: None

    return function, found


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_waits_and_is_left_as_it_was(marked, enabled):
    function, found = marked
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        numba.njit(lambda: function())()
        assert set(found) == {False}
        assert gc.isenabled() == enabled

        with pytest.raises(TypingError):
            numba.njit(lambda: function() + 1)()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("decorator", [compiled.njit, compiled.inner, compiled.leaf])
def test_functions_made_in_functions_need_names(decorator):
    """numba's cache would take one for another that a second process left there."""

    def made() -> None:
        pass

    with pytest.raises(ValueError, match="needs a __qualname__ of its own"):
        decorator(made)
    made.__qualname__ = "made"
    decorator(made)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[0, 0], [1], [300], [0, 90, 200, 90, 0, 150, 90], [40] * 50, [200] * 100])
def test_each_jet_is_worked_on_once(threads, sizes):
    work, seen = np.cumsum([0, *np.square(sizes, dtype=np.int64)]), []
    compiled.over_jets(lambda first, last: seen.extend(range(first, last)), work, threads)
    assert sorted(seen) == list(range(len(sizes)))


@pytest.mark.parametrize("at", [0, 30, 49])
def test_an_error_in_any_thread_arrives_when_all_have_ended(at):
    def fails(first, last):
        if first <= at < last:
            raise ZeroDivisionError

    work = 40**2 * np.arange(51)
    with pytest.raises(ZeroDivisionError):
        compiled.over_jets(fails, work, 2)
    seen = []
    compiled.over_jets(lambda first, last: seen.extend(range(first, last)), work, 2)
    assert sorted(seen) == list(range(50))


@compiled.leaf
def _double(rows: F8) -> None:
    view = rows[1:]
    for k in range(len(view)):
        view[k] *= 2


@numba.njit
def _doubled(rows: F8) -> F8:
    for _ in range(100):
        _double(rows)
    return rows


def test_leaves_leave_references_as_they_were():
    rows = np.ones(3)
    before = sys.getrefcount(rows)
    assert _doubled(rows).tolist() == [1, 2.0**100, 2.0**100]
    assert sys.getrefcount(rows) == before


def test_leaves_return_no_arrays():
    def part(rows: F8) -> F8:
        return rows[1:]

    part.__qualname__ = "part"
    with pytest.raises(ValueError, match="part must return one of None, bool, float, int"):
        compiled.leaf(part)

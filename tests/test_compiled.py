"""What goes on while numba compiles."""

from __future__ import annotations

import gc

import numba
import pytest
from numba.core.errors import TypingError
from numba.extending import overload

from coffea_equitag import compiled


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


@pytest.mark.parametrize("decorator", [compiled.njit, compiled.inner])
def test_functions_made_in_functions_need_names(decorator):
    """numba's cache would take one for another that a second process left there."""

    def made():
        pass

    with pytest.raises(ValueError, match="needs a __qualname__ of its own"):
        decorator(made)
    made.__qualname__ = "made"
    decorator(made)

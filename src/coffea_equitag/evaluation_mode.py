"""Networks of torch in evaluation mode for a while: without dropout, and with BatchNorm's running statistics."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["evaluation_mode"]


@contextmanager
def evaluation_mode(function: Any) -> Iterator[None]:
    """If a function is a network, a method of one, or a partial of these: in evaluation mode, and then as it was.

    A network that a function of the user's calls cannot be seen here.
    """
    while isinstance(function, functools.partial):
        function = function.func
    network = getattr(function, "__self__", function)
    # known by its looks: torch need not be imported for functions of other frameworks
    modules = network.modules() if hasattr(network, "named_modules") and hasattr(network, "training") else ()
    trained = [module for module in modules if module.training]
    for module in trained:
        module.training = False
    try:
        yield
    finally:
        for module in trained:
            module.training = True

"""A network is refused while it is being built, as soon as it turns out larger than it may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from ..errors import TaggerError, explain

__all__ = ["SizeLimit", "at_most", "is_wide"]

#: Integers up to this one, as options, give no single tensor that would not fit into memory.
_NARROW = 1024


class SizeLimit(NamedTuple):
    """The largest network that is built; the largest of the papers has 135 tensors and a million weights.

    Attributes
    ----------
    tensors : int
        Number of weight tensors.
    numbers : int
        Numbers in all of them.
    """

    tensors: int = 2_000
    numbers: int = 1_000_000_000


class _Count:
    """Weights registered so far."""

    def __init__(self, limit: SizeLimit, what: str) -> None:
        self.limit, self.what = limit, what
        self.tensors = self.numbers = 0

    def add(self, tensor: torch.Tensor) -> None:
        self.tensors, self.numbers = self.tensors + 1, self.numbers + tensor.numel()
        if self.tensors > self.limit.tensors or self.numbers > self.limit.numbers:
            raise TaggerError(
                explain(
                    f"{self.what}: a network of at least {self.tensors} tensors with {self.numbers:,} weights",
                    f"at most {self.limit.tensors} tensors with {self.limit.numbers:,} weights",
                    "check the options that set the numbers of layers and channels",
                )
            )


_count: ContextVar[_Count | None] = ContextVar("count", default=None)


def _registered(module: Any, name: str, tensor: Any) -> None:
    count = _count.get()
    if count is not None and isinstance(tensor, torch.Tensor):
        count.add(tensor)


# once and for all: other threads may be building networks when one begins to count
register_module_parameter_registration_hook(_registered)
register_module_buffer_registration_hook(_registered)


@contextmanager
def at_most(limit: SizeLimit, what: str) -> Iterator[None]:
    """Refuse to build a network beyond the limit: a billion layers end with the first that is too many.

    Raises
    ------
    TaggerError
        Naming `what` is built.
    """
    token = _count.set(_Count(limit, what))
    try:
        yield
    finally:
        _count.reset(token)


def is_wide(option: Any) -> bool:
    """Whether an option may give a single tensor too large for the memory: it is built without memory first."""
    if isinstance(option, list | tuple):
        return any(map(is_wide, option))
    return isinstance(option, int) and abs(option) > _NARROW

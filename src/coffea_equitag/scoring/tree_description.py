"""A tree's description written in a time proportional to its branches; uproot 5.7's grows with their square.

For every branch, ``uproot.writing._cascadetree.Tree._build_out`` adds up the lengths of all pieces before it, which for
1800 branches takes half a minute. Here those sums, ``sum(len(x) for x in out if x is not None)`` and the number of
open pieces, are replaced in its source by counts that run along. The bytes are the same. Where the source has no such
sums, because uproot does without them, nothing is replaced.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from uproot.writing import _cascadetree

__all__ = ["running_counts"]

_METHOD = "_build_out"

_REPLACED = (
    (r"\bout = \[None\]", "out = _Pieces([None])"),
    (r"\bsum\(\s*len\(x\) for x in out if x is not None\s*\)", "out.size"),
    (r"\bsum\(1 if x is None else 0 for x in out\)", "out.open"),
)


class _Pieces(list[bytes | None]):
    """Pieces of a description, some of them open (None), with the length and the number of open ones at hand."""

    def __init__(self, pieces: Iterable[bytes | None]) -> None:
        super().__init__()
        self.size = self.open = 0
        self.extend(pieces)

    def insert(self, index: Any, piece: bytes | None) -> None:
        self._count(piece, 1)
        super().insert(index, piece)

    def append(self, piece: bytes | None) -> None:
        self.insert(len(self), piece)

    def extend(self, pieces: Iterable[bytes | None]) -> None:
        for piece in pieces:
            self.append(piece)

    def __iadd__(self, pieces: Iterable[bytes | None]) -> _Pieces:  # type: ignore[override,misc]
        self.extend(pieces)
        return self

    def __setitem__(self, index: Any, piece: Any) -> None:
        self._count(self[index], -1)
        self._count(piece, 1)
        super().__setitem__(index, piece)

    def _count(self, piece: bytes | None, sign: int) -> None:
        if piece is None:
            self.open += sign
        else:
            self.size += sign * len(piece)


@contextmanager
def running_counts() -> Iterator[None]:
    """Trees written within this context are described with counts that run along."""
    before, changed = getattr(_cascadetree.Tree, _METHOD, None), _rewritten()
    if changed is None:
        yield
        return
    try:
        setattr(_cascadetree.Tree, _METHOD, changed)
        yield
    finally:
        setattr(_cascadetree.Tree, _METHOD, before)


@cache
def _rewritten() -> Callable[[Any], list[Any]] | None:
    """The method of uproot with counts instead of sums; None if it has no such sums, or no source."""
    try:
        original = getattr(_cascadetree.Tree, _METHOD)
        source = textwrap.dedent(inspect.getsource(original))
    except (AttributeError, OSError, TypeError):
        return None
    for pattern, replacement in _REPLACED:
        source, number = re.subn(pattern, replacement, source)
        if number == 0:
            return None
    names = {**vars(_cascadetree), "_Pieces": _Pieces}
    exec(compile(source, _cascadetree.__file__, "exec"), names)

    def counted(tree: Any) -> list[Any]:
        try:
            out = names[_METHOD](tree)
            right = out.size == sum(len(piece) for piece in out)
        except (AssertionError, AttributeError, TypeError):
            right = False
        # where a later version changes pieces in a way that is not counted, its own method is right
        found: list[Any] = out if right else original(tree)
        return found

    return counted

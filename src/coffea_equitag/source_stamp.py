"""What compiled code was made from: its own source file and those that it imports from its package.

numba compiles what a function calls into it, but looks for changes in the function's own file only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["source_stamp"]

#: Dots, module and names of a relative import at module level.
_IMPORT = re.compile(r"^from (\.+)([\w.]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


@cache
def source_stamp(path: Path) -> str:
    """SHA-256 of a module's source and of all that it imports by relative imports, directly or not.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    found, waiting = {path}, [path]
    while waiting:
        new = _imported(waiting.pop()) - found
        found |= new
        waiting += new
    stamp = hashlib.sha256()
    for one in sorted(found):
        stamp.update(_content(one))
    return stamp.hexdigest()


@cache
def _content(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Source files that a module imports by relative imports."""
    return frozenset(_modules(path))


def _modules(path: Path) -> Iterator[Path]:
    for dots, module, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
        home = path.parents[len(dots) - 1].joinpath(*module.split(".") if module else ())
        candidates = [home, *(home / name for name in re.findall(r"\w+", names))]
        for candidate in candidates:
            for source in (candidate.with_suffix(".py"), candidate / "__init__.py"):
                if source.is_file():
                    yield source

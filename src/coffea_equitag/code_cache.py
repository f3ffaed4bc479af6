"""Compiled code on disk: numba's cache, without which everything still runs.

numba raises where no folder is writable (read-only images, no HOME), where a cached file is damaged and where the disk
is full. Here the function is compiled as if there were no cache, and one warning says so. Files carry a checksum:
damaged machine code would not raise but run. What a change in any source file concerns is compiled again.
"""

from __future__ import annotations

import pickle
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

from .errors import CacheWarning, explain
from .source_stamp import source_stamp

__all__ = ["enable_cache"]

_MAGIC = b"equitag1"
_lock = threading.Lock()
_warned = False


def enable_cache(dispatcher: Any) -> None:
    """Keep what a function is compiled to beside its source, in NUMBA_CACHE_DIR or in the user's cache folder.

    Warns
    -----
    CacheWarning
        Once per process, if none of them can be written.
    """
    try:
        dispatcher._cache = _CodeCache(dispatcher.py_func)
    except (RuntimeError, OSError) as error:  # "no locator available"
        _warn(f"compiled code cannot be kept on disk: {_first_line(error)}")


class _CodeCache(FunctionCache):
    """numba's cache of one function, which is passed over where it fails."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _CheckedFile
        self._cache_file._source_stamp = source_stamp(Path(function.__code__.co_filename))

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # damaged files raise almost anything
            _warn(f"compiled code in {self.cache_path} cannot be read: {_first_line(error)}")
        try:
            self.flush()  # so that what is compiled now takes its place
        except OSError:
            self.disable()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            super().save_overload(signature, result)
        except (OSError, EOFError, pickle.PickleError, ValueError) as error:
            self.disable()
            _warn(f"compiled code cannot be kept in {self.cache_path}: {_first_line(error)}")


class _CheckedFile(IndexDataCacheFile):
    """numba's files, with a checksum before the code."""

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(_MAGIC + zlib.crc32(content).to_bytes(4, "little") + content)

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        start = len(_MAGIC) + 4
        head, content = content[:start], content[start:]
        if head != _MAGIC + zlib.crc32(content).to_bytes(4, "little"):
            raise ValueError(f"{name} is damaged")
        return pickle.loads(content)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _warn(given: str) -> None:
    global _warned
    with _lock:
        first, _warned = not _warned, True
    if first:
        folder = numba.config.CACHE_DIR
        warnings.warn(
            explain(
                f"{given}; it is compiled again, which takes each process up to a minute",
                "a folder that can be written, with room for some 100 MB"
                + (f"; NUMBA_CACHE_DIR is {folder}" if folder else ""),
                "set NUMBA_CACHE_DIR to such a folder; delete *.nbi and *.nbc there if they are damaged",
            ),
            CacheWarning,
            stacklevel=2,
        )

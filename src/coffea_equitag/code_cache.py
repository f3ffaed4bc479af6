"""Compiled code on disk: numba's cache, without which everything still runs.

Code is looked for in ``NUMBA_CACHE_DIR``, beside the package and in the user's folder, up to the first that can be
written, where new code goes. So code that was compiled when an image was made is found by users who cannot write
there. It is found for the CPU, the sources and the versions of numba and LLVM that it was compiled for, and no others.

numba raises where no folder is writable (read-only images, no HOME), where a cached file is damaged and where the disk
is full. Here the function is compiled as if there were no cache, and one warning says so. Files carry a checksum:
damaged machine code would not raise but run. What a change in any source file concerns is compiled again.
"""

from __future__ import annotations

import hashlib
import itertools
import pickle
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any, ClassVar

import llvmlite
import numba
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)

from .errors import CacheWarning, explain
from .source_stamp import source_stamp

__all__ = ["cached_files", "enable_cache", "folders"]

_MAGIC = b"equitag2"
_lock = threading.Lock()
_warned = False
#: The caches of this process.
_caches: list[_CodeCache] = []


def enable_cache(dispatcher: Any) -> None:
    """Keep what a function is compiled to in NUMBA_CACHE_DIR, beside its source or in the user's cache folder."""
    try:
        dispatcher._cache = _CodeCache(dispatcher.py_func)
        _caches.append(dispatcher._cache)
    except (RuntimeError, OSError) as error:  # sources that are no files
        _warn(f"compiled code cannot be kept on disk: {_first_line(error)}")


def folders(function: Any) -> list[Path]:
    """Where a compiled function's code is looked for; new code goes to the last. Empty if it is not kept on disk."""
    cache = function._cache
    return [Path(file._cache_path) for file in cache.files] if isinstance(cache, _CodeCache) else []


def cached_files() -> list[Path]:
    """Files of the functions that this process has imported, whatever they were compiled for."""
    found = {
        path
        for cache in _caches
        for file in cache.files
        for path in Path(file._cache_path).glob(f"{cache._impl.filename_base}.*nb[ci]")
    }
    return sorted(found)


class _Nowhere(InTreeCacheLocator):
    """Stands for the folder to write to where there is none."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Nowhere:
        return cls(py_func, py_file)


class _Implementation(CompileResultCacheImpl):
    _locator_classes: ClassVar[Any] = [*CompileResultCacheImpl._locator_classes, _Nowhere]


class _CodeCache(FunctionCache):
    """numba's cache of one function, which is passed over where it fails.

    Attributes
    ----------
    files : list
        The function's files in each folder; new code goes to the last.
    """

    _impl_class = _Implementation

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        stamp = source_stamp(Path(function.__code__.co_filename))
        name = self._impl.filename_base
        places = [*_places_before(self._impl.locator, function), self.cache_path]
        self.files = [_CheckedFile(place, name, stamp) for place in dict.fromkeys(places)]
        self._cache_file = self.files[-1]

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        usual = self._cache_file
        try:
            for file in self.files:
                self._cache_file = file
                found = self._load_one(signature, target_context)
                if found is not None:
                    return found
        finally:
            self._cache_file = usual
        return None

    def _load_one(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception as error:  # damaged files raise almost anything
            _warn(f"compiled code in {self._cache_file._cache_path} cannot be read: {_first_line(error)}")
        if self._cache_file is self.files[-1]:
            try:
                self.flush()  # so that what is compiled now takes its place
            except OSError:
                self.disable()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        if isinstance(self._impl.locator, _Nowhere):
            _warn("compiled code cannot be kept on disk: no folder can be written")
            return
        try:
            super().save_overload(signature, result)
        except (OSError, EOFError, pickle.PickleError, ValueError) as error:
            self.disable()
            _warn(f"compiled code cannot be kept in {self.cache_path}: {_first_line(error)}")


def _places_before(locator: Any, function: Any) -> list[str]:
    """Folders that come before the one to write to: they cannot be written, but may have been filled by others."""
    places = []
    for kind in (UserProvidedCacheLocator, InTreeCacheLocator, UserWideCacheLocator):
        if type(locator) is kind:
            break
        if kind is not UserProvidedCacheLocator or numba.config.CACHE_DIR:
            places.append(kind(function, function.__code__.co_filename).get_cache_path())
    return places


class _CheckedFile(IndexDataCacheFile):
    """numba's files, which tell what they are and whether they are whole.

    numba numbers files, and two processes that start together give one number to different code: here names come from
    what the code is for, and the file says it again.
    """

    def __init__(self, path: str, name: str, stamp: str) -> None:
        super().__init__(path, name, stamp)
        self._version = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}"

    def load(self, key: Any) -> Any:
        try:
            name = self._load_index().get(key)
            content = None if name is None else Path(self._data_path(name)).read_bytes()
        except OSError:
            return None  # no such folder, or none of ours
        if content is None:
            return None
        start = len(_MAGIC) + 4
        head, content = content[:start], content[start:]
        if head != _MAGIC + zlib.crc32(content).to_bytes(4, "little"):
            raise ValueError(f"{name} is damaged")
        *purpose, data = pickle.loads(content)
        return data if purpose == [self._version, self._source_stamp, key] else None

    def save(self, key: Any, data: Any) -> None:
        content = self._dump((self._version, self._source_stamp, key, data))
        name = self._load_index().get(key) or self._new_name(key)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(_MAGIC + zlib.crc32(content).to_bytes(4, "little") + content)
        # other processes may have saved something meanwhile; what they lose they compile again
        self._save_index(self._load_index() | {key: name})

    def _new_name(self, key: Any) -> str:
        digest, taken = int(hashlib.sha256(str(key).encode()).hexdigest()[:15], 16), set(self._load_index().values())
        return next(str(name) for name in map(self._data_name, itertools.count(digest)) if name not in taken)


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

"""Temporary files and folders: named uniquely, locked while they are written, removed when their writer is gone.

A name holds the host and a random number, so that no two hosts, processes or threads share one. The writer keeps a lock
(``flock``) that the system releases however the writer ends. A temporary file is stale if its lock is free; if it was
made on another host, whose locks a network filesystem may not show, or if there are no locks, it must be a day old.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["folder_lock", "is_taken", "remove_stale", "temporary_file", "temporary_folder"]

#: Windows has none.
_LOCKS: Any = import_module("fcntl") if os.name == "posix" else None

_HOST = re.sub(r"\W+", "-", platform.node(), flags=re.ASCII)[:40] or "host"

#: ``.<name>.<host>.<12 hexadecimal digits>.part<suffix>``; the first versions wrote the process id in place of the two.
_NAME = re.compile(r"\..+\.(?:(?P<host>[\w-]+)\.[0-9a-f]{12}|\d+)\.part(?:\.\w+)?", re.ASCII | re.DOTALL)

#: Seconds after which a temporary file of which nothing else is known is stale.
_AGE = 86400.0

#: Seconds to wait for another writer of a folder, and between two attempts.
_PATIENCE, _PAUSE = 60.0, 0.02

#: Bytes of the target's name that are used in the temporary one: filesystems allow 255 in all.
_LONGEST = 100


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """Yield an empty file in the folder of ``target``, of the same suffix; removed at the end if it is still there."""

    def create(path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)

    with _locked(target, create) as part:
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; removed at the end if it is still there."""

    def create(path: Path) -> int:
        path.mkdir()
        return os.open(path, os.O_RDONLY) if _LOCKS else -1

    with _locked(target, create) as part:
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def remove_stale(folder: Path) -> None:
    """Remove the temporary files and folders that writers which no longer run have left in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found:
                with suppress(OSError):
                    _remove_if_stale(Path(entry.path), found["host"])


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep others who ask for it from writing into a folder; where a filesystem has no such locks, do nothing.

    Raises
    ------
    TimeoutError
        If another writer keeps it for a minute.
    """
    if _LOCKS is None:
        yield
        return
    descriptor, end = os.open(folder, os.O_RDONLY), time.monotonic() + _PATIENCE
    try:
        while _lock(descriptor) is False:
            if time.monotonic() > end:
                raise TimeoutError(f"{folder} is being written by another process")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _locked(target: Path, create: Callable[[Path], int]) -> Iterator[Path]:
    stem = target.stem.encode()[:_LONGEST].decode(errors="ignore")
    while True:
        part = target.with_name(f".{stem}.{_HOST}.{secrets.token_hex(6)}.part{target.suffix}")
        descriptor = create(part)
        # another process may have taken it for stale before it was locked
        if _lock(descriptor) is not False and (descriptor < 0 or part.exists()):
            break
        os.close(descriptor)
    try:
        if _LOCKS is None and descriptor >= 0:  # Windows renames no open file
            os.close(descriptor)
            descriptor = -1
        yield part
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def is_taken(descriptor: int) -> bool:
    """Take the lock of an open file until it is closed, unless another writer has it."""
    return _lock(descriptor) is False


def _lock(descriptor: int) -> bool | None:
    """Whether the lock of an open file was free, and is ours now; None where there are no locks."""
    if _LOCKS is None:
        return None
    try:
        _LOCKS.flock(descriptor, _LOCKS.LOCK_EX | _LOCKS.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_if_stale(path: Path, host: str | None) -> None:
    status = path.lstat()
    is_file, is_old = stat.S_ISREG(status.st_mode), time.time() - status.st_mtime > _AGE
    if not (is_file or stat.S_ISDIR(status.st_mode)) or not (host in (None, _HOST) or is_old):
        return
    if _LOCKS is None:
        if is_old:
            _remove(path, is_file)
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        free = _lock(descriptor)
        if free or (free is None and is_old):
            _remove(path, is_file)
    finally:
        os.close(descriptor)


def _remove(path: Path, is_file: bool) -> None:
    if is_file:
        path.unlink()
    else:
        shutil.rmtree(path)

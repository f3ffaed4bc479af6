"""Exceptions of libraries about a file become errors of this package that name the file."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import EquitagError, JetError, explain

__all__ = ["check_regular", "naming", "read_bytes", "reading"]


def check_regular(path: Path) -> None:
    """Refuse folders, and pipes and devices, which would keep a reader waiting or never end.

    Raises
    ------
    OSError
        If there is no such file, or it is not a regular one.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is {'a folder' if path.is_dir() else 'not a regular file'}")


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Content of a regular file.

    Raises
    ------
    OSError
        As `check_regular`, or if it has more than `most` bytes.
    """
    check_regular(path)
    if most is not None and path.stat().st_size > most:
        raise OSError(f"{path} has {path.stat().st_size:,} bytes, more than {most:,}")
    return path.read_bytes()


@contextmanager
def naming(source: object) -> Iterator[None]:
    """Add the name of the file to those of our errors inside that lack it.

    Raises
    ------
    EquitagError
        Of the same class.
    """
    try:
        yield
    except EquitagError as fault:
        if str(source) in str(fault):
            raise
        raise type(fault)(f"{source}: {fault}") from fault


@contextmanager
def reading(
    source: object,
    what: str,
    error: type[EquitagError] = JetError,
    remedy: str = "restore the file from its original, or write it again",
) -> Iterator[None]:
    """Turn any exception inside into one of our errors; those that are ours already get the name of the file.

    This is the one place that catches every exception: for a damaged file, libraries raise almost anything.

    Parameters
    ----------
    source : path or str
        The file, as the message names it.
    what : str
        What it should be: "a ROOT file".
    error : type
        Class of the error for an exception of a library.
    remedy : str
        What to do about a damaged file.

    Raises
    ------
    EquitagError
        Of the class of an inner error, else of `error`.
    """
    try:
        with naming(source):
            yield
    except (EquitagError, Warning):  # warnings, where the caller has made them errors
        raise
    except Exception as fault:
        fix = "install the package that is named" if isinstance(fault, ImportError) else remedy
        raise error(explain(f"{source}, which cannot be read as {what} ({_reason(fault)})", what, fix)) from fault


def _reason(fault: Exception) -> str:
    """The exception in one line; some of uproot's have hundreds."""
    text = "it needs more memory than there is" if isinstance(fault, MemoryError) else " ".join(str(fault).split())
    return f"{type(fault).__name__}: {text[:200]}{'...' if len(text) > 200 else ''}" if text else type(fault).__name__

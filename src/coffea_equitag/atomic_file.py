"""Files that get their final name only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import JetError, explain

__all__ = ["atomic_file", "check_writable", "make_folder", "remove_unfinished", "write_atomic"]


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if a file can be written there; call this before doing expensive work.

    Raises
    ------
    JetError
        If its folder is missing or not writable, or ``path`` is itself a folder.
    """
    target = Path(path)
    folder = target.parent
    if target.is_dir():
        given = f"{target} is a folder"
    elif not folder.is_dir():
        given = f"{target}: there is no folder {folder}"
    elif not os.access(folder, os.W_OK):
        given = f"{target}: the folder {folder} is not writable"
    else:
        return target
    raise JetError(explain(given, "the name of a file in a writable folder", "choose another file name"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` as a folder, created if it does not exist.

    Raises
    ------
    JetError
        If there is a file of that name.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise JetError(explain(f"{folder} is a file", "a folder", "choose another name")) from error
    return folder


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file name in the folder of ``path``, renamed to ``path`` at the end; removed after an error.

    Raises
    ------
    JetError
        If ``path`` cannot be written, see `check_writable`.
    """
    target = check_writable(path)
    # the process id distinguishes two writers; libraries recognize the format by the suffix
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def write_atomic(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file and flush it to disk; at any moment either the old or the new file exists, complete.

    Raises
    ------
    JetError
        As for `atomic_file`.
    """
    with atomic_file(path) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def remove_unfinished(pattern: Path) -> None:
    """Remove unfinished files of this name left by killed processes; the name may contain wildcards."""
    for part in pattern.parent.glob(f".{pattern.stem}.*.part{pattern.suffix}"):
        part.unlink(missing_ok=True)

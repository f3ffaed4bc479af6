"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import JetError, explain

__all__ = ["check_writable", "make_folder", "whole_file"]


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if a file can be written there, before any work is spent on it.

    Raises
    ------
    JetError
        If its folder is missing or not writable, or it is a folder itself.
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
    raise JetError(explain(given, "the name of a file in a folder that can be written", "choose another file name"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` as a folder, made if it is not there.

    Raises
    ------
    JetError
        If a file of that name is there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise JetError(explain(f"{folder}: a file is in its place", "a folder", "name another")) from error
    return folder


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside ``path``; take its place at the end, or leave nothing.

    Raises
    ------
    JetError
        If ``path`` cannot be written, see `check_writable`.
    """
    target = check_writable(path)
    # The process number keeps two writers apart, the suffix keeps its meaning to the writer.
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()

"""Files that get their final name only when they are complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .errors import JetError, explain
from .temporary_files import remove_stale, temporary_file

__all__ = ["atomic_file", "check_writable", "flush", "is_same_file", "make_folder", "write_atomic", "write_together"]


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


def is_same_file(source: str | os.PathLike[str], target: Path) -> bool:
    """Whether an input, a path or URL, is the file that is about to be replaced: by link, mount or other name, too."""
    if not target.exists():
        return False
    text = os.fspath(source).rpartition("::")[2]  # the last of fsspec's chained URLs
    scheme, colon, rest = text.partition(":")
    if colon and scheme in ("file", "local"):
        text = rest.removeprefix("//")
    elif "://" in text:  # a server may show what is mounted here
        return "/" + urlsplit(text).path.lstrip("/") == os.path.realpath(target)
    return any(os.path.exists(path) and os.path.samefile(path, target) for path in (text, unquote(text)))


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file in the folder of ``path``, renamed to ``path`` at the end; removed after an error.

    It is flushed to disk before it is renamed: at any moment, a power cut included, either the old or the new file is
    there, complete. What killed processes have left in the folder is removed.

    Raises
    ------
    JetError
        If ``path`` cannot be written, see `check_writable`.
    """
    target = check_writable(path)
    remove_stale(target.parent)
    with temporary_file(target) as part:
        yield part
        flush(part)
        os.replace(part, target)
        flush(target.parent)


def write_atomic(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file as `atomic_file` does.

    Raises
    ------
    JetError
        As for `atomic_file`.
    """
    target = check_writable(path)
    write_together(target.parent, {target.name: content})


def write_together(folder: Path, contents: Mapping[str, bytes | memoryview | Callable[[Path], object]]) -> None:
    """Write several files of a folder: all, or after an error none.

    Parameters
    ----------
    folder : Path
        Created if it does not exist, and in that case removed after an error.
    contents : mapping
        Name -> content, or a function that writes it to the path it is given. The files get their names in this order.
    """
    is_new = not folder.exists()
    make_folder(folder)
    remove_stale(folder)
    with ExitStack() as stack:
        if is_new:
            stack.callback(_remove_empty, folder)
        parts = {}
        for name, content in contents.items():
            part = parts[name] = stack.enter_context(temporary_file(folder / name))
            if callable(content):
                content(part)
            else:
                part.write_bytes(content)
            flush(part)
        for name, part in parts.items():
            os.replace(part, folder / name)
        flush(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def flush(path: Path) -> None:
    """Write a file, or the names in a folder, from the system's memory to disk."""
    if path.is_dir() and os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network filesystems cannot flush folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)

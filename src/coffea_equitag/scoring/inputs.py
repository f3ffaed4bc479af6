"""Files to score: paths, folders, patterns, lists of them in text files, and addresses that fsspec or XRootD open."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import fsspec

from ..errors import JetError, explain
from ..reading import read_bytes, reading
from .source import Source

__all__ = ["Input", "find_inputs", "is_address", "local_path"]

#: Bytes of the longest list of files.
_LONGEST_LIST = 100_000_000


@dataclass(frozen=True)
class Input:
    """A file to score.

    Attributes
    ----------
    source : str
        Its path or address.
    name : str
        Its name without the suffix, within the folder that was given: ``"0000/nano_1"``.
    """

    source: str
    name: str


def is_address(source: Source) -> bool:
    """Whether it is a URL, and not a path."""
    return "://" in os.fspath(source) or os.fspath(source).startswith(("file:", "local:"))


def local_path(source: Source) -> Path | None:
    """The path of a local file; None for what another machine or a package holds."""
    text = os.fspath(source)
    for scheme in ("file:", "local:"):
        if text.startswith(scheme):
            return Path(text.removeprefix(scheme).removeprefix("//"))
    return None if "://" in text else Path(text)


def find_inputs(given: Source | Iterable[Source], outputs: Path | None = None) -> list[Input]:
    """All files of what is given, each once, in the order given; those of folders and patterns in alphabetical order.

    Parameters
    ----------
    given : path-like, or several
        Each is a file; a folder, in which all ``.root`` files are taken, at any depth; a pattern (``"data/*.root"``,
        ``"**"`` for any depth); a text file with one of these per line (``@list``, ``list.txt``; lines that begin with
        ``#`` are left out; paths are relative to the working directory); or a URL of a file, a folder or a pattern.
    outputs : Path, optional
        Folder of outputs, in which no files are searched.

    Raises
    ------
    JetError
        If there is no such file, a list cannot be read, or a package that opens the address is not installed.
    """
    several: Sequence[Source] = [given] if isinstance(given, str | os.PathLike) else list(given)
    found: dict[str, Input] = {}
    for one in several:
        for text in _lines(os.fspath(one)):
            for file in _files(text, outputs):
                found.setdefault(file.source, file)
    if not found:
        raise JetError(explain("no file to score", "at least one ROOT file", "give its path"))
    return list(found.values())


def _lines(text: str) -> Iterator[str]:
    """What is given itself, or the lines of the list that it names."""
    is_list = text.startswith("@") or (text.lower().endswith(".txt") and not is_address(text))
    if not is_list:
        yield text
        return
    path = Path(text.removeprefix("@")).expanduser()
    with reading(path, "a list of files", remedy="write one path or address per line"):
        lines = [line.strip() for line in read_bytes(path, _LONGEST_LIST).decode().splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        if not lines:
            raise ValueError("it has no lines")
    for line in lines:
        if line.startswith("@"):
            raise JetError(explain(f"{path} with the list {line}", "paths and addresses", "give the lists one by one"))
        yield line


def _files(text: str, outputs: Path | None) -> list[Input]:
    if is_address(text) and local_path(text) is None:
        return _remote(text)
    if is_address(text):
        return [_input(text)] if (path := local_path(text)) is not None and path.is_file() else _missing(text)
    name = os.path.expanduser(text)
    if os.path.isfile(name):
        return [_input(name)]
    if os.path.isdir(name):
        return _in_folder(Path(name), outputs) or _missing(f"{text}/**/*.root")
    paths = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
    return [_input(path) for path in paths] or _missing(text)


def _in_folder(folder: Path, outputs: Path | None) -> list[Input]:
    """ROOT files at any depth, except those that begin with a dot and those in the folder of outputs."""
    made = outputs.resolve() if outputs is not None else None
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and Path(parent, name).resolve() != made
        )
        if Path(parent).resolve() != made:
            files += [Path(parent, name) for name in names if name.endswith(".root") and not name.startswith(".")]
    return [Input(str(file), file.relative_to(folder).with_suffix("").as_posix()) for file in sorted(files)]


def _remote(text: str) -> list[Input]:
    """Files at an address: itself, those of a pattern, or those of a folder, for which it ends in a slash."""
    if "*" not in text and not text.endswith("/"):
        return [_input(text)]
    with reading(text, "an address that fsspec opens", remedy="check the address"):
        system, path = fsspec.core.url_to_fs(text)
        folder = None if "*" in text else PurePosixPath(path)
        paths = sorted(system.glob(path if folder is None else f"{folder}/**/*.root"))
        found = [_input(str(system.unstrip_protocol(path))) for path in paths]
        if folder is not None:
            names = [PurePosixPath(path).relative_to(folder).with_suffix("").as_posix() for path in paths]
            found = [replace(one, name=name) for one, name in zip(found, names, strict=True)]
    return found or _missing(text)


def _input(source: str) -> Input:
    path = urlsplit(source.rpartition("::")[2]).path if is_address(source) else Path(source).name
    name = PurePosixPath(path).name
    return Input(source, name.removesuffix(".root") or name)


def _missing(text: str) -> list[Input]:
    raise JetError(
        explain(
            f"no file {text} (working directory {os.getcwd()})",
            "a ROOT file, a folder with some, a pattern that matches some, a list of them, or a URL",
            "check the path",
        )
    )

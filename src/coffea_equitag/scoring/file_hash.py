"""Hashes of inputs and outputs: whether a file is still the one that was read or written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from ..reading import reading
from .inputs import local_path
from .source import Source, open_root

__all__ = ["Stamp", "file_hash", "input_hash", "input_stamp", "stamp_of"]

#: Bytes at both ends of a file on another machine that enter its hash.
_ENDS = 65_536


class Stamp(NamedTuple):
    """Size in bytes and time of the last change in ns: while they stay, a file is not read again for its hash."""

    size: int
    mtime_ns: int


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file."""
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns)


def input_stamp(source: Source) -> Stamp | None:
    """The stamp of a local input; None for others."""
    path = local_path(source)
    return None if path is None else stamp_of(path)


def file_hash(path: Path) -> str:
    """``sha256:...`` of all bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def input_hash(source: Source) -> str:
    """Hash of a local file, or of size and ends of another, ``sha256-ends:...``.

    The head of a ROOT file has a number that is made anew whenever a file is written; its end has the directory.
    """
    path = local_path(source)
    if path is not None:
        with reading(source, "a ROOT file"):
            return file_hash(path)
    with open_root(source) as file, reading(source, "a ROOT file"):
        bytes_of, size = file.file.source, int(file.file.source.num_bytes)
        digest = hashlib.sha256(str(size).encode())
        for start, stop in ((0, min(size, _ENDS)), (max(0, size - _ENDS), size)):
            digest.update(memoryview(bytes_of.chunk(start, stop).raw_data).cast("B"))
    return f"sha256-ends:{digest.hexdigest()}"

"""What a folder of outputs was made from: ``manifest.jsonl``, with one line of JSON per output.

A line is appended when its output is complete, just before that gets its name; of several for one output the last
counts. A line that a killed process has not finished is no line.
"""

from __future__ import annotations

import os
from pathlib import Path

import pydantic

from ..reading import read_bytes, reading
from ..temporary_files import folder_lock
from .file_hash import Stamp, file_hash, input_hash, input_stamp, stamp_of
from .source import Source

__all__ = ["MANIFEST", "ManifestEntry", "append_entry", "read_manifest", "why_stale"]

MANIFEST = "manifest.jsonl"

#: Bytes of the largest manifest that is read.
_LARGEST = 1_000_000_000


class ManifestEntry(pydantic.BaseModel):
    """One output: from which input, by which tagger and with which options it was made, and what it is."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    output: str = pydantic.Field(description="its path within the folder")
    output_hash: str = pydantic.Field(description="SHA-256 of the output")
    output_stamp: Stamp = pydantic.Field(description="its size, and time of its last change in ns")
    input: str = pydantic.Field(description="path or address of the input")
    input_hash: str = pydantic.Field(description="SHA-256 of the input; of an address that of its size and ends")
    input_stamp: Stamp | None = pydantic.Field(description="as for the output; null for an address")
    tagger: str = pydantic.Field(description="name of the tagger")
    tagger_hash: str | None = pydantic.Field(description="content hash of the tagger; null if it has none")
    options: dict[str, str | bool | list[str] | dict[str, list[str]] | None] = pydantic.Field(
        description="options that determine the output"
    )
    version: str = pydantic.Field(description="version of coffea-equitag")
    events: int
    jets: int
    unscored: int = pydantic.Field(description="jets without a score")
    not_copied: tuple[str, ...] = pydantic.Field(description="branches and objects that were not copied")


def read_manifest(folder: Path) -> dict[str, ManifestEntry]:
    """Output -> its entry; lines that cannot be read are as if they were not there."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    with reading(path, "a manifest", remedy="move it away: outputs it names are then unknown"):
        lines = read_bytes(path, _LARGEST).split(b"\n")
    entries = {}
    for line in lines:
        try:
            entry = ManifestEntry.model_validate_json(line)
        except ValueError:
            continue
        entries[entry.output] = entry
    return entries


def append_entry(folder: Path, entry: ManifestEntry) -> None:
    """Add an entry, in one piece and on a line of its own."""
    line = entry.model_dump_json().encode() + b"\n"
    with folder_lock(folder), (folder / MANIFEST).open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def why_stale(
    entry: ManifestEntry | None,
    source: Source,
    output: Path,
    tagger_hash: str | None,
    options: dict[str, object],
) -> str | None:
    """Why an output that exists is not what would be written now; None if it is.

    Parameters
    ----------
    entry : ManifestEntry, optional
        Its entry.
    source : path-like
        The input.
    output : Path
        The output.
    tagger_hash : str, optional
        Content hash of the tagger.
    options : dict
        Options that determine an output.
    """
    if entry is None:
        return f"{MANIFEST} has no entry for it"
    if entry.tagger_hash is None or entry.tagger_hash != tagger_hash:
        return f"it was scored by another tagger ({entry.tagger}, {_short(entry.tagger_hash)})"
    if differ := [name for name, value in options.items() if entry.options.get(name) != value]:
        return f"it was written with other options ({', '.join(f'{n}={entry.options.get(n)!r}' for n in differ)})"
    if not _same(entry.output_stamp, stamp_of(output)) and file_hash(output) != entry.output_hash:
        return "it has changed since it was written"
    if not _same(entry.input_stamp, input_stamp(source)) and input_hash(source) != entry.input_hash:
        return f"its input was another ({entry.input}, {_short(entry.input_hash)})"
    return None


def _same(before: Stamp | None, now: Stamp | None) -> bool:
    return before is not None and before == now


def _short(text: str | None) -> str:
    if text is None:
        return "without a hash"
    kind, colon, digits = text.rpartition(":")
    return f"{kind}{colon}{digits[:12]}"

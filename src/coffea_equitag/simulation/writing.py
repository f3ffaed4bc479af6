"""Write jets and events to files, a shard at a time; files appear only when complete."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import awkward as ak
import fsspec
import pyarrow as pa
import pyarrow.parquet

from ..atomic_file import atomic_file, write_atomic
from ..errors import JetError, explain
from .provenance import KEY

__all__ = ["Writer", "encoded", "explained", "parquet_file", "write_bytes", "write_parquet"]

#: zstd after sorting the bytes of floats by significance: a third smaller than without.
_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": False,
    "use_byte_stream_split": True,
    "write_page_checksum": True,
    # Parquet's own types suffice, and with a stored schema readers miss metadata that are added at the end
    "store_schema": False,
}

#: Where awkward stores the attributes of an array.
_ATTRS = "AWKWARD_ATTRS"


@contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Explain what to do if the disk is full or a file cannot be written.

    Raises
    ------
    JetError
        Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        # pyarrow wraps the system's message in its own
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise JetError(
            explain(
                f"{os.fspath(path)} cannot be written: {reason}",
                "a writable place with 1 to 3 kB of space per jet",
                "free some space, or choose another place; a sample in a folder is continued when run again",
            )
        ) from error


class Writer:
    """An open file: ``add`` appends jets or events, ``facts`` is written when it is closed.

    Attributes
    ----------
    facts : dict
        How the jets or events were made.
    """

    def __init__(self, add: Callable[[ak.Array], None]) -> None:
        self.add = add
        self.facts: dict[str, Any] = {}


@contextmanager
def parquet_file(path: str | os.PathLike[str]) -> Iterator[Writer]:
    """Open a Parquet file of jets that grows by a row group with every call of ``add``.

    Raises
    ------
    JetError
        If ``path`` cannot be written, or the disk is full.
    """
    target = Path(path)
    with atomic_file(target) as part:
        file: pyarrow.parquet.ParquetWriter | None = None
        kept: dict[str, str] = {}

        def add(jets: ak.Array) -> None:
            nonlocal file
            table = _table(jets)
            with explained(target):
                if file is None:
                    kept.update(_decoded(table.schema))
                    file = pyarrow.parquet.ParquetWriter(part, table.schema.remove_metadata(), **_OPTIONS)
                file.write_table(table)

        writer = Writer(add)
        try:
            yield writer
        except BaseException:
            if file is not None:
                with suppress(OSError, pa.ArrowException):
                    file.close()
            raise
        if file is None:
            raise JetError(explain(f"no jets for {target}", "at least one jet", "add some"))
        with explained(target):
            file.add_key_value_metadata(kept | _metadata(writer.facts))
            file.close()


def write_parquet(path: str | os.PathLike[str], jets: ak.Array) -> None:
    """Write jets and their attributes as Parquet; the file appears only when complete.

    Raises
    ------
    JetError
        If ``path`` cannot be written, or the disk is full.
    """
    write_bytes(Path(path), encoded(jets, dict(jets.attrs.get(KEY, {}))))


def encoded(jets: ak.Array, facts: dict[str, Any]) -> bytes:
    """Content of a Parquet file of jets, with the record of how they were made."""
    table = _table(jets)
    content = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(content, table.schema.remove_metadata(), **_OPTIONS) as file:
        file.write_table(table)
        file.add_key_value_metadata(_decoded(table.schema) | _metadata(facts))
    return content.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, or leave the former one as it is.

    Raises
    ------
    JetError
        If it cannot be written, or the disk is full.
    """
    with explained(path):
        write_atomic(path, content)


def _metadata(facts: dict[str, Any]) -> dict[str, str]:
    return {KEY: json.dumps(facts), _ATTRS: json.dumps({KEY: facts})} if facts else {}


def _decoded(schema: pa.Schema) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (schema.metadata or {}).items() if key != _ATTRS.encode()}


def _table(jets: ak.Array) -> pa.Table:
    """Jets as the Arrow table of plain types that awkward itself would write.

    `ak.to_arrow_table` gives awkward's own types, which other readers do not know; only `ak.to_parquet` converts them
    to plain ones, and it writes to filesystems only.
    """
    memory, name = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}.parquet"
    try:
        ak.to_parquet(jets, f"memory:/{name}", compression=None)
        return pyarrow.parquet.read_table(io.BytesIO(memory.cat_file(name)))
    finally:
        with suppress(FileNotFoundError):
            memory.rm_file(name)

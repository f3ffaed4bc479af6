"""`stream`: jets of files that are larger than the memory, row group by row group."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from awkward.contents import Content

from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of
from ..jets.nesting import unnest
from .files import suffix_of
from .mapping import JetMapping
from .ranges import Paths, expand
from .stream_columns import Columns
from .stream_file import JetFile
from .stream_files import FileState
from .stream_groups import RowGroup
from .units import check_units, converted, in_gev

__all__ = ["JetStream", "stream"]


def stream(
    files: Paths,
    *,
    labels: Any = None,
    weights: Any = None,
    selection: Any = None,
    jets: str | None = None,
    tree: str = "Events",
    units: str = "GeV",
    mapping: JetMapping | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    shuffle: int = 200_000,
    workers: int = 2,
) -> JetStream:
    """Jets of files that need not fit into the memory, for `coffea_equitag.fit`.

    Row groups of Parquet files and clusters of ROOT files (TTree or RNTuple) are each read once per epoch, in an order
    that is drawn anew for each epoch from the seed of `fit`, and only the columns that are needed. Their jets enter a
    buffer, in which they are shuffled.
    Nothing is read before the stream is used. Write files with row groups of a few thousand jets, in mixed order of the
    classes: row groups of more jets than a quarter of the buffer are read in pieces, one after the other.

    Parameters
    ----------
    files : str, path, or several
        Files of any kind that `read_jets` reads, folders of Parquet files, or patterns.
    labels, weights, selection : optional
        What `fit` takes as `labels`, `weights` and `select`, which need not be given there then: names of fields,
        formulas of them or functions of the jets, as there are no arrays of all jets.
    jets : str, optional
        Event formats: name of the jet collection.
    tree : str
        ROOT: name of the TTree or RNTuple, as for `read_jets`.
    units : {"GeV", "MeV"}
        Units of the files, as for `read_jets`.
    mapping : JetMapping or mapping, optional
        Columns of an ntuple, as for `readers.mapped`; instead of `jets`, `tree` and `units`.
    shuffle : int
        Jets that are shuffled together: larger is more random, and takes more memory. There are at most twice as many
        in memory, in the file's precision.
    workers : int
        Threads that read ahead; 0 reads when a batch is needed.

    Returns
    -------
    JetStream
        Iterating over it gives the jets of each row group, in the order of the files.

    Raises
    ------
    JetError
        If no file is found, or one of an unknown kind; for a buffer without room.

    Examples
    --------
    >>> jets = eqt.readers.stream("jets/*.parquet", labels="label", shuffle=100_000)
    >>> tagger = eqt.fit(model, jets, validation=0.1, out="run")
    """
    check_units(units)
    for name, value, least in (("shuffle", shuffle, 1), ("workers", workers, 0)):
        if value < least:
            raise JetError(explain(f"{name}={value}", f"at least {least}", f"give another {name}"))
    found = expand(files)
    for file in found:
        suffix_of(file, jets)
    return JetStream(found, labels, weights, selection, jets, tree, units, mapping, shuffle, workers)


class JetStream:
    """Jets of files, read when they are needed: see `stream`.

    Attributes
    ----------
    files : list of Path
        The files.
    labels, weights, selection, shuffle, workers
        As given.
    """

    def __init__(
        self,
        files: list[Path],
        labels: Any,
        weights: Any,
        selection: Any,
        jets: str | None,
        tree: str,
        units: str,
        mapping: Any,
        shuffle: int,
        workers: int,
    ) -> None:
        self.files = files
        self.labels, self.weights, self.selection = labels, weights, selection
        self.shuffle, self.workers = shuffle, workers
        self._tree, self._units = tree, units
        self._most = max(1, shuffle // 4)
        self._file_of = {file: JetFile(file, tree, jets, mapping, units) for file in files}

    def __repr__(self) -> str:
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"<JetStream of {self.files[0]}{more}, shuffled {self.shuffle:,} at a time>"

    def __iter__(self) -> Iterator[ak.Array]:
        for group in self.groups:
            yield from self.read(group)

    def asked_for(self, labels: Any, select: Any, weights: Any) -> tuple[Any, Any, Any]:
        """The stream's own labels, selection and weights, and where it has none, those given."""
        own = (self.labels, self.selection, self.weights)
        first, second, third = (
            given if mine is None else mine for mine, given in zip(own, (labels, select, weights), strict=True)
        )
        return first, second, third

    @cached_property
    def states(self) -> dict[Path, FileState]:
        """The files as they were when first looked at."""
        return {file: FileState.of(file) for file in self.files}

    @cached_property
    def groups(self) -> list[RowGroup]:
        """Row groups of all files."""
        self.states  # noqa: B018  what is found from here on belongs to the files as they are now
        return [group for file in self.files for group in self._file_of[file].groups(self._most)]

    @cached_property
    def prototype(self) -> ak.Array:
        """No jets, of the type that those of the first file have."""
        return in_gev(self._file_of[self.files[0]].empty(), self._units)

    @cached_property
    def separate(self) -> bool:
        """Whether fields and momenta of the jets can be read without the constituents."""
        return coordinates_of(self.prototype.fields) is not None and all(f.separate for f in self._file_of.values())

    def read(self, group: RowGroup, columns: Columns | None = None) -> Iterator[ak.Array]:
        """Jets of a row group, in pieces of at most a quarter of the buffer.

        Parameters
        ----------
        group : RowGroup
            One of `groups`.
        columns : Columns, optional
            What is needed of the constituents, which may be left out if the stream is `separate`. Default everything.

        Yields
        ------
        ak.Array
            ``[jet]``, without missing jets.

        Raises
        ------
        JetError
            If the file has changed, or cannot be read.
        """
        state, file = self.states[group.file], self._file_of[group.file]
        state.check(group.file)
        pieces = file.read(group, self._most, columns)
        while True:
            try:
                piece = next(pieces, None)
            finally:
                # a file that is replaced while it is read looks like a damaged one
                state.check(group.file)
            if piece is None:
                return
            _, records = unnest(converted(piece, self._units))
            # without attributes: those of files differ, and would not merge
            yield ak.Array(ak.transform(_without_option, records, highlevel=False), behavior=records.behavior)


def _without_option(layout: Content, **_: object) -> Content | None:
    """Remove an option type where nothing is missing: Parquet's columns have one when they are read one by one."""
    if not layout.is_option:
        return None
    option = layout.to_IndexedOptionArray64()
    if np.any(option.index.data < 0):
        return None
    return ak.to_layout(ak.transform(_without_option, option.project(), highlevel=False))

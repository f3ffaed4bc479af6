"""From the row groups of a stream to labelled jets: those to train on, and those to validate with."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

import awkward as ak
import numpy as np
from awkward.contents import ListOffsetArray, NumpyArray, RecordArray
from awkward.index import Index64

from ...array_types import F8, Bools
from ...errors import JetError
from ...readers import JetStream
from ...readers.stream_columns import Columns
from ...reading import naming
from .labelled_jets import LabelledJets
from .preparation import Preparation, Prepared
from .stream_inventory import Inventory, Tally
from .stream_jets import CompactJets
from .stream_split import HeldOut

__all__ = ["Adjust", "Part", "StreamReader"]

#: Which jets of a stream.
Part = Literal["all", "training", "validation"]

#: Prepared jets, and the part they belong to -> the same with other weights, and how often each is drawn.
Adjust = Callable[[Prepared, Part], tuple[Prepared, F8 | None]]


_Found = TypeVar("_Found")


class _Piece(NamedTuple):
    """Jets of a piece of a row group as they were read, from number `first` of the file on, and those that are used."""

    jets: ak.Array
    prepared: Prepared
    first: int


class StreamReader:
    """Reads jets of a stream.

    Parameters
    ----------
    stream : JetStream
        The files.
    preparation : Preparation
        What is done to the jets.
    n_classes : int
        Number of classes.
    held_out : HeldOut, optional
        Jets to validate with; without it there are only those of "all".

    Attributes
    ----------
    parts : tuple of str
        Which parts of the jets there are.
    adjust : callable
        See `Adjust`; to be set before anything is counted or read.
    """

    def __init__(
        self, stream: JetStream, preparation: Preparation, n_classes: int, held_out: HeldOut | None = None
    ) -> None:
        self.stream, self.n_classes = stream, n_classes
        self.parts: tuple[Part, ...] = ("all",) if held_out is None else ("training", "validation")
        self.adjust: Adjust = lambda prepared, part: (prepared, None)
        self._held_out, self._fields = held_out, preparation.fields
        # jets are prepared without the network's columns, and if possible without any constituents
        self._prepare = replace(preparation, fields=())
        needed = preparation.constituents(stream.prototype)
        self._light = needed.constituents is None and stream.separate
        self._for_counting = Columns(None) if self._light else needed.union(Columns.of(()))
        self._for_training = Columns.of(preparation.fields).union(self._for_counting)
        numbers = {file: number for number, file in enumerate(stream.files)}
        self._file_of = [numbers[group.file] for group in stream.groups]

    def prepared(self) -> Iterator[Prepared]:
        """Jets of the first part, piece by piece, in one pass over all files without the constituents."""

        def of(group: int) -> list[Prepared]:
            return [self._part(piece, group, self.parts[0]) for piece in self._pieces(group, self._for_counting)]

        yield from self._each(of)

    @cached_property
    def inventories(self) -> dict[Part, Inventory]:
        """What each part holds, after one pass over all files without the constituents."""

        def of(group: int) -> list[dict[Part, Tally]]:
            return [
                {
                    part: Tally.of(group, *self.adjust(self._part(piece, group, part), part), self.n_classes)
                    for part in self.parts
                }
                for piece in self._pieces(group, self._for_counting)
            ]

        found = list(self._each(of))
        return {part: Inventory([tallies[part] for tallies in found], self.n_classes) for part in self.parts}

    def read(self, group: int, part: Part) -> Generator[tuple[int, CompactJets, F8 | None]]:
        """Number of each piece of a row group, its jets, and how often they are drawn."""
        for place, piece in enumerate(self._pieces(group, self._for_training)):
            prepared, copies = self.adjust(self._part(piece, group, part), part)
            sample = prepared.sample
            jets = CompactJets(
                jets=ak.to_packed(self._for_training.only(piece.jets)[prepared.index]),
                labels=sample.labels.numpy(),
                weights=sample.weights.numpy(),
                targets={name: target.numpy() for name, target in sample.targets.items()},
                groups=np.full(len(prepared.index), group),
                rows=piece.first + prepared.index,
            )
            yield place, jets, copies

    def labelled(self, jets: CompactJets) -> LabelledJets:
        """Jets as a batch.

        Raises
        ------
        JetError
            If a jet cannot be used, with its place in its file.
        """
        try:
            return jets.labelled(self._fields)
        except JetError:
            jet, error = jets.faulty(self._fields)
            group = self.stream.groups[int(jets.groups[jet])]
            raise JetError(f"{group.file}, jet {jets.rows[jet]} (here jet 0): {error}") from error

    def _each(self, function: Callable[[int], list[_Found]]) -> Iterator[_Found]:
        """What a function finds in the pieces of each row group."""
        groups = range(len(self.stream.groups))
        if self.stream.workers == 0:
            for group in groups:
                yield from function(group)
            return
        with ThreadPoolExecutor(self.stream.workers) as pool:
            for found in pool.map(function, groups):
                yield from found

    def _part(self, piece: _Piece, group: int, part: Part) -> Prepared:
        chosen = self._of(part, group, piece)
        return piece.prepared if chosen.all() else piece.prepared.select(np.flatnonzero(chosen))

    def _of(self, part: Part, group: int, piece: _Piece) -> Bools:
        if self._held_out is None:
            return np.ones(len(piece.prepared.index), dtype=bool)
        rows = piece.first + piece.prepared.index
        held_out = self._held_out(self._file_of[group], rows, piece.prepared.events)
        return held_out if part == "validation" else ~held_out

    def _pieces(self, group: int, columns: Columns) -> Iterator[_Piece]:
        rows = self.stream.groups[group]
        first = rows.start
        for jets in self.stream.read(rows, columns):
            with naming(f"{rows.file}, from jet {first} on"):
                prepared = self._prepare(_without_constituents(jets) if self._light else jets)
            yield _Piece(jets, prepared, first)
            first += len(jets)


def _without_constituents(jets: ak.Array) -> ak.Array:
    """The jets with no constituents."""
    empty = RecordArray([NumpyArray(np.zeros(0))] * 4, ["px", "py", "pz", "E"])
    lists = ListOffsetArray(Index64(np.zeros(len(jets) + 1, dtype=np.int64)), empty)
    return ak.with_field(jets, ak.Array(lists), "constituents")

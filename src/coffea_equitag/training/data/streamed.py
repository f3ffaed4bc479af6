"""Batches of jets that do not fit into the memory."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np

from ...array_types import F8, I8
from ...errors import JetError, SampleWarning, explain
from ...read_ahead import read_ahead
from .labelled_jets import LabelledJets
from .resampling import resampled
from .stream_ahead import ReadAhead
from .stream_inventory import generator_of
from .stream_jets import CompactJets
from .stream_order import StreamOrder
from .stream_reader import Part, StreamReader

__all__ = ["Streamed"]

#: Jets that are made ready together: enough that awkward's time per call does not matter.
_READY = 4096

#: Share of jets in blocks of other classes than all jets have, from which on there is a warning.
_APART = 0.2


class Streamed:
    """A `Source` over the row groups of files: see `readers.stream`.

    An epoch reads the row groups in random order into blocks of at most `shuffle` jets, whose jets are shuffled; while
    one block is used up, the next one is read. As the sizes of all row groups are known, it is also known which of
    them hold the jets of a batch: an epoch can begin at any batch, without reading the row groups before its block.

    Parameters
    ----------
    reader : StreamReader
        Reads the jets.
    part : {"all", "training", "validation"}
        Which of them.
    batch_size, seed, pool : int
        As in `Batches`, except that batches are put in another order within their pool only.
    """

    def __init__(self, reader: StreamReader, part: Part, *, batch_size: int = 1, seed: int = 0, pool: int = 0) -> None:
        self._reader, self._part, self._stream = reader, part, reader.stream
        self._inventory = reader.inventories[part]
        self._batch_size, self._seed, self._pool = batch_size, seed, pool
        ready = min(_READY, self._stream.shuffle // 4)
        self._window = batch_size * (pool or max(1, ready // batch_size))
        groups = self._inventory.groups
        self._order = StreamOrder(groups, self._stream.shuffle, seed)
        #: Place of each piece in its row group
        self._places = np.arange(len(groups)) - np.searchsorted(groups, groups)
        self._kept: list[CompactJets] | None = None

    @property
    def numbers(self) -> I8:
        """Jets per class, shape (n_classes,)."""
        return self._inventory.numbers

    @property
    def weight_sums(self) -> F8:
        """Sum of the jets' weights per class, shape (n_classes,)."""
        return self._inventory.weight_sums

    @property
    def pt_range(self) -> tuple[float, float]:
        """Lowest and highest jet pT in GeV, rounded outwards to three digits."""
        return self._inventory.pt_range

    @property
    def description(self) -> str:
        """Where the jets come from, for the card."""
        files = self._stream.files
        names = files[0].name if len(files) == 1 else f"{files[0].name} to {files[-1].name}"
        return f"{len(files)} file{'s' if len(files) > 1 else ''}, {names}, sha256 {self.record['sha256'][:16]}"

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of the jets.

        ``sha256`` is that of labels, weights and momenta of all jets, of the row groups, and of the files'
        fingerprints (see `FileState`), which stand for the constituents; these are also there by name.
        """
        prints = {file: self._stream.states[file].fingerprint for file in self._stream.files}
        digest = hashlib.sha256(self._inventory.digest + "".join(prints.values()).encode())
        return {
            "number": int(self.numbers.sum()),
            "sha256": digest.hexdigest(),
            "shuffle": self._stream.shuffle,
            "files": {file.name: fingerprint[:16] for file, fingerprint in prints.items()},
        }

    def warn(self) -> None:
        """Warn of jets that are shuffled together with few of other classes.

        Warns
        -----
        SampleWarning
            If the classes of a block's jets are on average by more than a fifth not those of all jets, as with blocks
            of one or two row groups, each of a single class.
        """
        tallies, apart = self._inventory.tallies, 0.0
        shares = self.numbers / max(1, self.numbers.sum())
        for block in self._order.blocks(0, self._inventory.sizes):
            numbers = sum((tallies[piece].numbers for piece in block.pieces), np.zeros(len(shares)))
            apart += 0.5 * np.abs(numbers - block.size * shares).sum()
        apart /= max(1, self.numbers.sum())
        if apart > _APART:
            warnings.warn(
                explain(
                    f"{self._stream}: on average {100 * apart:.0f}% of jets are shuffled with jets of their own class "
                    "in place of others",
                    "row groups in which the classes are mixed, or a buffer of many row groups",
                    "give a larger shuffle=..., or write files with smaller row groups or in mixed order",
                ),
                SampleWarning,
                stacklevel=2,
            )

    @property
    def left_out(self) -> dict[str, int]:
        """Reason -> number of jets that were left out for it."""
        return self._inventory.left_out

    def num_batches(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return -(-int(self._inventory.drawn(self._seed, epoch).sum()) // self._batch_size)

    def batches(self, epoch: int, first: int = 0) -> Iterator[LabelledJets]:
        """The batches of an epoch, from number `first` on."""
        window = first * self._batch_size // self._window
        done = window * self._window // self._batch_size
        with closing(self._ahead(self._windows(epoch, window))) as windows:
            for number, sample in enumerate(windows, window):
                for batch in self._cut(sample, epoch, number):
                    if done >= first:
                        yield batch
                    done += 1

    def chunks(self) -> Iterator[LabelledJets]:
        """All jets once, in the order of the files; kept after the first time, if they are not more than the buffer."""
        if self._kept is not None:
            yield from map(self._reader.labelled, self._kept)
            return
        kept: list[CompactJets] | None = [] if self._inventory.sizes.sum() <= self._stream.shuffle else None
        with closing(self._ahead(self._in_order(kept))) as chunks:
            yield from chunks
        self._kept = kept

    def probe(self, number: int) -> LabelledJets:
        """At most `number` of the jets, spread over all of them."""
        ends = np.cumsum(self._inventory.sizes)
        pieces = np.unique(np.searchsorted(ends, np.linspace(0, ends[-1] - 1, min(4, number)), side="right"))
        found = []
        for jets in (task() for _, task in self._tasks(pieces.tolist(), None)):
            places = np.linspace(0, len(jets) - 1, min(len(jets), -(-number // len(pieces))))
            found.append(jets.take(places.astype(np.int64)))
        jets = CompactJets.join(found)
        return self._reader.labelled(jets.take(np.arange(min(number, len(jets)))))

    def _cut(self, sample: LabelledJets, epoch: int, window: int) -> Iterator[LabelledJets]:
        """Batches of a window."""
        size = len(sample.labels)
        firsts = np.arange(0, size, self._batch_size)
        if self._pool:
            sample = sample.select(np.argsort(sample.jets.counts.numpy(), kind="stable"))
            # the smaller batch at the end stays there, so that all others are full
            whole = size // self._batch_size
            order = np.random.default_rng([self._seed, epoch, window, self._pool]).permutation(whole)
            firsts[:whole] = firsts[:whole][order]
        for first in firsts.tolist():
            yield sample.slice(first, min(first + self._batch_size, size))

    def _ahead(self, items: Generator[LabelledJets]) -> Generator[LabelledJets]:
        return read_ahead(items, 1) if self._stream.workers else items

    def _windows(self, epoch: int, first: int) -> Generator[LabelledJets]:
        """Windows of an epoch, from number `first` on."""
        start = first * self._window
        blocks = self._order.blocks(epoch, self._inventory.drawn(self._seed, epoch))
        blocks = [block for block in blocks if block.first + block.size > start]
        pieces = [piece for block in blocks for piece in block.pieces.tolist()]
        waiting: list[CompactJets] = []
        with ReadAhead(self._tasks(pieces, epoch), self._stream.workers) as ahead:
            for block, later in zip(blocks, [*blocks, None][1:], strict=True):
                jets = CompactJets.join([ahead.next() for _ in block.pieces])
                order = self._order.shuffled(epoch, block)[max(0, start - block.first) :]
                total = len(order)
                while len(order):
                    room = self._window - sum(map(len, waiting))
                    waiting.append(jets.take(order[:room]))
                    order = order[room:]
                    if len(waiting[-1]) == room or (later is None and not len(order)):
                        yield self._reader.labelled(CompactJets.join(waiting))
                        waiting = []
                    if later is not None:
                        # read the next block as fast as this one is used up
                        ahead.begin(len(later.pieces) * (total - len(order)) // total)
                del jets

    def _in_order(self, kept: list[CompactJets] | None) -> Generator[LabelledJets]:
        """All jets in the order of the files."""
        pieces = np.flatnonzero(self._inventory.sizes).tolist()
        waiting: list[CompactJets] = []
        with ReadAhead(self._tasks(pieces, None), self._stream.workers) as ahead:
            for piece in pieces:
                waiting.append(ahead.next())
                if sum(map(len, waiting)) >= _READY or piece == pieces[-1]:
                    jets = CompactJets.join(waiting)
                    if kept is not None:
                        kept.append(jets)
                    yield self._reader.labelled(jets)
                    waiting = []

    def _tasks(self, pieces: Iterable[int], epoch: int | None) -> Iterator[tuple[int, Callable[[], CompactJets]]]:
        """What reads each piece, and its row group: pieces of the same one are read by the same reader, in turn.

        In an epoch jets are drawn as often as they should be, else each once.
        """
        group, reading = -1, None
        for piece in pieces:
            if reading is None or group != self._inventory.groups[piece]:
                group = int(self._inventory.groups[piece])
                reading = self._reader.read(group, self._part)
            yield group, partial(self._read, piece, reading, epoch)

    def _read(
        self, piece: int, reading: Generator[tuple[int, CompactJets, F8 | None]], epoch: int | None
    ) -> CompactJets:
        """The jets of a piece, from a reader that has not got beyond it."""
        sizes, groups = self._inventory.sizes, self._inventory.groups
        found = next((found for found in reading if found[0] == self._places[piece]), None)
        if found is None or len(found[1]) != sizes[piece]:
            number, group = 0 if found is None else len(found[1]), self._stream.groups[int(groups[piece])]
            raise JetError(
                explain(
                    f"{group}: {number} jets, which were {sizes[piece]} before",
                    "files that stay as they are while they are read, and selections that depend on the jets alone",
                    "put the former file back and run again to resume, or start over (resume=False, --restart)",
                )
            )
        if piece + 1 == len(groups) or groups[piece + 1] != groups[piece]:
            reading.close()
        _, jets, copies = found
        if copies is None or epoch is None:
            return jets
        return jets.take(resampled(copies, generator_of(self._seed, epoch, piece)))

"""Score the jets of files and write the scores beside the original branches, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import torch

from ..array_types import AnyArray
from ..read_ahead import read_ahead
from ..reading import reading
from .branches import BranchLayout
from .event_output import check_written, open_output
from .event_source import EventSource, open_events
from .options import ScoringOptions
from .score_columns import JetScorer
from .scorer import Reader, Scorer, check_aligned
from .source import Source, check_lists, check_same, check_whole, open_root, ranges

__all__ = ["Written", "common_layout", "input_layout", "write_scores"]


@dataclass(frozen=True)
class Written:
    """What was written: events, jets, those of them without a score; branches and objects that were not copied."""

    events: int
    jets: int
    unscored: int
    not_copied: tuple[str, ...]


@dataclass(frozen=True)
class _Chunk:
    """What was read of a range of events: jets, branches that are copied, and the number of jets if a branch has it."""

    start: int
    stop: int
    jets: ak.Array
    arrays: dict[str, ak.Array]
    counts: AnyArray | None


def input_layout(source: Source, options: ScoringOptions, new: Iterable[str]) -> tuple[BranchLayout, int]:
    """The branches of a file that are copied, and its number of events; refuses what cannot be scored."""
    with open_root(source) as file, reading(source, "a ROOT file"):
        check_whole(file)
        events = open_events(file, source, options, new)
        return events.layout(), int(events.tree.num_entries)


def common_layout(sources: Sequence[Source], options: ScoringOptions, new: Iterable[str]) -> tuple[BranchLayout, int]:
    """The branches of all files, and their number of events; refuses files that differ."""
    first, total = input_layout(sources[0], options, new)
    for source in sources[1:]:
        layout, events = input_layout(source, options, new)
        check_same(layout, first, source)
        total += events
    return first, total


def write_scores(
    model: JetScorer,
    sources: Sequence[Source],
    path: Path,
    layout: BranchLayout,
    options: ScoringOptions,
    reader: Reader | None = None,
    advance: Callable[[int], None] = lambda events: None,
) -> Written:
    """Write the events of files with the same branches, and their scores, to a new file.

    Parameters
    ----------
    model : JetScorer
        The tagger.
    sources : sequence of path-like
        The files.
    path : Path
        The file to write; it has no other readers before this function returns.
    layout : BranchLayout
        Branches to copy.
    options : ScoringOptions
        What to write.
    reader : callable, optional
        ``(events, collection) -> jets``.
    advance : callable
        Is told the number of events of each chunk that is done.
    """
    new = options.new_branches(model)
    rows = num_jets = unscored = 0
    with open_output(path, options, layout.with_columns(options.counter, new), new, alone=len(sources) == 1) as output:
        for source in sources:
            with open_root(source) as file:
                with reading(source, "a ROOT file"):
                    events = open_events(file, source, options, new)
                scorer = Scorer(model, events, source, options, reader)
                with closing(_overlapped(_chunks(scorer, events, source, layout, options))) as chunks:
                    for chunk in chunks:
                        scores = scorer(chunk.jets)
                        first = next(iter(scores.values()))
                        counts = ak.to_numpy(ak.num(first, axis=1)) if chunk.counts is None else chunk.counts
                        with reading(source, "a ROOT file"):
                            check_aligned(scores, counts, options.jets, chunk.start)
                        unscored += int(ak.sum(ak.is_none(first, axis=1)))
                        output.extend(chunk.arrays, scores)
                        events_done = chunk.stop - chunk.start
                        rows, num_jets = rows + events_done, num_jets + int(counts.sum())
                        advance(events_done)
                output.others.copy(file)
        others = tuple(dict.fromkeys(output.others.not_copied))
    check_written(path, options, rows, num_jets)
    dropped = tuple(f"{options.tree}/{branch} ({kind})" for branch, kind in layout.dropped.items())
    return Written(rows, num_jets, unscored, dropped + others)


def _chunks(
    scorer: Scorer, events: EventSource, source: Source, layout: BranchLayout, options: ScoringOptions
) -> Generator[_Chunk]:
    """All of a file, range by range; everything that is read of it is read here."""
    for start, stop in ranges(events.tree, options.chunk_size):
        jets = scorer.read(start, stop)
        with reading(source, "a ROOT file"):
            arrays = events.read(layout.names, start, stop)
            counts = events.counts(start, stop)
            check_lists(arrays, layout)
        yield _Chunk(start, stop, jets, arrays, counts)


def _overlapped(chunks: Generator[_Chunk]) -> Generator[_Chunk]:
    """Chunks that are read while earlier ones are scored and written, where there is more than one core or a GPU."""
    overlaps = torch.get_num_threads() > 1 or torch.cuda.is_available()
    return read_ahead(chunks, 1) if overlaps else chunks

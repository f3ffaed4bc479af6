"""Score the jets of ROOT files and write the scores beside the original branches."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from coffea.nanoevents import NanoEventsFactory

from ..array_types import AnyArray
from ..atomic_file import atomic_file
from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of
from ..reading import naming, reading
from ..schema import QuietPFNano
from .branches import BranchLayout, TreeWriter, branch_layout
from .other_objects import OtherObjects
from .score_columns import JetScorer, TaggerLike, default_reader, name_of, resolve, score_columns, score_names
from .source import Source, check_names, check_paths, check_same, event_tree, open_root, ranges, read

__all__ = ["ScoringReport", "score_file"]

Reader = Callable[[ak.Array, str], ak.Array]


@dataclass(frozen=True)
class ScoringReport:
    """Summary of `score_file`.

    Attributes
    ----------
    events, jets : int
        Events and jets written.
    unscored : int
        How many of the `jets` have no score, which is NaN in the file: their candidates are not stored.
    seconds : float
        Wall-clock time.
    output : Path
        The file.
    branches : tuple of str
        The new branches.
    not_copied : tuple of str
        Branches and objects in the source that uproot cannot write, with their types.
    """

    events: int
    jets: int
    unscored: int
    seconds: float
    output: Path
    branches: tuple[str, ...]
    not_copied: tuple[str, ...]


def score_file(
    tagger: TaggerLike,
    source: Source | Sequence[Source],
    output: Source,
    *,
    jets: str = "FatJet",
    name: str | None = None,
    tree: str = "Events",
    branches: Iterable[str] | None = None,
    chunk_size: int | str = "100 MB",
    overwrite: bool = False,
    progress: bool = True,
    device: str | None = None,
    reader: Reader | None = None,
) -> ScoringReport:
    """Score the jets of a NanoAOD-like file, and write its branches and the scores to a new file.

    The file is read and written in chunks, under a temporary name until it is complete and its events have been
    counted. Jagged counters become int32, as in NanoAOD since v12.

    Parameters
    ----------
    tagger : Tagger, path or str
        The tagger, its folder, or a name from the zoo.
    source : path-like or sequence of them
        ROOT file or files with the same branches; several are concatenated in order.
    output : path-like
        The file to write.
    jets : str
        Jet collection; the scores share its counter.
    name : str, optional
        Scores are called ``<jets>_<name>``, followed by ``_<class>`` for more than two classes. Default the tagger's
        name.
    tree : str
        Name of the tree of events.
    branches : iterable of str, optional
        Glob patterns of branches to keep (event numbers always are); default all.
    chunk_size : int or str
        Events in memory at once, or their uncompressed size. Scores do not depend on it.
    overwrite : bool
        Replace an existing output.
    progress : bool
        Show a progress bar on standard error.
    device : str, optional
        Device for a tagger given by path; default the GPU if there is one.
    reader : callable, optional
        ``(events, collection) -> jets``; default `coffea_equitag.readers.nanoaod`.

    Returns
    -------
    ScoringReport

    Raises
    ------
    JetError
        If files, trees, branches or options are invalid; no output is left behind.
    """
    started = time.perf_counter()
    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    output = Path(output)
    check_paths(sources, output, overwrite)
    model = resolve(tagger, device)
    names = score_names(name if name is not None else name_of(model), model.classes)
    origin = f"tagger {name_of(model)} {getattr(model, 'content_hash', '')[:12]}".rstrip()
    new = {f"{jets}_{column}": f"{column}: {origin}" for column in names}
    check_names(new)
    counter = "n" + jets
    layout = _common_layout(sources, tree, jets, new, branches)
    with atomic_file(output) as partial:
        with uproot.recreate(partial, compression=uproot.ZSTD(3)) as target:
            writer = TreeWriter(target, tree, tree, layout)
            rows, num_jets, unscored, others = 0, 0, 0, OtherObjects(target, tree, alone=len(sources) == 1)
            for path in sources:
                with open_root(path) as file:
                    with reading(path, "a ROOT file"):
                        events = event_tree(file, path, tree, jets, new)
                    scorer = _Scorer(model, file, path, tree, jets, names, reader)
                    for start, stop in ranges(events, chunk_size, progress, os.path.basename(path)):
                        kept = [name for name in layout.names if name not in new]
                        scores = scorer(start, stop)
                        with reading(path, "a ROOT file"):
                            arrays = read(events, kept, start, stop)
                            counts = events[counter].array(entry_start=start, entry_stop=stop, library="np")
                            _check_aligned(scores, counts, jets, start)
                        missing = next(iter(scores.values()))
                        unscored += int(ak.sum(ak.is_none(missing, axis=1)))
                        writer.extend({**arrays, **{k: _filled(column) for k, column in scores.items()}})
                        rows, num_jets = rows + stop - start, num_jets + int(counts.sum())
                    others.copy(file)
        _check_written(partial, tree, counter, rows, num_jets)
    left_out = tuple(f"{tree}/{branch} ({kind})" for branch, kind in layout.dropped.items())
    return ScoringReport(
        events=rows,
        jets=num_jets,
        unscored=unscored,
        seconds=time.perf_counter() - started,
        output=output,
        branches=tuple(new),
        not_copied=left_out + tuple(dict.fromkeys(others.not_copied)),
    )


def _common_layout(
    sources: Sequence[Source], tree: str, jets: str, new: Mapping[str, str], branches: Iterable[str] | None
) -> BranchLayout:
    """The branches of all files and the new ones; refuses files that differ before anything is written."""
    found: BranchLayout | None = None
    for path in sources:
        with open_root(path) as file, reading(path, "a ROOT file"):
            layout = branch_layout(event_tree(file, path, tree, jets, new), branches).with_columns("n" + jets, new)
        check_same(layout, found := found or layout, path)
    assert found is not None  # check_paths has refused an empty list
    return found


class _Scorer:
    """Scores of a range of events, one ``[event][jet]`` array per new branch."""

    def __init__(
        self,
        model: JetScorer,
        file: Any,
        source: Source,
        tree: str,
        jets: str,
        names: dict[str, str | None],
        reader: Reader | None,
    ) -> None:
        self.model, self.file, self.source = model, file, source
        self.tree, self.jets, self.names = tree, jets, names
        self.options: dict[str, Any] = {}
        self.reader_is_ours = reader is None
        if reader is None:
            reader = default_reader([model])
            # the form of 1800 branches takes half a second per chunk, that of the jets' alone a tenth of it
            self.options = {"filter_name": [f"n{jets}", f"{jets}_*", "*PFCand*", "run", "event"]}
        self.reader = reader

    def __call__(self, start: int, stop: int) -> dict[str, ak.Array]:
        with reading(self.source, "a ROOT file"):
            events = self._events(start, stop)
        # any exception of our own reader comes from the file; one of the caller's reader is the caller's
        with reading(self.source, "a ROOT file") if self.reader_is_ours else naming(self.source):
            jets = self._jets(events)
        with naming(self.source):
            scores = self.model(jets)
        return {f"{self.jets}_{name}": column for name, column in score_columns(scores, self.names).items()}

    def _events(self, start: int, stop: int) -> ak.Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # on columns of other collections
            return NanoEventsFactory.from_root(
                self.file,
                treepath=self.tree,
                entry_start=start,
                entry_stop=stop,
                schemaclass=QuietPFNano,
                iteritems_options=self.options,
            ).events()

    def _jets(self, events: ak.Array) -> ak.Array:
        """Jets of the events; what a tagger needs of them is in memory."""
        jets = self.reader(events, self.jets)
        for name in ("constituents", *(coordinates_of(jets.fields) or {}).values()):
            if name in jets.fields:
                ak.materialize(jets[name])
        return jets


def _check_aligned(scores: dict[str, ak.Array], counts: AnyArray, jets: str, start: int) -> None:
    for name, column in scores.items():
        if len(column) != len(counts) or not np.array_equal(ak.to_numpy(ak.num(column, axis=1)), counts):
            raise JetError(
                explain(
                    f"{name}: scores of {ak.count(column, axis=None)} jets for {int(counts.sum())} {jets} "
                    f"(events from {start})",
                    f"one score for each {jets}",
                    "let the reader return all jets of the collection, in their order",
                )
            )


def _filled(column: ak.Array) -> ak.Array:
    return ak.values_astype(ak.fill_none(column, np.float32(np.nan), axis=-1), np.float32)


def _check_written(path: Path, tree: str, counter: str, rows: int, num_jets: int) -> None:
    """Compare events and jets in the closed file with those written."""
    with uproot.open({str(path): None}) as file:
        written = file[tree].num_entries
        jets = int(file[tree][counter].array(library="np").sum()) if rows else 0
    if (written, jets) != (rows, num_jets):
        raise JetError(
            explain(
                f"{written} events and {jets} jets were written of {rows} and {num_jets}",
                "all events and jets in the file",
                "check the disk's free space and write again",
            )
        )

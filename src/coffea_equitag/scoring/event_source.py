"""Events of one file, range by range: NanoAOD, whose branches are copied, and formats of which friends are written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents import NanoEventsFactory

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..readers.event_columns import EVENT_BRANCHES
from ..readers.formats import FORMATS, NANOAOD, Format, format_of_file
from .branches import BranchLayout, branch_layout
from .options import ScoringOptions
from .source import TREES, Source, event_tree, read

__all__ = ["EventSource", "open_events"]

#: What identifies an event beside the scores in a file of another format.
_IDENTIFIERS = ("run", "event")


class EventSource:
    """Events of a NanoAOD-like file.

    Parameters
    ----------
    file : uproot ReadOnlyDirectory
        The file.
    tree : uproot TTree or RNTuple
        Its events.
    options : ScoringOptions
        The jets, and the branches that are copied.
    """

    #: How coffea opens the file.
    known: Format = NANOAOD

    def __init__(self, file: Any, tree: Any, options: ScoringOptions) -> None:
        self.file, self.tree, self.options = file, tree, options

    def layout(self) -> BranchLayout:
        """Branches that are copied."""
        return branch_layout(self.tree, self.options.patterns)

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        """Branches that are copied, in a range of entries."""
        return read(self.tree, names, start, stop)

    def counts(self, start: int, stop: int) -> AnyArray | None:
        """Number of jets in each event, as the file has it; None if it does not."""
        found: AnyArray = ak.to_numpy(self.tree[self.options.counter].array(entry_start=start, entry_stop=stop))
        return found

    def events(self, start: int, stop: int, **columns: Any) -> ak.Array:
        """NanoEvents of a range of entries; `columns` are options of uproot that restrict their columns."""
        branches = list(self.tree.keys(recursive=self.known is not NANOAOD))
        schema, options = self.known.opened_by(branches)
        if columns:
            options = {**options, "iteritems_options": columns}
        with warnings.catch_warnings():
            # on columns of other collections
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module=r"coffea\.")
            return NanoEventsFactory.from_root(
                self.file, treepath=self.tree.name, entry_start=start, entry_stop=stop, schemaclass=schema, **options
            ).events()


class _FriendSource(EventSource):
    """Events of another format: entry, identifiers and scores are written."""

    def __init__(self, file: Any, tree: Any, options: ScoringOptions, known: Format) -> None:
        super().__init__(file, tree, options)
        self.known = known
        ends = {str(branch).rpartition("/")[2]: branch for branch in list(tree.keys())}
        branches = EVENT_BRANCHES.get(known.name, {})
        self._names = {name: ends[branches[name]] for name in _IDENTIFIERS if branches.get(name) in ends}

    def layout(self) -> BranchLayout:
        kinds = dict.fromkeys(("entry", *self._names), np.dtype(np.int64))
        return BranchLayout(flat=kinds, titles={"entry": "position in the file"})

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        found = {"entry": ak.Array(np.arange(start, stop))}
        for name, branch in self._names.items():
            column = self.tree[branch].array(entry_start=start, entry_stop=stop)
            # headers of events are lists of one
            found[name] = ak.values_astype(column if column.ndim == 1 else column[:, 0], np.int64)
        return found

    def counts(self, start: int, stop: int) -> None:
        """No branch has them."""


def open_events(file: Any, source: Source, options: ScoringOptions, new: Iterable[str]) -> EventSource:
    """Find the events of a file.

    Raises
    ------
    JetError
        If there are none, they lack the jets or have the new branches, or are of a format whose branches cannot be
        copied and no friend is asked for.
    """
    name, known = _format_in(file, options.tree)
    if known is None:
        return EventSource(file, event_tree(file, source, options.tree, options.jets, new), options)
    if not options.friend:
        raise JetError(
            explain(
                f"{source}, which is {known.name}: its branches are objects that cannot be copied",
                "NanoAOD, or scores and event identifiers alone",
                "write friends: friend=True (--friend)",
            )
        )
    found = _FriendSource(file, file[name], options, known)
    if found.tree.num_entries:
        known.reader(found.events(0, 1), options.jets)  # the collection, and what it lacks
    return found


def _format_in(file: Any, tree: str) -> tuple[str, Format | None]:
    """The tree of events, or that of a format whose name is usual, and the format; None for NanoAOD."""
    keys = [key for key in dict.fromkeys(file.keys(cycle=False)) if file.classname_of(key) in TREES]
    usual = [known.tree for known in FORMATS] if tree == NANOAOD.tree else []
    for name in (tree, *usual):
        if name in keys:
            found = file[name]
            return name, format_of_file(list(found.keys(recursive=not hasattr(found, "to_akform"))))
    return tree, None

"""ROOT files to score: open them, find their trees and read these in ranges, with every error explained."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import rich.progress
import uproot
from rich.console import Console

from ..atomic_file import is_same_file
from ..errors import JetError, explain
from ..reading import reading
from .branches import BranchLayout

__all__ = ["Source", "check_names", "check_paths", "check_same", "event_tree", "open_root", "ranges", "read"]

Source: TypeAlias = str | os.PathLike[str]

#: A size of memory as uproot reads it.
_SIZE = re.compile(r"\s*(?=.*[1-9])\d*\.?\d*(e[+-]?\d+)?\s*([kmgtpezy]?i?b)\s*", re.IGNORECASE)


def check_paths(sources: Sequence[Source], output: Path, overwrite: bool) -> None:
    """Refuse missing inputs, and outputs that would overwrite something."""
    if not sources:
        raise JetError(explain("no file to score", "at least one ROOT file", "give its path"))
    for source in sources:
        is_url = "://" in str(source) or str(source).startswith(("file:", "local:"))
        if not is_url and not Path(source).is_file():
            raise JetError(explain(f"no file {source}", "a ROOT file", "check the path"))
        if is_same_file(source, output):
            raise JetError(
                explain(f"output and input are the same file, {output}", "two files", "choose another output")
            )
    if output.suffix != ".root":
        raise JetError(
            explain(f"an output named {output.name}", "a name that ends in .root", f"name it {output.stem}.root")
        )
    if output.exists() and not overwrite:
        raise JetError(
            explain(f"{output} already exists", "a new file", "choose another name, or overwrite it (--overwrite)")
        )
    if not output.parent.is_dir():
        raise JetError(explain(f"no folder {output.parent}", "an existing folder", f"mkdir -p {output.parent}"))


def check_names(branches: Iterable[str]) -> None:
    """Refuse names that NanoEvents could not use for a field."""
    for name in branches:
        if not name.isidentifier():
            raise JetError(
                explain(f"scores called {name!r}", "letters, digits and underscores", "give another name= (--name)")
            )


@contextmanager
def open_root(source: Source) -> Iterator[Any]:
    """Open a ROOT file; JetError if it is not one."""
    with reading(source, "a ROOT file"):  # fsspec names a missing package, e.g. fsspec-xrootd for root://
        file = uproot.open({os.fspath(source): None})
    with file:
        yield file


def event_tree(file: Any, source: Source, tree: str, jets: str, new: Iterable[str]) -> Any:
    """Find the tree of events, which must have the jets but not yet the new branches."""
    if tree not in (found := dict.fromkeys(file.keys(cycle=False))) or file.classname_of(tree) != "TTree":
        trees = [key for key in found if file.classname_of(key) == "TTree"]
        given, remedy = f"{source} without a TTree '{tree}'", "name it with tree= (--tree)"
        if tree in found:
            given = f"'{tree}' of {source} is of class {file.classname_of(tree)}"
            remedy = "read its jets with coffea_equitag.read_jets or coffea's NanoEvents, and score them"
        raise JetError(explain(given, f"one of its trees: {', '.join(trees) or 'it has none'}", remedy))
    events = file[tree]
    present = set(events.keys(recursive=False))
    if "n" + jets not in present:
        counters = sorted(name[1:] for name in present if name.startswith("n") and name.endswith("Jet"))
        raise JetError(
            explain(
                f"{source} without a collection '{jets}' (no branch n{jets})",
                f"a jet collection of the file: {', '.join(counters) or 'it has none'}",
                "name it with jets= (--jets)",
            )
        )
    for name in new:
        if name in present:
            raise JetError(
                explain(f"{source} already has a branch {name}", "a new name", "choose another with name= (--name)")
            )
    return events


def check_same(layout: BranchLayout, first: BranchLayout, source: object) -> None:
    """Refuse a file whose branches differ from those of the first."""
    if layout != first:
        ours, theirs = set(layout.names), set(first.names)
        differ = sorted(ours ^ theirs) or ["types of branches"]
        more = ", ..." if len(differ) > 5 else ""
        raise JetError(
            explain(
                f"{source} differs from the first file: {', '.join(differ[:5])}{more}",
                "files with the same branches",
                "keep only common branches (branches=, --keep), or score the files one by one",
            )
        )


def ranges(tree: Any, chunk_size: int | str, progress: bool, label: str) -> Iterator[tuple[int, int]]:
    """Ranges of entries, with a progress bar."""
    step = _step(tree, chunk_size)
    with rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.MofNCompleteColumn(),
        console=Console(stderr=True),
        disable=not progress,
    ) as bar:
        task = bar.add_task(label, total=tree.num_entries)
        for start in range(0, tree.num_entries, step):
            stop = min(start + step, tree.num_entries)
            yield start, stop
            bar.update(task, completed=stop)


def _step(tree: Any, chunk_size: int | str) -> int:
    """Entries per chunk."""
    is_size = isinstance(chunk_size, str) and _SIZE.fullmatch(chunk_size)
    if not is_size and (isinstance(chunk_size, str) or chunk_size < 1):
        expected = "a number of events >= 1, or a size like '100 MB'"
        raise JetError(explain(f"chunk_size={chunk_size!r}", expected, "use one of these"))
    if not is_size:
        return int(chunk_size)
    with reading(tree.file.file_path, "a ROOT file"):
        return max(1, int(tree.num_entries_for(chunk_size))) if tree.num_entries else 1


def read(tree: Any, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
    """Read branches in a range of entries.

    Raises
    ------
    JetError
        If a branch has fewer.
    """
    wanted = set(names)
    arrays: dict[str, ak.Array] = tree.arrays(
        filter_branch=lambda branch: branch.name in wanted, entry_start=start, entry_stop=stop, how=dict
    )
    for name, column in arrays.items():
        if len(column) != stop - start:
            raise JetError(
                explain(
                    f"branch {name} has {len(column)} of the entries {start} to {stop}",
                    f"every branch of '{tree.name}' filled as often",
                    "restore the file from its original, or leave the branch out (branches=, --keep)",
                )
            )
    return arrays

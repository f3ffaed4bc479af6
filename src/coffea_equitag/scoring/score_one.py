"""Score files into a single file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic_file import atomic_file, is_same_file
from ..errors import JetError, explain
from ..tagger.discriminant import Discriminants
from .gathered_warnings import gathered_warnings
from .inputs import find_inputs
from .options import SUFFIXES, Format, ScoringOptions
from .progress_bar import progress_bar
from .score_columns import TaggerLike, resolve
from .scorer import Reader
from .source import Source
from .stream import common_layout, write_scores

__all__ = ["ScoringReport", "score_file"]


@dataclass(frozen=True)
class ScoringReport:
    """Summary of `score_file`.

    Attributes
    ----------
    events, jets : int
        Events and jets written.
    unscored : int
        How many of the `jets` have no score (NaN, in Parquet null): their candidates are not stored.
    seconds : float
        Wall-clock time.
    output : Path
        The file.
    branches : tuple of str
        The new branches.
    not_copied : tuple of str
        Branches and objects in the source that cannot be written, with their types.
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
    format: Format | None = None,
    friend: bool = False,
    discriminants: Discriminants | None = None,
) -> ScoringReport:
    """Score the jets of a NanoAOD-like file, and write its branches and the scores to a new file.

    The file is read and written in chunks, under a temporary name until it is complete and its events have been
    counted. Jagged counters become int32, as in NanoAOD since v12.

    Parameters
    ----------
    tagger : Tagger, path or str
        The tagger, its folder, or a name from the zoo.
    source : path-like or sequence of them
        ROOT file or files with the same branches, as TTrees or RNTuples; several are concatenated in order. Patterns,
        folders, lists and URLs as for `score_files`.
    output : path-like
        The file to write, ``.root`` or ``.parquet``.
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
        Events in memory at once, or their uncompressed size; with several threads or a GPU up to two more chunks are
        read while one is scored. Scores do not depend on it.
    overwrite : bool
        Replace an existing output.
    progress : bool
        Show a progress bar on standard error.
    device : str, optional
        Device for a tagger given by path; default the GPU if there is one.
    reader : callable, optional
        ``(events, collection) -> jets``; default `coffea_equitag.readers.nanoaod`.
    format : {"root", "rntuple", "parquet"}, optional
        Write the events as a TTree (default for ``.root``), an RNTuple, or rows of a Parquet file.
    friend : bool
        Write scores and event identifiers only.
    discriminants : mapping, optional
        Scores between classes, ``{"TvsQCD": ("top", ["qcd", "W"])}``: p_top / (p_top + p_qcd + p_W), for taggers of
        three or more classes. They are called ``<jets>_<name>_TvsQCD``.

    Returns
    -------
    ScoringReport

    Raises
    ------
    JetError
        If files, trees, branches or options are invalid; no output is left behind.

    Warns
    -----
    ConstituentsWarning
        Once, if candidates of jets are not stored.
    """
    started = time.perf_counter()
    output = Path(output)
    kind = _format(output, format)
    sources = [one.source for one in find_inputs(source)]
    _check_output(sources, output, overwrite)
    model = resolve(tagger, device)
    options = ScoringOptions.of(
        model,
        jets=jets,
        name=name,
        tree=tree,
        branches=branches,
        format=kind,
        friend=friend,
        discriminants=discriminants,
        chunk_size=chunk_size,
    )
    new = options.new_branches(model)
    layout, total = common_layout(sources, options, new)
    with (
        gathered_warnings() as gathered,
        atomic_file(output) as partial,
        progress_bar(os.path.basename(sources[0]), total, progress) as advance,
    ):
        written = write_scores(model, sources, partial, layout, options, reader, advance)
    gathered.give()
    return ScoringReport(
        events=written.events,
        jets=written.jets,
        unscored=written.unscored,
        seconds=time.perf_counter() - started,
        output=output,
        branches=tuple(new),
        not_copied=written.not_copied,
    )


def _format(output: Path, given: Format | None) -> Format:
    """The format, given or told by the suffix."""
    found: Format = given or ("parquet" if output.suffix == SUFFIXES["parquet"] else "root")
    suffix = SUFFIXES.get(found)
    if suffix is not None and output.suffix != suffix:
        expected = f"a name that ends in {suffix}" if given else "a name that ends in .root or .parquet"
        raise JetError(explain(f"an output named {output.name}", expected, f"name it {output.stem}{suffix}"))
    return found


def _check_output(sources: Sequence[Source], output: Path, overwrite: bool) -> None:
    """Refuse outputs that would overwrite something."""
    for source in sources:
        if is_same_file(source, output):
            raise JetError(
                explain(f"output and input are the same file, {output}", "two files", "choose another output")
            )
    if output.exists() and not overwrite:
        raise JetError(
            explain(f"{output} already exists", "a new file", "choose another name, or overwrite it (--overwrite)")
        )
    if not output.parent.is_dir():
        raise JetError(explain(f"no folder {output.parent}", "an existing folder", f"mkdir -p {output.parent}"))

"""Score many files, each into a file of its own."""

from __future__ import annotations

import os
import pickle
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch

from ..atomic_file import make_folder
from ..errors import JetError, explain
from ..tagger import TaggerReference
from ..tagger.discriminant import Discriminants
from ..temporary_files import remove_stale
from ..worker_processes import threads_per_worker
from .file_task import Checked, FileTask, Scored
from .gathered_warnings import GatheredWarnings
from .inputs import Input, find_inputs
from .manifest import read_manifest
from .options import Format, ScoringOptions
from .progress_bar import progress_bar
from .reports import FailedFilesError, FileReport, FilesReport, listed
from .score_columns import TaggerLike, resolve
from .scorer import Reader
from .source import Source
from .workers import DeadWorkerError, each

__all__ = ["score_files"]


def score_files(
    tagger: TaggerLike,
    sources: Source | Sequence[Source],
    folder: Source,
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
    format: Format = "root",
    friend: bool = False,
    discriminants: Discriminants | None = None,
    workers: int = 1,
    keep_going: bool = False,
) -> FilesReport:
    """Score many files, each into a file of the same name in a folder; what is complete there is not scored again.

    All inputs are checked before anything is written. Outputs get their names when they are complete, and an entry in
    ``manifest.jsonl`` with the hashes of input, tagger and output: called again, after a failure or an interruption,
    the function scores what is missing. An output that was made from another input, by another tagger or with other
    options is refused, or with `overwrite` scored again.

    Parameters
    ----------
    tagger, jets, name, tree, branches, chunk_size, progress, device, reader, friend, discriminants
        As for `score_file`.
    sources : path-like or several
        Files, folders (their ``.root`` files at any depth), patterns (``"data/**/*.root"``), text files with one of
        these per line (``@list``, ``list.txt``), and URLs of files, patterns or, with a slash at the end, folders:
        everything that fsspec opens, and ``root://`` if fsspec-xrootd is installed.
    folder : path-like
        Where to write; created if need be. Files of a folder that is given keep their place within it.
    overwrite : bool
        Score again what is there but out of date.
    format : {"root", "rntuple", "parquet"}
        Write events as TTrees, RNTuples or Parquet.
    workers : int
        Processes, which share the cores. A script needs ``if __name__ == "__main__":``.
    keep_going : bool
        Score the other files if some fail the check.

    Returns
    -------
    FilesReport

    Raises
    ------
    JetError
        If inputs or options are invalid, or outputs are there that would be overwritten; nothing has been written.
    FailedFilesError
        If files failed; its ``report`` holds the others, which are complete.

    Warns
    -----
    ConstituentsWarning
        Once, if candidates of jets are not stored.
    """
    started, folder = time.perf_counter(), Path(folder)
    _check_workers(workers)
    model = resolve(tagger, device)
    options = ScoringOptions.of(
        model,
        jets=jets,
        name=name,
        tree=tree,
        branches=branches,
        format=format,
        friend=friend,
        discriminants=discriminants,
        chunk_size=chunk_size,
    )
    inputs = find_inputs(sources, folder)
    threads = threads_per_worker(workers, torch.get_num_threads())
    pinned = TaggerReference.of(tagger) if isinstance(tagger, str | os.PathLike) else tagger
    task = FileTask(pinned, options, folder, read_manifest(folder), reader, device, threads if workers > 1 else None)
    _check_names(inputs, task)
    if workers > 1:
        _check_sendable(task)
    checks = _checks(task, inputs, workers, threads)
    _refuse(checks, task, overwrite=overwrite, keep_going=keep_going)
    make_folder(folder)
    waiting = [one for one in inputs if not (checks[one].kept or checks[one].fault)]
    done = _score(task, waiting, checks, workers, threads, progress)
    report = FilesReport(
        tuple(_file_report(task, one, checks[one], done.get(one)) for one in inputs),
        tuple(options.new_branches(model)),
        time.perf_counter() - started,
    )
    GatheredWarnings.sum(scored.warnings for scored in done.values()).give()
    if report.failed:
        raise FailedFilesError(report)
    return report


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise JetError(explain(f"workers={workers}", "a number of processes >= 1", "use 1, or leave it out"))


def _check_sendable(task: FileTask) -> None:
    """Refuse a tagger or reader that cannot be sent to another process; those of taggers say why."""
    try:
        pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise JetError(
            explain(
                f"a tagger or reader that cannot be sent to other processes ({error})",
                "a tagger on disk, and a reader that is a function of a module",
                "use workers=1, or move the function to a module",
            )
        ) from error


def _check_names(inputs: Sequence[Input], task: FileTask) -> None:
    """Refuse inputs that would be written to the same file."""
    sources = defaultdict(list)
    for one in inputs:
        sources[task.output(one)].append(one.source)
    same = [f"{output}: {', '.join(several)}" for output, several in sources.items() if len(several) > 1]
    if same:
        raise JetError(
            explain(
                f"several inputs for one output:\n{listed(same)}",
                "inputs with different names",
                "give the folder that holds them all, whose structure is kept, or score them into several folders",
            )
        )


def _checks(task: FileTask, inputs: Sequence[Input], workers: int, threads: int) -> dict[Input, Checked]:
    """Check all inputs; in several processes only where it takes longer than to start them."""
    several = workers if len(inputs) > 8 * workers else 1
    found = {}
    with closing(each(task.check, inputs, several, threads)) as results:
        for one, result in results:
            found[one] = Checked(fault=f"{one.source}: {result}") if isinstance(result, DeadWorkerError) else result
    return found


def _refuse(checks: dict[Input, Checked], task: FileTask, *, overwrite: bool, keep_going: bool) -> None:
    faults = [str(check.fault) for check in checks.values() if check.fault]
    if faults and (not keep_going or len(faults) == len(checks)):
        raise JetError(
            explain(
                f"{len(faults)} of {len(checks)} inputs cannot be scored, and nothing has been written:\n"
                f"{listed(faults)}",
                "inputs that can",
                "leave these out, or score the others with keep_going=True (--keep-going)",
            )
        )
    stale = [f"{task.output(one)}: {check.stale}" for one, check in checks.items() if check.stale]
    if stale and not overwrite:
        raise JetError(
            explain(
                f"{len(stale)} outputs are there already, and not what would be written:\n{listed(stale)}",
                "a folder for these inputs, this tagger and these options",
                "choose another folder, or score these files again with overwrite=True (--overwrite)",
            )
        )


def _score(
    task: FileTask,
    inputs: Sequence[Input],
    checks: dict[Input, Checked],
    workers: int,
    threads: int,
    progress: bool,
) -> dict[Input, Scored]:
    done: dict[Input, Scored] = {}
    workers = min(workers, max(1, len(inputs)))
    label = f"{len(inputs)} files"
    try:
        with progress_bar(label, sum(checks[one].events for one in inputs), progress) as advance:
            lean = replace(task, entries={}, advance=advance if workers == 1 else None)
            with closing(each(lean.score, inputs, workers, threads)) as results:
                for one, result in results:
                    if isinstance(result, DeadWorkerError):
                        result = Scored(fault=f"{one.source}: {result}")
                    done[one] = result
                    if workers > 1:
                        advance(checks[one].events)
    finally:
        # what processes that were killed have left
        for folder in {task.output(one).parent for one in inputs}:
            remove_stale(folder)
    return done


def _file_report(task: FileTask, one: Input, check: Checked, scored: Scored | None) -> FileReport:
    output = task.output(one)
    entry = check.kept or (scored.entry if scored else None)
    seconds = scored.seconds if scored else 0.0
    if entry is None:
        fault = scored.fault if scored else check.fault
        return FileReport(one.source, output, "failed", fault=fault, seconds=seconds)
    return FileReport(
        one.source,
        output,
        "kept" if check.kept else "scored",
        entry.events,
        entry.jets,
        entry.unscored,
        entry.not_copied,
        seconds=seconds,
    )

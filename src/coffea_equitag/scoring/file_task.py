"""What is done for one of many files: check it, score it; in whatever process."""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..atomic_file import atomic_file, flush, is_same_file
from ..errors import EquitagError, JetError, explain
from .file_hash import file_hash, input_hash, input_stamp, stamp_of
from .gathered_warnings import GatheredWarnings, gathered_warnings
from .inputs import Input
from .manifest import ManifestEntry, append_entry, why_stale
from .options import SUFFIXES, ScoringOptions
from .score_columns import TaggerLike, name_of, resolve
from .scorer import Reader
from .stream import input_layout, write_scores

__all__ = ["Checked", "FileTask", "Scored"]


@dataclass(frozen=True)
class Checked:
    """What a check found: the number of events, or why the file is not to be scored.

    Attributes
    ----------
    events : int
        Number of events.
    kept : ManifestEntry, optional
        Set if the output is there already.
    stale : str, optional
        Why the output that is there is not what would be written.
    fault : str, optional
        Why the file cannot be scored.
    """

    events: int = 0
    kept: ManifestEntry | None = None
    stale: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Scored:
    """What came of a file: the entry of its output, or why there is none; and what it warns of."""

    entry: ManifestEntry | None = None
    fault: str | None = None
    seconds: float = 0.0
    warnings: GatheredWarnings = field(default_factory=GatheredWarnings)


@dataclass(frozen=True)
class FileTask:
    """Everything that the files have in common; picklable if the tagger and the reader are.

    Attributes
    ----------
    tagger : TaggerLike
        The tagger.
    options : ScoringOptions
        What to write.
    folder : Path
        Where to write.
    entries : dict
        The manifest: output -> its entry.
    reader : callable, optional
        ``(events, collection) -> jets``.
    device : str, optional
        Where to compute.
    threads : int, optional
        Threads to use; default all.
    advance : callable, optional
        In this process: is told the number of events of each chunk that is done.
    """

    tagger: TaggerLike
    options: ScoringOptions
    folder: Path
    entries: dict[str, ManifestEntry] = field(default_factory=dict)
    reader: Reader | None = None
    device: str | None = None
    threads: int | None = None
    advance: Callable[[int], None] | None = None

    def output(self, one: Input) -> Path:
        """The file that is written for an input."""
        return self.folder / f"{one.name}{SUFFIXES[self.options.format]}"

    def check(self, one: Input) -> Checked:
        """Whether a file can be scored, and whether it has been."""
        try:
            return self._checked(one)
        except Exception as error:
            return Checked(fault=_text(error))

    def score(self, one: Input) -> Scored:
        """Score a file."""
        with gathered_warnings() as gathered:
            try:
                started = time.perf_counter()
                entry, fault = self._scored(one), None
            except Exception as error:  # also a library's: the other files are scored all the same
                entry, fault = None, _text(error)
        return Scored(entry, fault, time.perf_counter() - started, gathered)

    def _checked(self, one: Input) -> Checked:
        model, output = self._model(), self.output(one)
        if is_same_file(one.source, output):
            given = f"{one.source}, which is also the output {output}"
            raise JetError(explain(given, "outputs in a folder of their own", "choose another folder"))
        stale = None
        if output.exists():
            entry = self.entries.get(self._name(output))
            tagger_hash = getattr(model, "content_hash", None)
            stale = why_stale(entry, one.source, output, tagger_hash, self.options.described())
            if stale is None:
                return Checked(kept=entry)
        _, events = input_layout(one.source, self.options, self.options.new_branches(model))
        return Checked(events, stale=stale)

    def _scored(self, one: Input) -> ManifestEntry:
        model, options, output = self._model(), self.options, self.output(one)
        before = input_stamp(one.source)
        found = input_hash(one.source)
        layout, _ = input_layout(one.source, options, options.new_branches(model))
        output.parent.mkdir(parents=True, exist_ok=True)
        advance = self.advance or (lambda events: None)
        with atomic_file(output) as partial:
            written = write_scores(model, [one.source], partial, layout, options, self.reader, advance)
            if input_stamp(one.source) != before:
                given = f"{one.source}, which has changed while it was read"
                raise JetError(explain(given, "files that stay as they are", "run the same command again"))
            flush(partial)
            entry = ManifestEntry(
                output=self._name(output),
                output_hash=file_hash(partial),
                output_stamp=stamp_of(partial),
                input=str(one.source),
                input_hash=found,
                input_stamp=before,
                tagger=name_of(model),
                tagger_hash=getattr(model, "content_hash", None),
                options=options.described(),
                version=version("coffea-equitag"),
                events=written.events,
                jets=written.jets,
                unscored=written.unscored,
                not_copied=written.not_copied,
            )
            append_entry(self.folder, entry)
        return entry

    def _model(self) -> Any:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return resolve(self.tagger, _own_gpu(self.device))

    def _name(self, output: Path) -> str:
        return output.relative_to(self.folder).as_posix()


def _own_gpu(device: str | None) -> str | None:
    """The GPU of this process, where several processes share several GPUs; else the device that is given."""
    number = re.search(r"\d+$", multiprocessing.current_process().name)
    is_worker = multiprocessing.parent_process() is not None and number is not None
    if not is_worker or device not in (None, "cuda") or torch.cuda.device_count() < 2:
        return device
    return f"cuda:{int(number[0]) % torch.cuda.device_count()}" if number else device


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, EquitagError | OSError) else f"{type(error).__name__}: {error}"

"""``equitag score``: score the jets in ROOT files and write the scores alongside the original branches."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import JetError, explain

__all__ = ["configure", "run"]

_FORMATS = ("root", "rntuple", "parquet")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    scores = parser.add_argument_group("scores")
    output = parser.add_argument_group("what is written")
    work = parser.add_argument_group("the run")
    parser.add_argument("tagger", metavar="TAGGER", help="folder of a tagger, or a name in the zoo")
    parser.add_argument(
        "source",
        metavar="FILE",
        nargs="+",
        help="ROOT files: paths, folders, patterns, lists (@LIST or LIST.txt, one per line), URLs (https://, root://)",
    )
    output.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help="folder for one output per input; or a file, OUT.root or OUT.parquet, in which all inputs are merged",
    )
    scores.add_argument("--jets", default="FatJet", help="jet collection (default: %(default)s)")
    scores.add_argument("--name", help="name of the scores: the branch is JETS_NAME (default: the tagger's name)")
    scores.add_argument("--tree", default="Events", help="name of the TTree or RNTuple (default: %(default)s)")
    output.add_argument("--keep", nargs="+", metavar="PATTERN", help="branches to keep, e.g. 'FatJet_*' (default: all)")
    scores.add_argument(
        "--discriminant",
        action="append",
        default=[],
        metavar="NAME=SIGNAL:BACKGROUND[,...]",
        help="add JETS_NAME_... = p(signal) / (p(signal) + p(backgrounds)), e.g. TvsQCD=top:qcd,W; may be repeated",
    )
    output.add_argument("--friend", action="store_true", help="write scores and event identifiers only")
    output.add_argument(
        "--format",
        choices=_FORMATS,
        help="write a TTree (root), an RNTuple or Parquet (default: root, or OUT's suffix)",
    )
    work.add_argument(
        "--chunk", default="100 MB", metavar="N", help="events per chunk, or size of a chunk (default: %(default)s)"
    )
    work.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes, which share the cores (default: %(default)s)"
    )
    output.add_argument("--overwrite", action="store_true", help="replace OUT.root; in a folder, what is out of date")
    work.add_argument("--keep-going", action="store_true", help="score the other files if some fail the check")
    work.add_argument("--device", help="where to compute, e.g. cuda (default: a GPU if there is one)")
    work.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Score, and print a summary."""
    from ..tagger.discriminant import parse_discriminants

    chunk = int(arguments.chunk) if arguments.chunk.lstrip("-").isdigit() else arguments.chunk
    keywords: dict[str, Any] = {
        "jets": arguments.jets,
        "name": arguments.name,
        "tree": arguments.tree,
        "branches": arguments.keep,
        "chunk_size": chunk,
        "overwrite": arguments.overwrite,
        "progress": not arguments.quiet,
        "device": arguments.device,
        "friend": arguments.friend,
        "discriminants": parse_discriminants(arguments.discriminant),
    }
    console = Console(highlight=False, soft_wrap=True, markup=False)
    output = Path(arguments.output)
    if output.suffix in (".root", ".parquet") and not output.is_dir():
        return _into_one(arguments, keywords, console)
    return _into_folder(arguments, keywords, console)


def _into_one(arguments: argparse.Namespace, keywords: dict[str, Any], console: Console) -> int:
    from ..scoring import score_file

    if arguments.workers != 1 or arguments.keep_going:
        raise JetError(
            explain(
                f"--{'keep-going' if arguments.keep_going else 'workers'} with one output, {arguments.output}",
                "a folder of outputs, for which it is meant",
                "name a folder: -o DIR",
            )
        )
    report = score_file(arguments.tagger, arguments.source, arguments.output, format=arguments.format, **keywords)
    rate = report.jets / max(report.seconds, 1e-9)
    console.print(
        f"{report.output}: {report.events} events, {report.jets} jets, {', '.join(report.branches)} "
        f"({report.seconds:.1f} s, {rate:.0f} jets/s)"
    )
    _print_rest(console, report.unscored, report.not_copied)
    return 0


def _into_folder(arguments: argparse.Namespace, keywords: dict[str, Any], console: Console) -> int:
    from ..scoring import FailedFilesError, score_files

    try:
        report = score_files(
            arguments.tagger,
            arguments.source,
            arguments.output,
            format=arguments.format or "root",
            workers=arguments.workers,
            keep_going=arguments.keep_going,
            **keywords,
        )
        failure = None
    except FailedFilesError as error:
        report, failure = error.report, error
    jets = sum(file.jets for file in report.scored)
    kept = f", {len(report.kept)} kept that were complete" if report.kept else ""
    console.print(
        f"{arguments.output}: {len(report.scored)} files scored{kept}: "
        f"{sum(file.events for file in report.scored)} events, {jets} jets, {', '.join(report.branches)} "
        f"({report.seconds:.1f} s, {jets / max(report.seconds, 1e-9):.0f} jets/s)"
    )
    _print_rest(console, sum(file.unscored for file in report.scored), report.not_copied if report.scored else ())
    if failure is None:
        return 0
    again = shlex.join(["equitag", *arguments.words])
    print(f"equitag score: {failure}\n  again, for what is missing: {again}", file=sys.stderr)
    return 1


def _print_rest(console: Console, unscored: int, not_copied: tuple[str, ...]) -> None:
    if unscored:
        console.print(f"without a score (missing): {unscored} jets")
    if not_copied:
        console.print("not copied, because they cannot be written: " + ", ".join(not_copied))

"""``equitag score``: score the jets in a ROOT file and write the scores alongside the original branches."""

from __future__ import annotations

import argparse

from rich.console import Console

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tagger", metavar="TAGGER", help="folder of a tagger, or a name in the zoo")
    parser.add_argument("source", metavar="IN.root", nargs="+", help="file(s) to score; several are merged")
    parser.add_argument("-o", "--output", metavar="OUT.root", required=True, help="file to write")
    parser.add_argument("--jets", default="FatJet", help="jet collection (default: %(default)s)")
    parser.add_argument("--name", help="name of the scores: the branch is JETS_NAME (default: the tagger's name)")
    parser.add_argument("--tree", default="Events", help="name of the tree (default: %(default)s)")
    parser.add_argument("--keep", nargs="+", metavar="PATTERN", help="branches to keep, e.g. 'FatJet_*' (default: all)")
    parser.add_argument(
        "--chunk", default="100 MB", metavar="N", help="events per chunk, or size of a chunk (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.root if it exists")
    parser.add_argument("--device", help="where to compute, e.g. cuda (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Score, and print a summary."""
    from ..scoring import score_file

    chunk = int(arguments.chunk) if arguments.chunk.lstrip("-").isdigit() else arguments.chunk
    report = score_file(
        arguments.tagger,
        arguments.source,
        arguments.output,
        jets=arguments.jets,
        name=arguments.name,
        tree=arguments.tree,
        branches=arguments.keep,
        chunk_size=chunk,
        overwrite=arguments.overwrite,
        progress=not arguments.quiet,
        device=arguments.device,
    )
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"{report.output}: {report.events} events, {report.jets} jets, {', '.join(report.branches)} "
        f"({report.seconds:.1f} s, {report.jets / max(report.seconds, 1e-9):.0f} jets/s)"
    )
    if report.unscored:
        console.print(f"without a score (NaN): {report.unscored} jets")
    if report.not_copied:
        console.print("not copied, because uproot cannot write them: " + ", ".join(report.not_copied))
    return 0

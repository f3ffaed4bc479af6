"""``equitag compare RUNS...``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "runs", nargs="+", help="folders of runs, or folders of such folders; the first found is the baseline"
    )
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="FILE",
        help="files of labelled jets to compare on (default: the runs' validation jets, if they are the same)",
    )
    parser.add_argument("--jets", metavar="NAME", help="for NanoAOD and other events, the jet collection, e.g. FatJet")
    parser.add_argument(
        "--labels", default="label", metavar="FIELD", help="jet field that holds the class (default: %(default)s)"
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=[],
        metavar="NAME",
        help="accuracy, auc, rejection_70 (1/ε_B at 70%%), or rejection_70:light against one class alone (default: "
        "accuracy, auc, rejection_50 and rejection_30, or all widths of momenta)",
    )
    parser.add_argument(
        "--replicas", type=int, default=500, metavar="N", help="replicas of the bootstrap (default: %(default)s)"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="folder for comparison.md and comparison.json")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the tables, and write them."""
    from ..atomic_file import write_together
    from ..readers import read_jets
    from ..training.comparison import compare_runs

    jets = None if arguments.data is None else read_jets(arguments.data, jets=arguments.jets)
    options = {name: getattr(arguments, name) for name in ("labels", "metrics", "replicas")}
    comparison = compare_runs(arguments.runs, jets, **options)
    if arguments.output is not None:
        contents = {
            "comparison.md": f"{comparison}\n".encode(),
            "comparison.json": (json.dumps(comparison.as_dict(), indent=2) + "\n").encode(),
        }
        write_together(Path(arguments.output), contents)
    print(comparison)
    return 0

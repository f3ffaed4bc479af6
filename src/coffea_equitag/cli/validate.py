"""``equitag validate SIMULATED REAL... -o DIR``: compare simulated with real jets, in a table and plots."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``equitag validate``."""
    parser.add_argument(
        "simulated", metavar="SIMULATED", help="simulated jets: a file, a pattern or a folder of shards"
    )
    parser.add_argument("real", nargs="+", metavar="REAL", help="real jets: files, patterns or folders")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="new folder for table.md, table.json and plots"
    )
    parser.add_argument(
        "--labels", default="label", metavar="FIELD", help="jet field that holds the class (default: %(default)s)"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="names of the classes, in the order of labels (default: those of the simulated file)",
    )
    parser.add_argument(
        "--max-constituents",
        type=int,
        default=128,
        metavar="N",
        help="use at most the N hardest constituents of a jet (default: %(default)s)",
    )
    parser.add_argument(
        "--tagger",
        action="append",
        default=[],
        metavar="TAGGER",
        help="also measure this tagger (a folder, or a name in the zoo) on both samples; may be repeated",
    )
    parser.add_argument(
        "--no-network", action="store_true", help="do not train networks to distinguish real from simulated jets"
    )
    parser.add_argument("--folds", type=int, default=5, help="folds of their cross-validation (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=25, help="epochs of each training (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the networks (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Compare, write the report and print its checks."""
    from ..simulation.validation import validate_files, write_report
    from ..simulation.validation.report import claim

    claim(arguments.output)
    with _bar() as progress:
        comparison = validate_files(
            arguments.simulated,
            arguments.real,
            labels=arguments.labels,
            classes=arguments.classes,
            max_constituents=arguments.max_constituents,
            network=not arguments.no_network,
            folds=arguments.folds,
            epochs=arguments.epochs,
            seed=arguments.seed,
            taggers=arguments.tagger,
            progress=progress,
        )
    folder = write_report(comparison, arguments.output)
    checks = list(comparison.checks())
    for what, value, limit, passed in checks:
        print(f"{'passed' if passed else 'FAILED'}  {what}: {value:.3g} ({limit})")
    for result in comparison.taggers:
        print(f"{result.name}: AUC {result.auc_simulated:.4f} simulated, {result.auc_real:.4f} real")
    print(f"{sum(passed for *_, passed in checks)} of {len(checks)} checks passed; table and plots in {folder}/")
    return 0


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield progress

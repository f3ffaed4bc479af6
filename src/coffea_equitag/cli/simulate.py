"""``equitag simulate``: labelled jets from Pythia 8, a fast detector and fastjet, to Parquet or ROOT."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import JetError, explain

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``equitag simulate``."""
    parser.add_argument("recipe", metavar="RECIPE", help="what to make: top, top-particle (no detector), qg, btag or w")
    parser.add_argument("-n", type=int, default=1000, metavar="N", help="jets, or events (.root), to make")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the random numbers")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE|DIR",
        help=".parquet (jets), .root (PFNano-like events), or a folder for any number of jets: one Parquet file every "
        "500, resumed where it was when begun again",
    )
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes; the result does not depend on it")
    parser.add_argument("--particle-level", action="store_true", help="leave out the recipe's detector")
    parser.add_argument("--no-mpi", action="store_true", help="leave out the underlying event")


def run(arguments: argparse.Namespace) -> int:
    """Make the sample and write it; return the exit status."""
    output, kind = arguments.output, arguments.output.suffix
    options = {
        "seed": arguments.seed,
        "workers": arguments.workers,
        "mpi": not arguments.no_mpi,
        "particle_level": arguments.particle_level,
    }
    noun = "events" if kind == ".root" else "jets"
    if kind in (".parquet", ".root"):
        from ..whole_file import check_writable

        check_writable(output)
    elif kind:
        raise JetError(
            explain(
                f"an output named {output.name}",
                "a name that ends in .parquet (jets) or .root (events), or a folder, without an ending",
                f"-o {output.stem}.parquet",
            )
        )
    # fastjet and uproot take their time to import: only now.
    from .. import simulation

    with _bar(f"{arguments.recipe} {noun}", arguments.n) as progress:
        if kind == ".parquet":
            made = simulation.simulate(arguments.recipe, arguments.n, progress=progress, **options)
        elif kind == ".root":
            made = simulation.simulate_events(arguments.recipe, arguments.n, progress=progress, **options)
        else:
            simulation.simulate_folder(arguments.recipe, arguments.n, output, progress=progress, **options)
    if kind == ".parquet":
        simulation.write_parquet(output, made)
    elif kind == ".root":
        simulation.write_pfnano(output, made)
    print(f"{arguments.n} {noun} of recipe {arguments.recipe}, seed {arguments.seed}: {output}")
    return 0


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    start = time.monotonic()
    first: list[int] = []
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(title, total=max(total, 1), rate="")

        def progress(done: int, n: int) -> None:
            first.append(done)
            # what was there before, which the first call tells, does not count for the rate
            elapsed, made = time.monotonic() - start, done - first[0]
            rate = f"{made / elapsed:.0f} a second, {_duration((n - done) * elapsed / made)} left" if made else ""
            bar.update(task, completed=done, total=n, rate=rate)

        yield progress


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

"""``equitag simulate``: labelled jets from Pythia 8, a fast detector and fastjet, to Parquet or ROOT."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import JetError, explain

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``equitag simulate``."""
    parser.add_argument("recipe", metavar="RECIPE", help="what to make: top, top-particle (no detector), qg, btag or w")
    parser.add_argument("-n", type=int, default=1000, metavar="N", help="jets (.parquet) or events (.root) to make")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of the random numbers")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help=".parquet (jets) or .root (PFNano-like events)"
    )
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes; the result does not depend on it")
    parser.add_argument("--particle-level", action="store_true", help="leave out the recipe's detector")
    parser.add_argument("--no-mpi", action="store_true", help="leave out the underlying event")


def run(arguments: argparse.Namespace) -> int:
    """Make the sample and write it; return the exit status."""
    from ..whole_file import check_writable

    output = check_writable(arguments.output)
    kind = output.suffix
    if kind not in (".parquet", ".root"):
        raise JetError(
            explain(
                f"an output named {output.name}",
                "a name that ends in .parquet (jets) or .root (events)",
                f"-o {output.stem}.parquet",
            )
        )
    # fastjet and uproot take their time to import: only now.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ..simulation import simulate, simulate_events, write_pfnano

    make, write, noun = (
        (simulate, _write_parquet, "jets") if kind == ".parquet" else (simulate_events, write_pfnano, "events")
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(f"{arguments.recipe} {noun}", total=max(arguments.n, 1))
        made = make(
            arguments.recipe,
            arguments.n,
            seed=arguments.seed,
            workers=arguments.workers,
            mpi=not arguments.no_mpi,
            particle_level=arguments.particle_level,
            progress=lambda done, n: bar.update(task, completed=done, total=n),
        )
    write(output, made)
    print(f"{len(made)} {noun} of recipe {arguments.recipe}, seed {arguments.seed}: {output}")
    return 0


def _write_parquet(path: Path, jets: Any) -> None:
    import awkward as ak

    from ..whole_file import whole_file

    with whole_file(path) as part:
        ak.to_parquet(jets, part, compression="zstd", parquet_byte_stream_split=True)

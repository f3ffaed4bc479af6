"""``equitag simulate``: labelled jets from Pythia 8, a fast detector and fastjet, to Parquet or ROOT."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import EquitagError, JetError, explain

__all__ = ["configure", "run"]

#: Seconds to wait for a Dask scheduler.
_TIMEOUT = 20

_N, _SEED = 1000, 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``equitag simulate``."""
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="what to simulate: top, top-particle (no detector), qg, btag or w; or a standard split: top-200k, qg-100k "
        "or btag-500k",
    )
    parser.add_argument("--list", action="store_true", help="list the recipes and standard splits, and exit")
    parser.add_argument("-n", type=int, metavar="N", help=f"number of jets, or of events for .root (default: {_N})")
    parser.add_argument("--seed", type=int, metavar="S", help=f"random seed (default: {_SEED})")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE|DIR",
        help=".parquet (jets), .root (PFNano-like events), or a folder for any number of jets: one Parquet file per "
        "1000 jets, resumed if run again; for a split, a folder",
    )
    parser.add_argument(
        "-j", "--workers", type=int, default=1, help="number of processes; the result does not depend on it"
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="simulate on the workers of this Dask scheduler, e.g. tcp://HOST:8786"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="PART",
        help="simulate only this part of a split: train, val or test; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.add_argument("--particle-level", action="store_true", help="switch off the recipe's detector simulation")
    parser.add_argument("--no-mpi", action="store_true", help="switch off the underlying event")


def run(arguments: argparse.Namespace) -> int:
    """Simulate the sample and write it; return the exit status."""
    # fastjet and uproot are slow to import, hence only now
    from .. import simulation

    if arguments.list:
        return _list(simulation)
    if arguments.recipe is None or arguments.output is None:
        raise JetError(
            explain(
                f"no {'RECIPE' if arguments.recipe is None else 'output'}",
                "equitag simulate RECIPE -o FILE or DIR",
                "add it; equitag simulate --list shows the recipes",
            )
        )
    split = simulation.STANDARD_SPLITS.get(arguments.recipe)
    _check(arguments, split is not None)
    with _executor(arguments.dask) as executor:
        common = {"workers": arguments.workers, "executor": executor}
        return (_split if split else _sample)(simulation, arguments, common)


def _list(simulation: Any) -> int:
    print("recipes")
    for recipe in simulation.RECIPES.values():
        print(f"  {recipe.name:<13} {recipe.summary}")
    print("standard splits")
    for split in simulation.STANDARD_SPLITS.values():
        parts = ", ".join(f"{part.n} {part.name} (seed {part.seed})" for part in split.parts)
        print(f"  {split.name:<13} {split.summary}: recipe {split.recipe}, {parts}")
    return 0


def _check(arguments: argparse.Namespace, is_split: bool) -> None:
    """Reject incompatible options before starting."""
    kind = arguments.output.suffix
    if is_split:
        fixed = {
            "-n": arguments.n is not None,
            "--seed": arguments.seed is not None,
            "--particle-level": arguments.particle_level,
            "--no-mpi": arguments.no_mpi,
            "--overwrite": arguments.overwrite,
        }
        given = [name for name, is_given in fixed.items() if is_given]
        if given:
            raise JetError(
                explain(
                    f"{', '.join(given)} with {arguments.recipe}",
                    "a standard split without these options: its numbers, seeds and recipe are fixed",
                    f"leave out {', '.join(given)}, or use a recipe",
                )
            )
    elif arguments.only:
        raise JetError(explain(f"--only with {arguments.recipe}", "a standard split", "leave it out"))
    if kind and (is_split or kind not in (".parquet", ".root")):
        raise JetError(
            explain(
                f"an output named {arguments.output.name}",
                "a folder, without a suffix"
                if is_split
                else "a file ending in .parquet (jets) or .root (events), or a folder, without a suffix",
                f"-o {arguments.output.stem}{'' if is_split else '.parquet'}",
            )
        )


def _sample(simulation: Any, arguments: argparse.Namespace, common: dict[str, Any]) -> int:
    output, kind = arguments.output, arguments.output.suffix
    n = _N if arguments.n is None else arguments.n
    seed = _SEED if arguments.seed is None else arguments.seed
    noun = "events" if kind == ".root" else "jets"
    options = {"seed": seed, "mpi": not arguments.no_mpi, "particle_level": arguments.particle_level, **common}
    with _bar(f"{arguments.recipe} {noun}", n) as progress:
        if kind:
            simulation.simulate_file(
                arguments.recipe, n, output, progress=progress, overwrite=arguments.overwrite, **options
            )
        else:
            simulation.simulate_folder(arguments.recipe, n, output, progress=progress, **options)
    print(f"{n} {noun} of recipe {arguments.recipe}, seed {seed}: {output}")
    if not kind:
        print(f"content {json.loads((output / 'sample.json').read_text())['content_hash']}")
    return 0


def _split(simulation: Any, arguments: argparse.Namespace, common: dict[str, Any]) -> int:
    parts = simulation.STANDARD_SPLITS[arguments.recipe].parts
    total = sum(part.n for part in parts if not arguments.only or part.name in arguments.only)
    with _bar(arguments.recipe, total) as progress:
        simulation.make_split(arguments.recipe, arguments.output, only=arguments.only, progress=progress, **common)
    for name, part in json.loads((arguments.output / "split.json").read_text())["parts"].items():
        if "content_hash" in part:
            print(f"{part['n']} {name} jets of {arguments.recipe}: {arguments.output / name}")
            print(f"content {part['content_hash']}")
    return 0


@contextmanager
def _executor(address: str | None) -> Iterator[Any]:
    """Connect to a Dask cluster, if an address is given."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise EquitagError(
            explain("--dask without dask.distributed", "the package distributed", "pip install 'coffea-equitag[dask]'")
        ) from error
    try:
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EquitagError(
            explain(
                f"no Dask scheduler answers at {address} ({error})",
                "the address that a scheduler prints when it starts, e.g. tcp://HOST:8786",
                "start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`",
            )
        ) from error
    with client:
        yield client


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    start = time.monotonic()
    first: list[int] = []
    console = Console(stderr=True)
    with Progress(*columns, transient=True, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=max(total, 1), rate="")

        def progress(done: int, n: int) -> None:
            first.append(done)
            # jets from an earlier run, reported by the first call, do not count towards the rate
            elapsed, new = time.monotonic() - start, done - first[0]
            rate = f"{new / elapsed:.0f}/s, {_duration((n - done) * elapsed / new)} left" if new else ""
            bar.update(task, completed=done, total=n, rate=rate)

        yield progress


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

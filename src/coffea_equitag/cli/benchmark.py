"""``equitag benchmark``: speed and memory of the models, compared with other implementations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["configure", "run"]


#: What `--quick` measures.
QUICK: dict[str, Any] = {
    "models": ("pfn", "lorentznet"),
    "workloads": ("ak4",),
    "passes": ("forward",),
    "batch": 4,
    "seconds": 0.02,
    "memory": False,
    "rounds": (1, 1),
    "sizes": (5, 10),
    "jets": (20,),
    "file_jets": 1,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    measured = parser.add_argument_group("what is measured")
    how = parser.add_argument_group("how")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder for table.md and table.json")
    parser.add_argument("--into", metavar="PAGE.md", help="also insert the tables into a page, replacing earlier ones")
    parser.add_argument(
        "--explain", action="store_true", help="only show which implementation of each model runs here, and why"
    )
    how.add_argument("--quick", action="store_true", help="take seconds instead of minutes: a check that all works")
    measured.add_argument(
        "--only", nargs="+", metavar="SECTION", help="any of networks, patches, size, pipeline, pairs (default: all)"
    )
    measured.add_argument(
        "--models", nargs="+", metavar="MODEL", help="models, or folders of trained taggers (default: all models)"
    )
    measured.add_argument(
        "--option", nargs="+", default=[], metavar="KEY=VALUE", help="options of a single model, e.g. size=48k"
    )
    measured.add_argument("--workloads", nargs="+", metavar="NAME", help="any of ak4, top, wide (default: all)")
    how.add_argument("--batch", type=int, metavar="N", help="jets per batch (default: 100; PELICAN 32)")
    how.add_argument("--seconds", type=float, metavar="S", help="time spent on each comparison (default: 3)")
    how.add_argument("--threads", type=int, default=1, metavar="N", help="number of threads (default: %(default)s)")
    how.add_argument("--device", default="cpu", help="where to compute, e.g. cuda (default: %(default)s)")
    measured.add_argument(
        "--file",
        metavar="IN.root",
        help="ROOT file for the section pipeline (default: packaged events, many times)",
    )
    measured.add_argument("--file-jets", type=int, metavar="N", help="how many jets these make (default: 10000)")
    measured.add_argument("--peers", action="store_true", help="also measure networks of other packages, if installed")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables and write them."""
    from rich.console import Console

    if arguments.explain:
        return _explain(arguments)

    import json

    from ..atomic_file import atomic_file, make_folder
    from ..benchmarking import Settings
    from ..benchmarking import run as measured
    from ..benchmarking.report import insert, markdown
    from .options import parse_options

    given = {
        "sections": arguments.only,
        "models": arguments.models,
        "workloads": arguments.workloads,
        "batch": arguments.batch,
        "seconds": arguments.seconds,
        "file_jets": arguments.file_jets,
    }
    settings = Settings(
        **(QUICK if arguments.quick else {})
        | {name: value for name, value in given.items() if value is not None}
        | {
            "threads": arguments.threads,
            "device": arguments.device,
            "file": arguments.file,
            "peers": arguments.peers,
            "options": parse_options(arguments.option),
        }
    )
    page = None if arguments.into is None else Path(arguments.into)
    if page is not None:
        insert(page.read_text(), "")  # fail now rather than after ten minutes
    folder = None if arguments.output is None else make_folder(arguments.output)
    found = measured(settings)
    table = markdown(found)
    Console(soft_wrap=True, highlight=False, markup=False).print(table)
    if page is not None:
        text = insert(page.read_text(), table)
        with atomic_file(page) as partial:
            partial.write_text(text)
    if folder is not None:
        for name, text in (("table.md", table), ("table.json", json.dumps(found, indent=1) + "\n")):
            with atomic_file(folder / name) as partial:
                partial.write_text(text)
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from ..benchmarking import Settings, explain_choices
    from .options import parse_options

    table = Table(title="What runs on this machine")
    for heading in ("model", "device", "precision", "mode", "implementation", "reason", "self-check"):
        table.add_column(heading, no_wrap=True)
    models = {} if arguments.models is None else {"models": arguments.models}
    settings = Settings(**models, options=parse_options(arguments.option))
    for row in explain_choices(settings.models, settings.options):
        table.add_row(row.model, row.device, row.dtype, row.mode, row.kernel, row.reason, row.self_check)
    Console(width=max(Console().width, 170)).print(table)
    return 0

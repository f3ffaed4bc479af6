"""``equitag models``."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-n", "--constituents", type=int, default=50, metavar="N", help="jet size for the cost (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a table of the models."""
    from rich.console import Console
    from rich.table import Table

    from ..errors import JetError, explain
    from ..models.catalogue import catalogue

    if arguments.constituents < 1:
        raise JetError(explain(f"-n {arguments.constituents}", "a jet of one constituent or more", "give another"))
    table = Table(title=f"Models with their default options; cost of a jet of {arguments.constituents} constituents")
    for heading in ("model", "paper", "symmetry", "inputs"):
        table.add_column(heading, overflow="fold")
    for heading in ("parameters", "MFLOP a jet"):
        table.add_column(heading, justify="right")
    for entry in catalogue(arguments.constituents):
        table.add_row(
            entry.kind,
            entry.paper,
            entry.symmetry,
            ", ".join(("four-momenta", *entry.fields)),
            f"{entry.parameters:,}",
            f"{entry.flops / 1e6:,.3g}",
        )
    Console().print(table)
    return 0

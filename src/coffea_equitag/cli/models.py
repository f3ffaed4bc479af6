"""``equitag models``."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "tagger",
        nargs="?",
        help="print the card of this one: a name in the zoo, or a folder (default: list the models)",
    )
    parser.add_argument(
        "-n",
        "--constituents",
        type=int,
        default=50,
        metavar="N",
        help="constituents per jet for the cost (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a tagger's card, or a table of the models."""
    if arguments.tagger is not None:
        return _card(arguments.tagger)
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from .. import zoo
    from ..errors import JetError, explain
    from ..models.catalogue import catalogue

    if arguments.constituents < 1:
        raise JetError(explain(f"-n {arguments.constituents}", "a jet of one constituent or more", "use e.g. -n 50"))
    title = f"Models with default options; cost of a jet with {arguments.constituents} constituents"
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False)  # all of it in 80 columns
    table.add_column("model", no_wrap=True)
    for heading in ("parameters", "MFLOP"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("inputs", min_width=len("four-momenta,"))
    table.add_column("symmetry", min_width=len("Lorentz-invariant"))
    entries = list(catalogue(arguments.constituents))
    for entry in entries:
        inputs = ", ".join(("four-momenta", *entry.fields))
        table.add_row(entry.kind, f"{entry.parameters:,}", f"{entry.flops / 1e6:,.3g}", inputs, entry.symmetry)
    console = Console(highlight=False)
    console.print(table)
    width = max(len(entry.kind) for entry in entries)
    for entry in entries:
        console.print(f"{entry.kind:<{width}}  {entry.paper}", soft_wrap=True)
    console.print(f"\ntrained taggers in the zoo: {', '.join(zoo.names())}", soft_wrap=True)
    return 0


def _card(source: str) -> int:
    from ..evaluation.card_text import card_text
    from ..tagger.storage import find, read_card

    print(card_text(read_card(find(source))))
    return 0

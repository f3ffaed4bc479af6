"""``equitag demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-o", "--output", default="equitag-demo", metavar="DIR", help="folder for the results (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print where the results are."""
    from rich.console import Console

    from ..demo.run import run_demo

    run_demo(Path(arguments.output), Console())
    return 0

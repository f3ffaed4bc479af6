"""``equitag audit TAGGER DATA... -o DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import JetError, TaggerError, explain
from . import labelled_jets

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tagger", help="folder of a tagger or of a training run, or a name in the zoo")
    labelled_jets.configure(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for the report: report.html and report.json"
    )
    parser.add_argument(
        "--labels",
        metavar="FIELD",
        help="jet field that holds the class, for AUCs (default: label, if there is one)",
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="[NAME=]TAGGER",
        help="another tagger to show beside it; may be repeated (a plain MLP is always shown)",
    )
    parser.add_argument(
        "--num-jets",
        type=int,
        default=100,
        metavar="N",
        help="jets to transform in every way, spread evenly over the data; ten times as many for AUCs "
        "(default: %(default)s)",
    )
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")


def run(arguments: argparse.Namespace) -> int:
    """Audit, write the report, and print the verdict."""
    from ..evaluation.audit import audit
    from ..tagger import load

    if arguments.num_jets < 2:
        raise TaggerError(explain(f"--num-jets {arguments.num_jets}", "2 or more", "leave it out for 100"))
    out = Path(arguments.output)
    if out.exists() and not out.is_dir():
        raise JetError(explain(f"{out} is a file", "a folder", "choose another name"))
    tagger = load(arguments.tagger, arguments.device)
    beside: dict[str, Any] = {}
    for each in arguments.beside:
        name, sign, source = each.partition("=")
        other = load(source if sign else each, arguments.device)
        beside[_free(name if sign else other.name, {tagger.name, *beside})] = other
    report = audit(
        tagger,
        labelled_jets.read(arguments),
        arguments.labels,
        beside=beside,
        num_jets=arguments.num_jets,
        about={"Data": list(arguments.data)},
    )
    page = report.save(out)
    print(f"{report}\n  the report is {page}")
    return 0


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken."""
    number = 2
    found = name
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found

"""Arguments for files of labelled jets, shared by several subcommands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import awkward as ak

__all__ = ["configure", "read"]


def configure(parser: argparse.ArgumentParser, jets: argparse._ArgumentGroup | None = None) -> None:
    """Declare the files, and what to read from them: among the options, or in a group of the help."""
    parser.add_argument(
        "data", nargs="+", help="files of labelled jets (Parquet or ROOT), or folders; patterns are expanded"
    )
    (jets or parser).add_argument("--jets", metavar="NAME", help="for NanoAOD, the jet collection, e.g. FatJet")


def read(arguments: argparse.Namespace, path: str | list[str] | None = None) -> ak.Array:
    """Read the given files, or those at `path` in the same way."""
    from ..readers import read_jets

    return read_jets(arguments.data if path is None else path, jets=arguments.jets)

"""The ``equitag`` command: one module per subcommand, imported only when called."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import ConstituentsWarning, EquitagError, JetRangeWarning, TaggerWarning
from ..interrupts import Interrupts

__all__ = ["main"]

#: Subcommand -> its summary in ``equitag --help``; each is a module of this package.
COMMANDS = {
    "demo": "run the full chain on packaged jets: score, histogram, plot",
    "score": "score the jets in ROOT files and write the scores alongside the original branches",
    "train": "train a tagger on files of labelled jets",
    "compare": "compare training runs: medians over seeds, paired differences, cost",
    "search": "search for the best options of a training with Optuna",
    "evaluate": "measure a tagger on labelled jets: accuracy, AUC, background rejection, plots",
    "audit": "find out which symmetries a tagger has, how precisely, and whether it is infrared and collinear safe",
    "export": "write a tagger for torch.export, ONNX, CMS's software or Triton Inference Server",
    "convert": "convert an official checkpoint to a tagger",
    "benchmark": "time all implementations of the models, and show which one runs on this machine",
    "warmup": "compile networks beforehand, for workers and container images",
    "models": "list the models (parameters, cost, inputs, symmetry, paper) and the trained taggers in the zoo",
    "simulate": "generate labelled jets with Pythia 8 and fastjet",
    "validate": "compare simulated with real jets: a table and plots",
}

#: Heading in ``equitag --help`` -> its subcommands.
GROUPS = {
    "begin": ("demo", "models", "warmup"),
    "use a tagger": ("score", "export", "convert"),
    "train": ("train", "compare", "search"),
    "measure": ("evaluate", "audit", "benchmark"),
    "make jets": ("simulate", "validate"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``equitag``; return the exit status.

    Called without arguments it is the process, which an interrupt ends whatever its threads do.
    """
    is_process = argv is None
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="equitag",
        usage="equitag [-h] [--version] COMMAND ...",
        description="Symmetry-equivariant jet taggers for coffea analyses.",
        epilog=_listing(shutil.get_terminal_size().columns - 2),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    # Import only the module of the given command: `equitag --help` stays fast.
    given = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, prog=f"equitag {name}", description=summary[0].upper() + summary[1:] + ".")
        if name == given:
            importlib.import_module(f".{name}", __name__).configure(sub)
    arguments = parser.parse_args(argv, argparse.Namespace(words=argv))
    if arguments.version:
        from coffea_equitag import __version__

        print(__version__)
        return 0
    if arguments.command is None:
        parser.print_help()
        return 2
    interrupts = Interrupts()
    try:
        with interrupts.raised(), _plain_warnings(arguments.command):
            return int(importlib.import_module(f".{arguments.command}", __name__).run(arguments))
    except (EquitagError, OSError) as error:
        print(f"equitag {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"equitag {arguments.command}: interrupted", file=sys.stderr)
        if is_process:
            _exit_despite_threads(interrupts.status)
        return interrupts.status


def _listing(width: int) -> str:
    """The subcommands, in groups."""
    lines, indent = [], " " * 13
    for heading, names in GROUPS.items():
        lines += ["", f"{heading}:"]
        for name in names:
            lines += textwrap.wrap(COMMANDS[name], width, initial_indent=f"  {name:<11}", subsequent_indent=indent)
    return "\n".join([*lines[1:], "", "equitag COMMAND --help explains a command and its options."])


@contextmanager
def _plain_warnings(command: str) -> Iterator[None]:
    """Print our own warnings like our errors, without the source line."""
    usual = warnings.formatwarning

    def formatted(message: Any, category: type[Warning], *where: Any, **line: Any) -> str:
        if issubclass(category, JetRangeWarning | ConstituentsWarning | TaggerWarning):
            return f"equitag {command}: {message}\n"
        return usual(message, category, *where, **line)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _exit_despite_threads(status: int) -> None:
    """Exit even if a thread does not: a pool's thread may wait forever for the rest of a killed worker's message."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in others:
        if not thread.daemon:
            thread.join(2.0)
    if any(thread.is_alive() and not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

"""``equitag convert KIND CHECKPOINT -o DIR``."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", help="lorentznet, pelican, lgn, particlenet or pfn")
    parser.add_argument("checkpoint", help="file of the official code, read without unpickling code")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the tagger")
    parser.add_argument("--overwrite", action="store_true", help="replace a tagger that is in DIR")
    parser.add_argument("--name", help="name of the tagger (default: official-KIND)")
    parser.add_argument(
        "--classes", nargs="+", default=["background", "signal"], metavar="CLASS", help="in the order of the logits"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the model as it was trained, e.g. n_scalar=2 or clamp=100.0; repeat for more",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert, save, and say what came of it."""
    from ..convert import official
    from .options import parse_options

    tagger = official(
        arguments.kind,
        arguments.checkpoint,
        name=arguments.name,
        classes=tuple(arguments.classes),
        **parse_options(arguments.option),
    )
    path = tagger.save(arguments.output, overwrite=arguments.overwrite)
    print(f"{tagger} in {path}")
    return 0

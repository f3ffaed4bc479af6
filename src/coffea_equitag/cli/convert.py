"""``equitag convert KIND CHECKPOINT -o DIR``."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    kinds = "lorentznet, pelican, lgn, lgatr_slim, lloca_transformer, particlenet, particle_transformer or pfn"
    parser.add_argument("kind", help=kinds)
    parser.add_argument("checkpoint", help="checkpoint file of the official code, read without executing pickled code")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the tagger")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing tagger in DIR")
    parser.add_argument("--name", help="name of the tagger (default: official-KIND)")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=["background", "signal"],
        metavar="CLASS",
        help="names in the order of the logits",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option the model was trained with, e.g. n_scalar=2 or clamp=100.0; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert, save, and print the tagger and its path."""
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

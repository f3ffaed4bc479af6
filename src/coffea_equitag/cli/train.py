"""``equitag train MODEL DATA... -o DIR``."""

from __future__ import annotations

import argparse
from typing import Any

from . import labelled_jets
from .options import parse_options

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", help="network to train, e.g. lorentznet or pfn; `equitag models` lists them")
    labelled_jets.configure(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder of the run; an unfinished run in it is resumed"
    )
    parser.add_argument(
        "--classes", metavar="A,B,...", help="names of the classes, in the order of labels (background,signal)"
    )
    parser.add_argument(
        "--validation", default="0.1", metavar="X", help="fraction of the jets, or a file (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, help="number of epochs (default: as in the paper)")
    parser.add_argument("--batch-size", type=int, help="jets per batch (default: as in the paper)")
    parser.add_argument(
        "--pair-budget", type=int, help="largest number of constituent pairs at a time (default: what fits in memory)"
    )
    parser.add_argument("--learning-rate", type=float, help="peak learning rate (default: as in the paper)")
    parser.add_argument("--balance", action="store_true", help="give each class the same total weight in the loss")
    parser.add_argument(
        "--precision", choices=["32", "bf16-mixed"], default="32", help="precision of the network (default: 32)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed for weights, split, batches and dropout (default: %(default)s)"
    )
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--name", help="name of the tagger (default: the model's name)")
    parser.add_argument("--restart", action="store_true", help="start from scratch instead of resuming the run in DIR")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the model, e.g. --option hidden=32 --option beams=false; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, and print the tagger, its path and its metrics."""
    import torch

    from ..models import build
    from ..training import fit

    torch.manual_seed(arguments.seed)
    classes = arguments.classes.split(",") if arguments.classes else None
    options = parse_options(arguments.option)
    if classes is not None:
        options.setdefault("n_classes", len(classes))
    model = build(arguments.model, **options)
    tagger = fit(
        model,
        labelled_jets.read(arguments),
        arguments.labels,
        validation=_validation(arguments),
        out=arguments.output,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        pair_budget=arguments.pair_budget,
        learning_rate=arguments.learning_rate,
        class_weights="balanced" if arguments.balance else None,
        precision=arguments.precision,
        seed=arguments.seed,
        device=arguments.device,
        resume=not arguments.restart,
        name=arguments.name,
        classes=classes,
        data=", ".join(arguments.data),
    )
    print(f"{tagger!r}\n  in {tagger.path}")
    for name, value in tagger.card.metrics.items():
        print(f"  {name:<16}{value:.5g}")
    return 0


def _validation(arguments: argparse.Namespace) -> Any:
    try:
        return float(arguments.validation)
    except ValueError:
        return labelled_jets.read(arguments, arguments.validation)

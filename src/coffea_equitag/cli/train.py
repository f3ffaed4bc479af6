"""``equitag train MODEL DATA... -o DIR``, or ``equitag train run.yaml``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import TaggerError, TimeLimitError, explain
from .options import parse_options
from .schema_flags import add_flags, given_values

__all__ = ["configure", "run"]

#: Exit status of a training whose time was up: EX_TEMPFAIL, "try again".
_TRY_AGAIN = 75

_SUFFIXES = (".yaml", ".yml", ".toml")

#: Heading in ``equitag train --help`` -> keys of the configuration.
GROUPS = {
    "the network": ("init_from", "frozen", "pretrained_rate", "name", "precision"),
    "jets": (
        "jets",
        "labels",
        "label_map",
        "unmapped",
        "classes",
        "signal",
        "jet_definition",
        "select",
        "weights",
        "flat",
        "folds",
        "fold",
        "event_id",
        "validation",
        "split_seed",
        "max_constituents",
        "augmentation",
        "shuffle",
        "workers",
    ),
    "what is learned": (
        "target",
        "auxiliary",
        "keep_auxiliary",
        "decorrelate",
        "decorrelation",
        "class_weights",
        "label_smoothing",
    ),
    "steps": (
        "recipe",
        "epochs",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "accumulate",
        "ema",
        "pool",
        "pair_budget",
    ),
    "the run": (
        "seed",
        "seeds",
        "monitor",
        "patience",
        "device",
        "save_every",
        "time_limit",
        "loggers",
        "log_every",
    ),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: one flag for each key of the configuration."""
    from ..training.run_config import RunConfig

    parser.usage = "%(prog)s [-h] [-o DIR] [options] model [data ...]"
    parser.add_argument(
        "model",
        help="network to train, e.g. lorentznet or pfn (`equitag models` lists them), or a configuration file "
        "(.yaml, .toml) with the flags below as its keys, which flags replace",
    )
    parser.add_argument("data", nargs="*", help=RunConfig.model_fields["data"].description)
    parser.add_argument(
        "-o",
        "--output",
        default=argparse.SUPPRESS,
        metavar="DIR",
        help=RunConfig.model_fields["output"].description,
    )
    groups = add_flags(parser, RunConfig, without=("model", "data", "output", "options"), groups=GROUPS)
    groups["what is learned"].add_argument(
        "--balance", action="store_true", help="the same as --class-weights balanced"
    )
    groups["the run"].add_argument(
        "--restart", action="store_true", help="start from scratch instead of resuming the run in DIR"
    )
    groups["the network"].add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the network, e.g. --option hidden=32 --option beams=false; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, and print each tagger, its path and its metrics."""
    from ..training.run_config import RunConfig
    from ..training.train import train

    given = given_values(argparse.Namespace(**_flags(arguments)), RunConfig)
    if arguments.balance:
        given["class_weights"] = "balanced"
    options = parse_options(arguments.option)
    if Path(arguments.model).suffix.lower() in _SUFFIXES:
        config = RunConfig.read(arguments.model, **given)
        if options:
            config = config.model_copy(update={"options": config.options | options})
    else:
        for needed in ("data", "output"):
            if needed not in given:
                raise TaggerError(
                    explain(
                        f"train {arguments.model} without {needed}",
                        "files of jets and the folder of the run, or a configuration file that names them",
                        f"write equitag train {arguments.model} jets.parquet -o run",
                    )
                )
        config = RunConfig.from_mapping(given | {"model": arguments.model, "options": options}, "a run")
    try:
        taggers = train(config, resume=not arguments.restart)
    except TimeLimitError as error:
        print(f"equitag train: {error}", file=sys.stderr)
        return _TRY_AGAIN
    for tagger in taggers:
        print(f"{tagger!r}\n  in {tagger.path}")
        for name, value in tagger.card.metrics.items():
            print(f"  {name:<16}{value:.5g}")
    return 0


def _flags(arguments: argparse.Namespace) -> dict[str, object]:
    """Arguments that are keys of the configuration."""
    others = ("model", "option", "balance", "restart", *([] if arguments.data else ["data"]))
    return {name: value for name, value in vars(arguments).items() if name not in others}

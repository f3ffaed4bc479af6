"""``equitag search run.yaml``."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from ..errors import TaggerError, explain

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", help="configuration of `equitag train` (.yaml, .toml); `output` holds the trials")
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="what to vary: a list as in options.hidden='[16, 32]', or a range as in "
        "learning_rate='{low: 1e-4, high: 1e-2, log: true}'; may be repeated",
    )
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="number of trials, earlier ones included (default: 20)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Search, and print the best trial."""
    from ..training.run_config import RunConfig
    from ..training.search import search

    if not arguments.over:
        raise TaggerError(
            explain("a search over nothing", "at least one --over", "write e.g. --over 'batch_size=[64, 128]'")
        )
    config = RunConfig.read(arguments.config)
    found = search(config, dict(map(_key_and_values, arguments.over)), trials=arguments.trials)
    print(f"best of {found.num_trials} trials: {config.monitor} {found.value:.5g}")
    for line in found.config.to_yaml().splitlines():
        print(f"  {line}")
    print(f"train it again with: equitag train {config.output}/best.yaml")
    return 0


def _key_and_values(argument: str) -> tuple[str, Any]:
    key, sign, values = argument.partition("=")
    try:
        found = yaml.safe_load(values)
    except yaml.YAMLError:
        found = None
    if not sign or not isinstance(found, list | dict):
        raise TaggerError(
            explain(
                f"--over {argument}",
                "KEY=[A, B, ...] or KEY={low: A, high: B}",
                "write e.g. --over 'batch_size=[64, 128]'",
            )
        )
    return key, found

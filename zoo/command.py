"""The command: simulate what is missing, train, measure, and publish."""

from __future__ import annotations

import argparse
from pathlib import Path

from coffea_equitag import load
from coffea_equitag.errors import TaggerError, explain
from coffea_equitag.evaluation.card_text import card_text
from coffea_equitag.tagger import Tagger
from coffea_equitag.training import RunConfig, train
from coffea_equitag.training.comparison.finished_run import FinishedRun

from .card import described
from .config import ZooConfig
from .publish import publish, write_tables
from .samples import make_samples

__all__ = ["main", "make"]


def main(arguments: list[str] | None = None) -> None:
    """``python -m zoo NAME -o DIR``, or ``python -m zoo --tables``."""
    parser = argparse.ArgumentParser(prog="python -m zoo", description="Make a packaged tagger.")
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(ZooConfig.names())}, or a YAML file")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder of the training (default: zoo-NAME)")
    parser.add_argument("--jets", type=Path, metavar="DIR", help="folder of the samples (default: jets/ in the output)")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="published jets to test on too")
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes of the simulation")
    parser.add_argument("--publish", action="store_true", help="put the tagger into the package, and write the tables")
    parser.add_argument("--tables", action="store_true", help="only write the tables of docs/zoo.md and README.md")
    given = parser.parse_args(arguments)
    if given.tables:
        return write_tables()
    if given.name is None:
        parser.error("NAME is missing")
    name, config = ZooConfig.read(given.name)
    output = given.output or Path(f"zoo-{name}")
    tagger = make(name, config, output, given.jets or output / "jets", given.reference, given.workers)
    tagger.save(output / "described", overwrite=True)
    print(card_text(tagger.card))
    if given.publish:
        publish(tagger)
        write_tables()
    return None


def make(
    name: str, config: ZooConfig, output: Path, jets: Path, reference: Path | None = None, workers: int = 1
) -> Tagger:
    """Simulate, train and measure a tagger; what is there already is not done again.

    Raises
    ------
    TaggerError
        If the folder holds a finished training of another configuration.
    JetError
        As `make_samples`.
    """
    folders = make_samples(config, jets, workers)
    run = config.run_config(name, folders, output)
    if _is_finished(output):
        _check(run, RunConfig.read(output / "config.yaml"), set(config.training))
    else:
        train(run)
    return described(name, config, load(output, "cpu"), folders, reference)


def _is_finished(output: Path) -> bool:
    return all((output / name).is_file() for name in ("run.json", "last.ckpt")) and FinishedRun(output, "").is_finished


def _check(wanted: RunConfig, found: RunConfig, keys: set[str]) -> None:
    """Refuse a training that differs in what the tagger's file says."""
    differing = [key for key in sorted(keys) if getattr(wanted, key) != getattr(found, key)]
    if differing:
        given = "; ".join(f"{key} = {getattr(found, key)!r}, not {getattr(wanted, key)!r}" for key in differing)
        raise TaggerError(
            explain(f"{found.output} with {given}", "the training of the tagger's file", "train it again")
        )

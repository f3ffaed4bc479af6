"""The command of every study: simulate, train, measure, write."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import coffea_equitag as eqt
from coffea_equitag.atomic_file import write_atomic

from .earlier import Earlier
from .jets import TestSample, make_jets
from .overview import write_tables
from .page import write_page
from .results import measure
from .runs import Runs
from .study import Study

__all__ = ["main", "run"]

_HERE = Path(__file__).parent


def main(package: str, arguments: list[str] | None = None) -> None:
    """Run a study of this package: ``studies.NAME``."""
    name = package.rsplit(".", 1)[-1]
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description="Simulate, train and compare.")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the jets, e.g. 0.1 (default: 1)")
    parser.add_argument("--repeats", type=int, help="at most so many trainings of each, e.g. 1 (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help="variants to train (default: all)")
    parser.add_argument("--available", action="store_true", help="train nothing, and measure what is trained so far")
    parser.add_argument(
        "--page", action="store_true", help="only write the page of the results again, e.g. with remarks"
    )
    parser.add_argument("--jets", type=Path, help="folder of the simulated jets (default: within the output)")
    parser.add_argument("--runs", type=Path, help="folder of the trainings (default: within the output)")
    parser.add_argument("--reference", type=Path, help="file of published jets to test on too")
    parser.add_argument("-o", "--output", type=Path, help="folder of everything (default: study-NAME)")
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes of the simulation")
    parser.add_argument("--publish", action="store_true", help="write the results and the page into the repository")
    run(name, parser.parse_args(arguments))


def run(name: str, given: argparse.Namespace) -> Path | None:
    """Do what the command says; the page, or None if some variants are not trained yet."""
    study = Study.read(_HERE / name)
    study = study if given.repeats is None else study.at_most(given.repeats)
    output = given.output or Path(f"study-{name}")
    kept, pages = (_HERE / name, _HERE.parent / "docs" / "studies") if given.publish else (output, output)
    if given.page:
        return write_page(study, name, json.loads((kept / "results.json").read_text()), pages)
    folder = given.jets or output / "jets"
    runs = Runs(study, given.runs or output / "runs", given.scale)
    if not given.available:
        _train(study, runs, given, folder)
        if next(runs.missing(), None):
            return None
    test = make_jets(study.sample, ("test",), given.scale, folder, given.workers)["test"]
    samples = {"simulated": TestSample(test)} | ({"real": TestSample(given.reference)} if given.reference else {})
    identities = {sample: one.identity for sample, one in samples.items()}
    earlier = Earlier.read(_HERE, name, study, identities) if given.available else None
    results = measure(study, runs, samples, available=given.available, earlier=earlier)
    results["made"] = {
        "jets": study.sample.scaled(given.scale),
        "version": eqt.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    kept.mkdir(parents=True, exist_ok=True)
    write_atomic(kept / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    if given.publish:
        write_tables(_HERE.parent)
    return write_page(study, name, results, pages)


def _train(study: Study, runs: Runs, given: argparse.Namespace, folder: Path) -> None:
    """Train what is missing, on jets that are simulated if need be."""
    missing = list(runs.missing(given.only))
    wanted = {part for entry, _ in missing for part in study.sample.portion(entry.size)[0]}
    if missing:
        parts = [part for part in study.sample.jets if part in wanted | {"validation"}]
        jets = make_jets(study.sample, parts, given.scale, folder, given.workers)
    for entry, seed in missing:
        runs.train(entry, seed, jets)

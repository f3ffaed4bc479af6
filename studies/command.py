"""The command of every study: simulate, train, measure, write."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import coffea_equitag as eqt
from coffea_equitag.atomic_file import write_atomic
from coffea_equitag.training import train

from .jets import make_jets
from .page import write_page
from .results import measure
from .study import Study

__all__ = ["main"]

_HERE = Path(__file__).parent


def main(package: str, arguments: list[str] | None = None) -> None:
    """Run a study of this package: ``studies.NAME``."""
    name = package.rsplit(".", 1)[-1]
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description="Simulate, train and compare.")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the jets, e.g. 0.1 (default: 1)")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="variants to train now (default: all)")
    parser.add_argument("--jets", type=Path, help="folder of the simulated jets (default: within the output)")
    parser.add_argument("--reference", type=Path, help="file of published jets to test on too")
    parser.add_argument("-o", "--output", type=Path, help="folder of everything (default: study-NAME)")
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes of the simulation")
    parser.add_argument("--publish", action="store_true", help="write the results and the page into the repository")
    run(name, parser.parse_args(arguments))


def run(name: str, given: argparse.Namespace) -> Path | None:
    """Do what the command says; the page, or None if some variants are not trained yet."""
    study = Study.read(_HERE / name)
    output = given.output or Path(f"study-{name}")
    making = {"scale": given.scale, "folder": given.jets or output / "jets", "workers": given.workers}
    jets = make_jets(study.sample, ("train", "validation"), **making)
    for variant in given.only or study.variants:
        train(study.run_config(variant, jets, output / "runs"))
    if given.only and set(given.only) != set(study.variants):
        return None
    samples = {"simulated": eqt.read_jets(make_jets(study.sample, ("test",), **making)["test"])}
    if given.reference:
        samples["real"] = eqt.read_jets(given.reference)
    results = measure(study, output / "runs", samples)
    results["made"] = {
        "jets": study.sample.scaled(given.scale),
        "version": eqt.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    kept, pages = (_HERE / name, _HERE.parent / "docs" / "studies") if given.publish else (output, output)
    write_atomic(kept / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    return write_page(study, name, results, pages)

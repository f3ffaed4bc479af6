"""Everything: simulate what is missing, process, estimate the background, fit, plot.

::

    python -m example_analysis.run --size full --workers 2 --output boosted-top
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import coffea.util
import numpy as np

from . import background, fit, plots, processor, samples, templates
from .selection import COLLECTION


def analyse(folder: Path, size: samples.Size, *, strength: float = 1.0, workers: int = 1) -> dict[str, Any]:
    """Run the analysis; files and figures go to the folder, and the results are returned."""
    files = samples.make(folder / "samples", size, strength=strength, workers=workers)
    output = processor.run(files, size.luminosity, workers)
    coffea.util.save(output, folder / "histograms.coffea")
    mass = templates.mass_histogram(output)
    qcd = templates.background(mass)
    data, _ = templates.counts(mass, "data", "PP")
    spec = fit.workspace(data, templates.template(mass, "zprime"), templates.template(mass, "ttbar"), qcd)
    result, model, best = fit.run(spec, folder)
    title = f"simulated pseudo-data, {size.luminosity:g}/pb (13 TeV)"
    plots.monitoring(output, folder, title)
    plots.transfer_factor(mass, qcd, folder, title)
    plots.signal_region(model, data, folder, title)
    plots.signal_region(model, data, folder, title, best)
    found = {"injected": strength, **asdict(result), **summary(output, qcd, data)}
    (folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def summary(output: dict[str, Any], qcd: background.Estimate, data: np.ndarray) -> dict[str, Any]:
    """What else a reader wants to know, as JSON values."""
    predicted, true, uncertainty = qcd.closure
    return {
        "data": int(data.sum()),
        "qcd_estimate": float(qcd.values.sum()),
        "transfer_factor": qcd.transfer_factor.coefficients.tolist(),
        "closure": {"predicted": predicted, "true": true, "uncertainty": uncertainty},
        "cutflow": output["cutflow"],
        "monitoring": output["monitoring"][COLLECTION]["score"],
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Rows of numbers by name."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    widths = {name: max(len(name), 10) + 2 for name in columns}
    lines = [f"{'':8}" + "".join(f"{name:>{width}}" for name, width in widths.items())]
    lines += [f"{name:8}" + "".join(f"{row.get(c, 0):{w}.6g}" for c, w in widths.items()) for name, row in rows.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("boosted-top"), help="folder (default: boosted-top)")
    parser.add_argument("--size", choices=samples.SIZES, default="small", help="default: small, half a minute")
    parser.add_argument("--strength", type=float, default=1.0, help="signal strength in the pseudo-data (default: 1)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    found = analyse(
        arguments.output, samples.SIZES[arguments.size], strength=arguments.strength, workers=arguments.workers
    )
    print("jets given to the tagger\n" + table(found["monitoring"]))
    print(
        "events\n"
        + table({name: {cut: row["weight"] for cut, row in rows.items()} for name, rows in found["cutflow"].items()})
    )
    print(f"signal region: {found['data']} events of data, {found['qcd_estimate']:.1f} of QCD expected from data")
    print(f"signal strength {found['strength']:.2f} +- {found['uncertainty']:.2f} (injected: {found['injected']:g})")
    print(f"upper limit at 95% CL {found['observed_limit']:.2f} (expected {found['expected_limits'][2]:.2f})")
    print(f"figures in {arguments.output}/")


if __name__ == "__main__":
    main()

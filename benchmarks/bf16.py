"""What kernels in bf16 do to trained taggers: errors of scores, background rejection, and time, beside float32.

::

    python benchmarks/bf16.py SAMPLE... --into docs/howto/precision.md

A sample is a file of labelled jets, or a folder of such Parquet files. The change of 1/ε_B is that of the same jets,
its uncertainty that of their bootstrap; where only a handful of background jets pass, there is none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import awkward as ak
import numpy as np
from scipy.special import softmax

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.array_types import F8, I8
from coffea_equitag.cpu_name import cpu_name
from coffea_equitag.evaluation.resampling import ReweightedMetrics
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.marked_page import between_markers
from coffea_equitag.tagger import Tagger, load

EFFICIENCIES = (0.5, 0.3)
RESAMPLINGS, TIMED, ROUNDS, PASSING = 300, 1000, 9, 5
BEGIN, END = "<!-- made by: python benchmarks/bf16.py -->", "<!-- end of what benchmarks/bf16.py made -->"
HEAD = [
    "tagger", "jets", "number", "error of the score, rms", "largest", "1/ε_B at 50%", "in bf16", "1/ε_B at 30%",
    "in bf16", "µs per jet", "in bf16",
]  # fmt: skip


def main() -> None:
    options = arguments()
    rows = []
    for sample in options.samples:
        jets = read(sample)
        for name in options.taggers:
            rows.append([name, sample.stem, f"{len(jets):,}", *measured(load(name), jets)])
            print(" | ".join(rows[-1]), flush=True)
    lines = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 2)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = f"\n\n{table}\n\n{cpu_name()}, one thread.\n\n"
    if options.into is not None:
        options.into.write_text(between_markers(options.into.read_text(), (BEGIN, END), text))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("samples", nargs="+", type=Path, metavar="SAMPLE", help="labelled jets, 1 the signal")
    parser.add_argument(
        "--taggers", nargs="+", default=["top-lorentznet", "top-particlenet"], help="default: %(default)s"
    )
    parser.add_argument("--into", type=Path, metavar="PAGE.md", help="page that gets the table")
    return parser.parse_args()


def read(sample: Path) -> ak.Array:
    """All jets of a file or a folder."""
    jets: ak.Array = eqt.read_jets(sorted(sample.glob("*.parquet")) if sample.is_dir() else sample)
    return jets


def measured(tagger: Tagger, jets: ak.Array) -> list[str]:
    """The columns of one tagger on one sample."""
    ragged, labels = RaggedJets.from_awkward(jets, tagger.model.fields), np.asarray(jets.label, np.int64)
    plain, coarse = (probabilities(tagger, ragged, precision) for precision in ("float32", "bf16"))
    error = (coarse - plain)[:, 1]
    columns = [f"{np.sqrt(np.mean(error**2)):.1e}", f"{np.abs(error).max():.1e}"]
    for now, change, spread in rejections(plain, coarse, labels):
        enough = np.count_nonzero(labels == 0) / now >= PASSING
        columns += [f"{now:,.0f}", f"{100 * change:+.1f} ± {100 * spread:.1f}%"] if enough else ["–", "–"]
    return columns + [f"{1e6 * seconds:.0f}" for seconds in seconds_per_jet(tagger, ragged)]


def probabilities(tagger: Tagger, jets: RaggedJets, precision: str) -> F8:
    """Scores (J, 2), in float64."""
    with kernels.use("cpu", precision=precision):
        outputs = tagger.outputs(jets)
    choice = kernels.last_choice(tagger.model.kind)
    if choice is None or (choice.kernel, choice.precision) != ("cpu", precision):
        sys.exit(f"{tagger.model.kind} did not run in {precision}: {choice}. Nothing was measured.")
    found: F8 = softmax(outputs.astype(np.float64) / tagger.card.temperature, axis=1)
    return found


def rejections(plain: F8, coarse: F8, labels: I8) -> list[tuple[float, float, float]]:
    """At each efficiency 1/ε_B in float32, its relative change in bf16, and what other jets would make of that."""
    one, other = (ReweightedMetrics(scores, labels, 1, EFFICIENCIES) for scores in (plain, coarse))
    rng = np.random.default_rng(0)
    weights = [np.ones(len(labels)), *(rng.poisson(1.0, len(labels)).astype(np.float64) for _ in range(RESAMPLINGS))]
    found = np.array([(one(weight)[2:], other(weight)[2:]) for weight in weights])
    with np.errstate(invalid="ignore"):  # no background passes
        changes = found[:, 1] / found[:, 0] - 1
    return [(found[0, 0, k], changes[0, k], changes[1:, k].std()) for k in range(len(EFFICIENCIES))]


def seconds_per_jet(tagger: Tagger, jets: RaggedJets) -> list[float]:
    """Processor time in float32 and in bf16, medians of rounds in turn."""
    few = jets.slice(0, min(TIMED, jets.num_jets))

    def timed(precision: str) -> float:
        start = time.process_time()
        probabilities(tagger, few, precision)
        return (time.process_time() - start) / few.num_jets

    return in_turn([lambda precision=precision: timed(precision) for precision in ("float32", "bf16")])  # type: ignore[misc]


def in_turn(tasks: Sequence[Callable[[], float]]) -> list[float]:
    """The median of each."""
    return np.median([[task() for task in tasks] for _ in range(ROUNDS)], axis=0).tolist()  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()

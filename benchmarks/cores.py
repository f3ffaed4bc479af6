"""How much faster many jets are scored on several cores: `python benchmarks/cores.py [NETWORK ...] [--cores N]`.

Wall-clock time of scoring top-like jets, on one core and on several in turn; the machine must be otherwise idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch

from coffea_equitag import models
from coffea_equitag.benchmarking.networks import build
from coffea_equitag.benchmarking.workloads import WORKLOADS, random_jets
from coffea_equitag.tagger.inference import outputs

_ATTENTION = {"particle_transformer", "lgatr_slim", "lloca_transformer"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=[name for name in models.names() if name not in _ATTENTION])
    parser.add_argument("--cores", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--jets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"| network | one core, ms | {arguments.cores} cores, ms | × |\n| --- | ---: | ---: | ---: |")
    for name in arguments.networks:
        model = build(name)
        jets = random_jets(WORKLOADS["top"], arguments.jets, model.fields)
        one, several = in_turn(lambda model=model, jets=jets: outputs(model, jets), arguments.cores, arguments.rounds)
        gain = statistics.median(a / b for a, b in zip(one, several, strict=True))
        print(f"| {name} | {1e3 * statistics.median(one):.0f} | {1e3 * statistics.median(several):.0f} | {gain:.2f} |")


def in_turn(task: Callable[[], object], cores: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds on one core and on several, round by round."""
    found: dict[int, list[float]] = {1: [], cores: []}
    for measured in range(rounds + 1):
        for threads, times in found.items():
            torch.set_num_threads(threads)
            start = time.perf_counter()
            task()
            if measured:  # the first round compiles
                times.append(time.perf_counter() - start)
    return found[1], found[cores]


if __name__ == "__main__":
    main()

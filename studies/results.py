"""What the trained networks of a study do on test jets, as JSON values."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import awkward as ak
import torch

from coffea_equitag.training.comparison import compare_runs
from coffea_equitag.training.comparison.finished_run import find_runs

from .study import Expected, Study

__all__ = ["measure"]

#: Jets that the cost of scoring is measured on.
_TIMED = 1000


def measure(study: Study, runs: Path, samples: dict[str, ak.Array]) -> dict[str, Any]:
    """Metrics on each sample, with differences to the baseline and their significance, and the cost per jet."""
    folders = [runs / name for name in study.variants]
    compared = {name: compare_runs(folders, jets).as_dict() for name, jets in samples.items()}
    for one in compared.values():
        for name, variant in zip(study.variants, one["variants"], strict=True):
            variant["name"] = name
    timed = next(iter(samples.values()))[:_TIMED]
    cost = {name: _microseconds(runs / name, timed) for name in study.variants}
    verdicts = [_verdict(expected, one, name) for expected in study.expected for name, one in compared.items()]
    return {"samples": compared, "scoring_us_per_jet": cost, "verdicts": verdicts}


def _microseconds(folder: Path, jets: ak.Array) -> float:
    """Processor time per jet in one thread, from awkward jets to scores; the best of three."""
    tagger = find_runs([folder])[0].tagger
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        tagger(jets)
        best = min(_seconds(tagger, jets) for _ in range(3))
    finally:
        torch.set_num_threads(threads)
    return 1e6 * best / len(jets)


def _seconds(tagger: Any, jets: ak.Array) -> float:
    start = time.process_time()
    tagger(jets)
    return time.process_time() - start


def _verdict(expected: Expected, compared: dict[str, Any], sample: str) -> dict[str, Any]:
    """Whether one variant is better than another; significances from the replicas where one is the baseline."""
    variants = {one["name"]: one for one in compared["variants"]}
    pair = [variants[expected.better], variants[expected.worse]]
    values = [one["quartiles"][expected.metric][1] for one in pair]
    better, worse = (math.inf if value is None else value for value in values)  # only rejections can be infinite
    sigma = None
    for one, other, sign in ((*pair, 1), (*pair[::-1], -1)):
        difference = one["differences"].get(expected.metric, {})
        if not other["differences"] and difference and None not in difference.values():
            width = (difference["high"] - difference["low"]) / 2
            sigma = sign * difference["value"] / width if width > 0 else None
    return {"sample": sample, **expected.model_dump(), "values": values, "confirmed": better > worse, "sigma": sigma}

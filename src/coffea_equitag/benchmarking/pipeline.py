"""From a ROOT file to a ROOT file with scores: where the time goes."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import awkward as ak

from ..demo import PACKAGED_FILE, PACKAGED_TAGGER
from ..errors import JetRangeWarning
from ..invariants.gram import gram
from ..jets.ragged import ragged_and_nesting
from ..models.beams import with_beams
from ..scoring import score_file
from ..scoring.score_columns import default_reader
from ..tagger import Tagger, load

__all__ = ["STEPS", "from_file_to_scores"]

#: The steps and their descriptions.
STEPS = {
    "read": "read and decompress the branches of the jets",
    "build": "build jets with constituents, and flatten them",
    "invariants": "pair products",
    "network": "logits and probabilities",
    "write": "copy and compress the branches, with the scores",
}


def from_file_to_scores(file: str | None = None, repeats: int = 3, device: str = "cpu") -> dict[str, Any]:
    """Score a file with the packaged LorentzNet by `score_file`; time the whole and each step.

    The steps are timed from outside, with a reader and a tagger that do their work twice; the whole is timed without
    these.

    Returns
    -------
    dict
        Serializable as JSON: events, jets, ``seconds`` in total, seconds of each of ``steps``; medians of the repeats.
    """
    source, tagger = file or str(PACKAGED_FILE), load(PACKAGED_TAGGER, device)
    wholes, steps = [], []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", JetRangeWarning)
        output = Path(folder) / "scored.root"
        keywords: dict[str, Any] = {"overwrite": True, "progress": False, "name": "benchmark"}
        for _ in range(repeats):
            steps.append(_step_by_step(tagger, source, output, keywords))  # first, since it also loads compiled code
            report = score_file(tagger, source, output, **keywords)
            wholes.append(report.seconds)
    return {
        "file": Path(source).name,
        "events": report.events,
        "jets": report.jets,
        "seconds": statistics.median(wholes),
        "steps": {name: statistics.median(found[name] for found in steps) for name in STEPS},
    }


def _step_by_step(tagger: Tagger, source: str, output: Path, keywords: dict[str, Any]) -> dict[str, float]:
    clock = _StepClock(tagger)
    total = score_file(clock, source, output, reader=clock.read, **keywords).seconds
    return {**clock.steps, "write": total - clock.spent}


class _StepClock:
    """A reader and tagger that records the time of each step."""

    def __init__(self, tagger: Tagger) -> None:
        self.tagger, self.reader = tagger, default_reader([tagger])
        self.fields = tagger.card.contract.constituent_fields
        self.steps = dict.fromkeys(STEPS, 0.0)
        self.spent = 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        return self.tagger.classes

    def read(self, events: ak.Array, collection: str) -> ak.Array:
        """Build the jets twice: the first time the branches are read from the file, the second time from memory."""
        start = time.perf_counter()
        ragged_and_nesting(self.reader(events, collection), self.fields)
        middle = time.perf_counter()
        jets = self.reader(events, collection)
        ragged_and_nesting(jets, self.fields)
        end = time.perf_counter()
        self.steps["read"] += (middle - start) - (end - middle)
        self.steps["build"] += end - middle
        self.spent += end - start
        return jets

    def __call__(self, jets: ak.Array) -> ak.Array:
        start = time.perf_counter()
        ragged, _ = ragged_and_nesting(jets, self.fields)
        flattened = time.perf_counter()
        gram(with_beams(ragged))
        multiplied = time.perf_counter()
        scores = self.tagger(jets)
        end = time.perf_counter()
        self.steps["invariants"] += multiplied - flattened
        self.steps["network"] += (end - multiplied) - (multiplied - start)
        self.spent += end - start
        return scores

"""From a ROOT file to scores in a file or in a processor: where the time goes, and how much of it is the network's."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import torch
from coffea.nanoevents import NanoEventsFactory
from torch import Tensor

from ..demo import PACKAGED_FILE
from ..errors import JetRangeWarning
from ..invariants.gram import gram
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets, ragged_and_nesting
from ..models.beams import with_beams
from ..models.pfn import PFN
from ..processor import TaggerProcessor
from ..readers import read_jets
from ..schema import QuietPFNano
from ..scoring import score_file
from ..scoring.score_columns import default_reader
from ..tagger import Tagger, load
from ..tagger.inference import rows
from .clock import Spread, in_turn, now
from .large_file import write_large_file

__all__ = ["STEPS", "TAGGERS", "from_file_to_scores"]

#: The steps and their descriptions.
STEPS = {
    "read": "read and decompress the branches of the jets",
    "build": "build jets with constituents, and flatten them",
    "invariants": "pair products and features",
    "network": "logits and probabilities",
    "write": "copy and compress the branches, with the scores",
}

#: A tagger that costs much more than reading and writing, and one that costs about as much.
TAGGERS = ("top-lorentznet", "top-pfn-mass")


def from_file_to_scores(
    jets: int, file: str | None = None, rounds: tuple[int, int] = (3, 3), device: str = "cpu"
) -> dict[str, Any]:
    """Time the whole way of packaged taggers, and its steps.

    Parameters
    ----------
    jets : int
        Number of jets at least, of the packaged file's events many times over.
    file : str, optional
        NanoAOD-like file to score instead.
    rounds : (int, int)
        Minimum and maximum number of repetitions.
    device : str
        Where to compute.

    Returns
    -------
    dict
        Serializable as JSON: events, jets, and for each tagger medians in seconds: of the ``engine`` (invariants and
        network, on flat jets in memory), of `score_file`, of a `TaggerProcessor`, and of each of the ``steps`` of
        `score_file`.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", JetRangeWarning)
        source, output = Path(file or Path(folder) / "events.root"), Path(folder) / "scored.root"
        if file is None:
            write_large_file(source, jets)
        found = {name: _whole_way(load(name, device), source, output, rounds, device) for name in TAGGERS}
        report = score_file(TAGGERS[-1], source, output, overwrite=True, progress=False)
    return {
        "file": None if file is None else source.name,
        "events": report.events,
        "jets": report.jets,
        "taggers": found,
    }


def _whole_way(tagger: Tagger, source: Path, output: Path, rounds: tuple[int, int], device: str) -> dict[str, Any]:
    for task in _tasks(tagger, PACKAGED_FILE, output, device, []).values():
        task()  # loads compiled code
    steps: list[dict[str, float]] = []
    tasks = _tasks(tagger, source, output, device, steps)
    times = in_turn(tasks, 0.0, device, rounds)
    return {
        **{name: Spread.of(times[name]).median for name in tasks if name != "steps"},
        "steps": {name: Spread.of([found[name] for found in steps]).median for name in STEPS},
    }


def _tasks(
    tagger: Tagger, source: Path, output: Path, device: str, steps: list[dict[str, float]]
) -> dict[str, Callable[[], Any]]:
    """What is timed; `steps` gets the seconds of each step of scoring."""
    flat, _ = ragged_and_nesting(read_jets(source, jets="FatJet"), tagger.card.contract.constituent_fields)
    score = partial(score_file, source=source, output=output, overwrite=True, progress=False, name="benchmark")

    def step_by_step() -> None:
        clock, start = _StepClock(tagger, device), now(device)
        score(clock, reader=clock.read)
        steps.append(clock.steps | {"write": now(device) - start - clock.spent})

    return {
        "engine": lambda: tagger.probabilities(flat),
        "score": lambda: score(tagger),
        "processor": lambda: TaggerProcessor({"FatJet": tagger}).process(_events(source)),
        "steps": step_by_step,
    }


def _events(source: Path) -> ak.Array:
    """All events of a file, as coffea gives a chunk to a processor."""
    opened = NanoEventsFactory.from_root({str(source): "Events"}, schemaclass=QuietPFNano, metadata={"dataset": "jets"})
    return opened.events()


def _invariants(model: JetModel, jets: RaggedJets) -> Tensor:
    """What a network computes of the jets before its layers; rows without columns."""
    if isinstance(model, PFN):
        model.features(jets), model.groups(jets)
    else:
        gram(with_beams(jets))
    return torch.empty((jets.num_jets, 0))


class _StepClock:
    """A reader and tagger that records the time of each step, and for this does some of the work twice."""

    def __init__(self, tagger: Tagger, device: str) -> None:
        self.tagger, self.reader = tagger, default_reader([tagger])
        self.fields = tagger.card.contract.constituent_fields
        self.now = partial(now, device)
        self.steps = dict.fromkeys(STEPS, 0.0)
        self.spent = 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        return self.tagger.classes

    def read(self, events: ak.Array, collection: str) -> ak.Array:
        """Build the jets twice: the first time the branches are read from the file, the second time from memory."""
        start = self.now()
        ragged_and_nesting(self.reader(events, collection), self.fields)
        middle = self.now()
        jets = self.reader(events, collection)
        ragged_and_nesting(jets, self.fields)
        end = self.now()
        self.steps["read"] += (middle - start) - (end - middle)
        self.steps["build"] += end - middle
        self.spent += end - start
        return jets

    def __call__(self, jets: ak.Array) -> ak.Array:
        start = self.now()
        ragged, _ = ragged_and_nesting(jets, self.fields)
        flattened = self.now()
        rows(partial(_invariants, self.tagger.model), self.tagger.model, ragged)
        computed = self.now()
        scores = self.tagger(jets)
        end = self.now()
        self.steps["invariants"] += computed - flattened
        self.steps["network"] += (end - computed) - (computed - start)
        self.spent += end - start
        return scores

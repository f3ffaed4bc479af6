"""What is measured of a run once and kept beside it, so that nothing is scored again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from coffea_equitag.atomic_file import write_atomic
from coffea_equitag.benchmarking.scoring_cost import microseconds_per_jet
from coffea_equitag.training.comparison import FinishedRun, ScoredJets

from .jets import TestSample
from .robustness import curves
from .symmetry import changes, largest_changes

__all__ = ["card", "cost", "invariance", "num_parameters", "robustness", "scores", "symmetry"]

#: Jets that the cost of scoring, and the symmetry, are measured on.
_TIMED, _AUDITED = 1000, 100


def scores(run: FinishedRun, sample: TestSample) -> ScoredJets:
    """Scores of a sample's jets."""
    path = _path(run, "scores.npz", sample)
    content = _kept(path, lambda: ScoredJets.of(run.tagger, sample.jets, identity=sample.identity).to_bytes())
    return ScoredJets.from_bytes(content)


def card(run: FinishedRun) -> dict[str, Any]:
    """The tagger's card, without the network."""
    return dict(json.loads((run.path / "tagger" / "card.json").read_bytes()))


def num_parameters(run: FinishedRun) -> int:
    """Parameters of the network."""
    return int(_json(_path(run, "network.json"), run.tagger.model.num_parameters))


def cost(run: FinishedRun, sample: TestSample) -> float:
    """Processor time per jet in µs, in one thread, from awkward jets to scores; the best of three."""
    return float(_json(_path(run, "cost.json"), lambda: microseconds_per_jet(run.tagger, sample.jets[:_TIMED])))


def symmetry(run: FinishedRun, sample: TestSample) -> dict[str, float | None]:
    """Largest changes of the score under rotations and boosts, see `largest_changes`."""
    return _json(_path(run, "symmetry.json", sample), lambda: largest_changes(run.tagger, _spread(sample.jets)))


def invariance(run: FinishedRun, sample: TestSample) -> dict[str, Any]:
    """Changes of the score against angles and boosts, see `changes`."""
    return _json(_path(run, "invariance.json", sample), lambda: changes(run.tagger, _spread(sample.jets)))


def robustness(run: FinishedRun, sample: TestSample, number: int) -> dict[str, Any]:
    """Accuracy and AUC of the first jets under the six transformations, see `curves`."""
    path = _path(run, f"robustness-{number}.json", sample)
    return _json(path, lambda: curves(run.tagger, sample.jets[:number]))


def _path(run: FinishedRun, name: str, sample: TestSample | None = None) -> Path:
    """A file whose name tells the tagger and the jets by their hashes."""
    known = f"{card(run)['content_hash']} {sample.identity if sample else ''}"
    of = hashlib.sha256(known.encode()).hexdigest()[:16]
    return run.path / "measured" / f"{of}-{name}"


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, make())
    return path.read_bytes()


def _json(path: Path, make: Callable[[], Any]) -> Any:
    return json.loads(_kept(path, lambda: json.dumps(make()).encode()))


def _spread(jets: ak.Array) -> ak.Array:
    """Some of the jets, evenly over all."""
    return jets[np.linspace(0, len(jets) - 1, min(_AUDITED, len(jets))).astype(int)]

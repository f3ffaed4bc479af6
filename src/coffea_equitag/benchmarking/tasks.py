"""Measurements made in separate processes: ``python -m coffea_equitag.benchmarking.tasks THREADS``."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from ..jet_model import JetModel
from ..tagger.inference import outputs
from . import networks, peers
from .clock import seconds_of
from .forms import forms_of
from .memory import growth, serve
from .workloads import Workload, random_jets, representative

__all__ = ["TASKS", "one_batch", "scoring"]

_FEW = Workload("few", 8, 2)


def one_batch(
    kind: str, workload: dict[str, Any], batch: int, jets: int, form: str, backward: bool, options: dict[str, Any]
) -> dict[str, float]:
    """Peak memory, in bytes, of one pass over `jets` jets of a batch."""
    model = _network(kind, json.dumps(options))
    found = random_jets(Workload(**workload), batch, model.fields)

    def task(of: Any, some: Any) -> Any:
        return networks.one_pass(model, forms_of(model, of)[form](some), backward)

    few = random_jets(_FEW, 2, model.fields)
    task(few, few)()
    measured = task(found, representative(found, jets))
    return {"bytes": growth(measured)}


def one_of_peer(
    kind: str, workload: dict[str, Any], batch: int, jets: int, peer: str, backward: bool, options: dict[str, Any]
) -> dict[str, float]:
    """The same of a network from another package."""
    ours = _network(kind, json.dumps(options))
    found = random_jets(Workload(**workload), batch, ours.fields)
    peers.one_batch(peer, ours, random_jets(_FEW, 2, ours.fields), backward)()
    return {"bytes": growth(peers.one_batch(peer, ours, representative(found, jets), backward))}


def scoring(kind: str, workload: dict[str, Any], jets: int, repeats: int, options: dict[str, Any]) -> dict[str, float]:
    """Seconds (median of the repeats) and peak memory, in bytes, of scoring `jets` jets."""
    model = _network(kind, json.dumps(options))
    found = random_jets(Workload(**workload), jets, model.fields)
    outputs(model, random_jets(_FEW, 2, model.fields))
    times = []

    def task() -> None:
        times.append(seconds_of(lambda: outputs(model, found)))

    peak = growth(task)
    for _ in range(repeats - 1):
        task()
    return {"bytes": peak, "seconds": statistics.median(times)}


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "one_batch": one_batch,
    "one_of_peer": one_of_peer,
    "scoring": scoring,
}


@cache
def _network(kind: str, options: str) -> JetModel:
    return networks.build(kind, options=json.loads(options))


def _prepare(request: dict[str, Any]) -> None:
    """Build the network and load its compiled code, which all forks then share."""
    model = _network(request["kind"], json.dumps(request["options"]))
    outputs(model, random_jets(_FEW, 2, model.fields))


def _answer(request: dict[str, Any]) -> dict[str, float]:
    return TASKS[request.pop("task")](**request)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve(_answer, _prepare)

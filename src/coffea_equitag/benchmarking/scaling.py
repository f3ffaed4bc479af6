"""Cost as a function of the number of constituents per jet, and of the number of jets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch

from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..tagger import Tagger
from ..tagger.inference import outputs
from . import networks
from .clock import Spread, in_turn
from .memory import Ask
from .workloads import WORKLOADS, Workload, random_awkward, random_jets

__all__ = ["cost_against_size", "cost_of_one", "throughput"]

#: Constituents of the one jet of a small call; calls that are timed together; jets of the batch it is compared with.
_OF_ONE, _CALLS, _MANY = (20, 50), 20, 32

#: Total number of pairs (for networks that use pairs) or of constituents in all jets.
_WORK = {True: 160_000, False: 4_000}


def cost_against_size(
    kind: str,
    sizes: tuple[int, ...],
    seconds: float = 3.0,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Time the forward pass on jets of equal n, for several n.

    Returns
    -------
    dict
        Serializable as JSON: for each n the milliseconds per jet, and nanoseconds per pair of nodes.
    """
    model = networks.build(kind, device, options)
    passes, numbers = {}, {}
    for n in sizes:
        work = (n + model.extra_nodes) ** 2 if model.sees_pairs else n
        number = max(1, _WORK[model.sees_pairs] // work)
        jets = random_jets(Workload(f"n = {n}", n, 0), number, model.fields).to(torch.device(device))
        name = str(n)
        passes[name] = networks.one_pass(model, lambda jets=jets: model(jets), False)  # type: ignore[misc]
        numbers[name] = number
        passes[name]()
    found = in_turn(passes, seconds, device)
    rows = []
    for name, times in found.items():
        spread = Spread.of(times).scaled(1e3 / numbers[name])
        pairs = (int(name) + model.extra_nodes) ** 2
        rows.append({"n": int(name), "ms": asdict(spread), "ns_per_pair": 1e6 * spread.median / pairs})
    return {"model": kind, "sees_pairs": model.sees_pairs, "rows": rows}


def cost_of_one(
    kind: str, seconds: float = 3.0, device: str = "cpu", options: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Time calls with one jet: from awkward arrays to scores, from flat jets to logits, and per jet of a batch.

    Yields
    ------
    dict
        Serializable as JSON: n, and milliseconds of ``scores``, ``logits`` and ``batch``.
    """
    model = networks.build(kind, device, options)
    tagger = Tagger.from_model(model, name="one", classes=[str(k) for k in range(model.n_classes)])
    for n in _OF_ONE:
        workload, where = Workload(f"n = {n}", n, 0), torch.device(device)
        jets, many = random_awkward(workload, 1, model.fields), random_jets(workload, _MANY, model.fields).to(where)
        one = RaggedJets.from_awkward(jets, model.fields).to(where)
        calls: dict[str, Callable[[], Any]] = {
            "scores": _often(lambda jets=jets: tagger(jets)),  # type: ignore[misc]
            "logits": _often(networks.one_pass(model, lambda one=one: model(one), False)),  # type: ignore[misc]
            "batch": networks.one_pass(model, lambda many=many: model(many), False),  # type: ignore[misc]
        }
        for call in calls.values():
            call()
        found = in_turn(calls, seconds, device)
        numbers = {"scores": _CALLS, "logits": _CALLS, "batch": _MANY}
        yield {"model": kind, "n": n} | {
            name: asdict(Spread.of(times).scaled(1e3 / numbers[name])) for name, times in found.items()
        }


def _often(call: Callable[[], Any]) -> Callable[[], None]:
    def calls() -> None:
        for _ in range(_CALLS):
            call()

    return calls


def throughput(
    kind: str,
    numbers: tuple[int, ...],
    workload: str,
    ask: Ask | None,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Score several numbers of jets; also measures the memory needed besides that of the jets.

    Yields
    ------
    dict
        Serializable as JSON: jets, jets per second, bytes.
    """
    for jets in numbers:
        repeats = max(1, 10_000 // jets) if jets >= 1000 else 1
        keywords = {"workload": asdict(WORKLOADS[workload]), "jets": jets, "repeats": repeats}
        answer = None
        if device == "cpu" and ask is not None:
            answer = ask("scoring", kind=kind, options=dict(options or {}), **keywords)
        if answer is None:
            answer = {"seconds": _scoring(networks.build(kind, device, options), jets, workload, repeats, device)}
        yield {
            "model": kind,
            "workload": workload,
            "jets": jets,
            "jets_per_second": jets / answer["seconds"],
            "bytes": answer.get("bytes"),
        }


def _scoring(model: JetModel, jets: int, workload: str, repeats: int, device: str) -> float:
    found = random_jets(WORKLOADS[workload], jets, model.fields)
    outputs(model, found.slice(0, 2))
    times = in_turn({"all": lambda: outputs(model, found)}, 0.0, device, (repeats, repeats))
    return Spread.of(times["all"]).median

"""The whole benchmark, in a process with tuned malloc; its results as a dictionary."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..errors import TaggerError, explain
from . import patches, peers
from .comparison import compare
from .machine import describe_machine
from .memory import memory_server
from .networks import PASSES
from .pair_products import pairs_per_second
from .pipeline import from_file_to_scores
from .scaling import cost_against_size, cost_of_one, throughput
from .settings import Settings, tuned

__all__ = ["measure", "run"]

#: Networks scored on thousands of jets, and their workload: small jets, which is what analyses have in such numbers.
_SCORED = {"lorentznet": "ak4", "pfn": "ak4"}


def run(settings: Settings) -> dict[str, Any]:
    """Measure in a new process with tuned malloc; progress is reported on standard error.

    Raises
    ------
    TaggerError
        If that process rejects the settings, or ends without a result.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", __package__, json.dumps(asdict(settings)), str(result)]
        status = subprocess.run(command, env=tuned(settings.threads), check=False).returncode
        if status or not result.exists():
            raise TaggerError(
                explain(
                    f"the measuring process ended with status {status}",
                    "a result",
                    "see its message above; if it ran out of memory, use fewer workloads or a smaller --batch",
                )
            )
        found: dict[str, Any] = json.loads(result.read_text())
        if "refused" in found:
            raise TaggerError(found["refused"])
        return found


def measure(
    settings: Settings,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure in this process.

    Parameters
    ----------
    settings : Settings
        What to measure.
    report : callable
        Called with a line of text for each step.

    Returns
    -------
    dict
        Serializable as JSON: ``settings``, ``machine``, ``seconds`` in total, and one list or dictionary per section.
    """
    start = time.perf_counter()
    torch.set_num_threads(settings.threads)
    found: dict[str, Any] = {"settings": asdict(settings), "machine": describe_machine(settings.device)}

    def step(what: str) -> None:
        report(f"{time.perf_counter() - start:5.0f} s  {what}")

    here = settings.memory and settings.device == "cpu"
    with memory_server(settings.threads) if here else nullcontext() as ask:
        for section in settings.sections:
            if section == "networks":
                found[section] = []
                for kind, workload, name in (
                    (kind, workload, name)
                    for kind in settings.models
                    for workload in settings.workloads
                    for name in settings.passes
                ):
                    step(f"{kind}, {workload}, {name}")
                    case = compare(
                        kind,
                        workload,
                        bool(PASSES.index(name)),
                        batch=settings.batch,
                        seconds=settings.seconds,
                        rounds=settings.rounds,
                        device=settings.device,
                        ask=ask,
                        options=settings.options,
                    )
                    found[section].append(case)
            elif section == "patches":
                found[section] = []
                for kind, name in ((kind, name) for kind in settings.models for name in settings.passes):
                    if kind in patches.COMPARED:
                        step(f"{kind} with patches, {name}")
                        found[section] += patches.compare(
                            kind, name, settings.seconds, settings.rounds, settings.device
                        )
            elif section == "size":
                found["size"], found["one_jet"], found["throughput"] = [], [], []
                for kind in settings.models:
                    step(f"{kind} against n")
                    found["size"].append(
                        cost_against_size(kind, settings.sizes, settings.seconds, settings.device, settings.options)
                    )
                    step(f"{kind}, one jet")
                    found["one_jet"] += cost_of_one(kind, settings.seconds, settings.device, settings.options)
                for kind, workload in _SCORED.items():
                    if kind in settings.models:
                        step(f"{kind} against the number of jets")
                        found["throughput"] += throughput(
                            kind, settings.jets, workload, ask, settings.device, settings.options
                        )
            elif section == "pipeline":
                step("from a file to scores")
                found[section] = from_file_to_scores(
                    settings.file_jets, settings.file, settings.rounds, settings.device
                )
            else:
                step("pair products")
                found[section] = [
                    pairs_per_second(workload, seconds=settings.seconds) for workload in settings.workloads
                ]
        if settings.peers:
            step("peers")
            found["peers"] = peers.compare(
                settings.models, settings.workloads, settings.passes, settings.seconds, settings.device, ask
            )
    found["seconds"] = time.perf_counter() - start
    return found

"""Starts workers, and ends those that hang."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ALLOWED", "OUTCOMES", "Try", "tries"]

#: The possible outcomes of a try.
OUTCOMES = (
    "our error",
    "same result",
    "silent change, no checksum",
    "silent change, checksum",
    "our error, unnamed",
    "foreign exception",
    "crash",
    "hang",
    "memory",
)

#: What may happen to a damaged file: where nothing in it could tell, a change is the format's fault and not ours.
ALLOWED = OUTCOMES[:3]

#: Seconds without a word after which a worker hangs; a try takes a tenth of one.
PATIENCE = 60.0


@dataclass(frozen=True)
class Try:
    """One damaged file and what came of it."""

    format: str
    number: int
    fault: str
    outcome: str
    said: str = ""


def tries(formats: Mapping[str, int], seed: int = 0) -> Iterator[Try]:
    """Damage files of each format as often as given; a worker that hangs or dies is replaced."""
    jobs = [(name, 0, number) for name, number in formats.items()]
    while jobs:
        command = [sys.executable, "-m", "faults.worker", str(seed), json.dumps(jobs)]
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=_environment()) as worker,
        ):
            begun: dict[str, Any] = {}
            for words in _words(worker):
                if "outcome" in words:
                    yield Try(begun["format"], begun["try"], begun["fault"], words["outcome"], words["said"])
                    jobs, begun = _left(jobs, begun), {}
                else:
                    begun = words
            outcome = "hang" if worker.poll() is None else "crash"
            worker.kill()
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-600:]
        if begun:
            yield Try(begun["format"], begun["try"], begun["fault"], outcome, said)
            jobs = _left(jobs, begun)
        elif jobs:
            raise RuntimeError(f"the worker ended before {jobs[0]}: {said}")


def _left(jobs: list[tuple[str, int, int]], done: dict[str, Any]) -> list[tuple[str, int, int]]:
    """The jobs after a try."""
    index = [job[0] for job in jobs].index(done["format"])
    name, _, last = jobs[index]
    rest = [(name, done["try"] + 1, last)] if done["try"] + 1 < last else []
    return rest + jobs[index + 1 :]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def _words(worker: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What a worker prints until it ends, or is silent for too long; it may take its time to begin."""
    assert worker.stdout is not None
    patience, rest = 10 * PATIENCE, b""
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        while selector.select(patience):
            read = os.read(worker.stdout.fileno(), 1 << 16)
            if not read:
                worker.wait()
                return
            *lines, rest = (rest + read).split(b"\n")
            yield from map(json.loads, lines)
            patience = PATIENCE

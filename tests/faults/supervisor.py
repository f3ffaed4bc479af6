"""Starts workers, and ends those that hang."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OUTCOMES", "Try", "tries"]

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


def tries(name: str, number: int, seed: int = 0, first: int = 0) -> Iterator[Try]:
    """Damage files of a format `number` times; a worker that hangs or dies is replaced."""
    while first < number:
        command = [sys.executable, "-m", "faults.worker", name, str(first), str(number), str(seed)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as worker:
            begun: dict[str, object] | None = None
            for line in _lines(worker, started=lambda: begun is not None):
                words = json.loads(line)
                if "try" in words:
                    begun = words
                    continue
                assert begun is not None
                yield Try(name, int(str(begun["try"])), str(begun["fault"]), words["outcome"], words["said"])
                first, begun = int(str(begun["try"])) + 1, None
            hung = worker.poll() is None
            worker.kill()
            assert worker.stderr is not None
            said = worker.stderr.read().decode(errors="replace")[-600:]
        if begun is None and first < number:
            raise RuntimeError(f"the worker of {name!r} ended before try {first}: {said}")
        if begun is not None:
            yield Try(name, int(str(begun["try"])), str(begun["fault"]), "hang" if hung else "crash", said)
            first = int(str(begun["try"])) + 1


def _lines(worker: subprocess.Popen[bytes], started: object) -> Iterator[str]:
    """Lines of a worker until it ends, or is silent for too long in a try; it may take its time to begin."""
    assert worker.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        rest = b""
        while selector.select(PATIENCE if callable(started) and started() else 10 * PATIENCE):
            read = os.read(worker.stdout.fileno(), 1 << 16)
            if not read:
                worker.wait()
                return
            *lines, rest = (rest + read).split(b"\n")
            yield from (line.decode() for line in lines)

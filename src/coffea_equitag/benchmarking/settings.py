"""Settings of a benchmark run: what to measure, and how."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .. import models
from ..errors import TaggerError, explain
from .networks import PASSES
from .workloads import WORKLOADS

__all__ = ["SECTIONS", "Settings", "tuned"]

#: Parts of the benchmark.
SECTIONS = ("networks", "patches", "size", "pipeline", "pairs")


@dataclass(frozen=True)
class Settings:
    """Settings of a benchmark run.

    Attributes
    ----------
    sections, models, workloads, passes : tuple of str
        What to measure; a folder among the models is a trained tagger.
    batch : int or None
        Jets per batch; by default 100, and 32 for PELICAN.
    seconds : float
        Time for the repetitions of one network, workload and pass.
    threads : int
        Threads of torch and numba.
    device : str
        Where to compute.
    file : str or None
        NanoAOD-like file for the section pipeline; by default the packaged events, many times over.
    file_jets : int
        How many jets these make at least.
    peers : bool
        Also measure networks of other packages, if installed.
    memory : bool
        Also measure peak memory.
    rounds : (int, int)
        Minimum and maximum number of repetitions.
    options : dict
        Options of the network, if only one is measured.
    sizes, jets : tuple of int
        Constituents per jet, and numbers of jets, for which the cost is shown.
    """

    sections: tuple[str, ...] = SECTIONS
    models: tuple[str, ...] = field(default_factory=models.names)
    workloads: tuple[str, ...] = tuple(WORKLOADS)
    passes: tuple[str, ...] = PASSES
    batch: int | None = None
    seconds: float = 3.0
    threads: int = 1
    device: str = "cpu"
    file: str | None = None
    file_jets: int = 10_000
    peers: bool = False
    memory: bool = True
    rounds: tuple[int, int] = (3, 9)
    options: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] = (10, 20, 40, 80, 120, 160, 200)
    jets: tuple[int, ...] = (1000, 10_000, 100_000)

    def __post_init__(self) -> None:
        for name, known in (
            ("sections", SECTIONS),
            ("models", models.names()),
            ("workloads", tuple(WORKLOADS)),
            ("passes", PASSES),
        ):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            for value in getattr(self, name):
                good = value in known or (name == "models" and Path(value).is_dir())
                _check(good, f"{value!r} among the {name}", f"some of {', '.join(known)}")
        untrained = len(self.models) == 1 and self.models[0] in models.names()
        _check(not self.options or untrained, f"options of {', '.join(self.models)}", "those of one untrained model")
        _check(self.batch is None or self.batch >= 1, f"a batch of {self.batch} jets", "one jet or more")
        _check(self.seconds > 0, f"{self.seconds} seconds", "a positive number")
        _check(self.file_jets >= 1, f"a file of {self.file_jets} jets", "one jet or more")
        _check(self.threads >= 1, f"{self.threads} threads", "one or more")
        for name in ("rounds", "sizes", "jets"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            _check(min(getattr(self, name)) >= 1, f"{name} {getattr(self, name)}", "positive numbers")
        _check(
            not self.device.startswith("cuda") or torch.cuda.is_available(),
            f"device {self.device!r} on a machine without a CUDA GPU",
            "'cpu', or 'cuda' if torch finds a GPU",
        )


def tuned(threads: int) -> dict[str, str]:
    """Environment in which glibc's malloc retains memory: page faults would double the time of large temporaries."""
    number = str(threads)
    return {
        **os.environ,
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), number),
    }


def _check(good: bool, given: str, expected: str) -> None:
    if not good:
        raise TaggerError(explain(given, expected, "see `equitag benchmark --help`"))

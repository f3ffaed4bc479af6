"""Runs tries in a process of its own, which may hang or die: ``python -m faults.worker SEED JOBS``.

JOBS is a JSON list of formats with the first and the last number of their tries. Prints a JSON line before each try,
and one with its outcome after it; what libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch

from coffea_equitag.errors import EquitagError
from faults.damage import damage
from faults.formats import FORMATS, Format

#: Bytes that a try may ask for beyond what the process has: the files hold a few kB.
MEMORY = 1 << 30


def status(name: str) -> int:
    """Bytes of memory of this process, by their name in the system's table."""
    found = re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


@contextmanager
def limited_memory() -> Iterator[None]:
    """Refuse allocations beyond `MEMORY` more than now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def attempt(kind: Format, path: Path, expected: str, covered: bool) -> tuple[str, str]:
    """Outcome of reading a damaged file, and what was said."""
    try:
        found = kind.read(path)
    except EquitagError as error:
        named = path.name in str(error) or path.parent.name in str(error)
        return ("our error" if named else "our error, unnamed"), str(error)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        last = next((frame for frame in reversed(frames) if "coffea_equitag" in frame.filename), frames[-1])
        said = f"{type(error).__name__}: {error} [{last.filename}:{last.lineno}]"
        return ("memory" if isinstance(error, MemoryError) else "foreign exception"), said
    if found == expected:
        return "same result", ""
    return ("silent change, checksum" if covered else "silent change, no checksum"), ""


def run(name: str, first: int, last: int, seed: int, root: Path, out: IO[str]) -> None:
    """Do tries `first` to `last` of a format."""
    kind, origin = FORMATS[name], root / "origin"
    origin.mkdir(parents=True)
    part = kind.make(origin).relative_to(origin)
    content = (origin / part).read_bytes()
    shutil.copytree(origin, root / "first")
    expected = kind.read(root / "first" / part)
    before = status("VmRSS")
    for number in range(first, last):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        fault = kind.faults[number % len(kind.faults)]
        place = root / f"try{number}"
        shutil.copytree(origin, place)
        (place / part).unlink()
        changed = damage(place / part, content, fault, rng)
        covered = changed is not None and kind.covered(content, changed)
        print(json.dumps({"format": name, "try": number, "fault": fault}), file=out, flush=True)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        with limited_memory():
            outcome, said = attempt(kind, place / part, expected, covered)
        if status("VmHWM") - before > MEMORY // 2:
            outcome = "memory"
        print(json.dumps({"outcome": outcome, "said": said[:400]}), file=out, flush=True)
        shutil.rmtree(place)


def main(seed: int, jobs: list[tuple[str, int, int]]) -> None:
    """Do all tries."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # arithmetic on whatever momenta a damaged file holds
    with tempfile.TemporaryDirectory() as folder, os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        for place, (name, first, last) in enumerate(jobs):
            run(name, first, last, seed, Path(folder) / str(place), out)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))

"""Runs tries in a process of its own, which may hang or die: ``python -m faults.worker FORMAT FIRST LAST SEED``.

Prints a JSON line before each try, and one with its outcome after it.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from pathlib import Path

import numpy as np
import torch

from coffea_equitag.errors import EquitagError
from faults.damage import FAULTS, damage
from faults.formats import FORMATS, Format

#: Bytes that a try may ask for beyond what the process has: the files hold a few kB.
MEMORY = 1 << 30


def peak() -> int:
    """Largest resident size in bytes since the last call."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    assert found is not None
    return 1024 * int(found[1])


def limit_memory() -> None:
    """Refuse larger allocations from now on."""
    found = re.search(r"VmSize:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    resource.setrlimit(resource.RLIMIT_AS, (1024 * int(found[1]) + MEMORY, resource.RLIM_INFINITY))


def attempt(kind: Format, path: Path, expected: str, covered: bool) -> tuple[str, str]:
    """Outcome of reading a damaged file, and what was said."""
    try:
        found = kind.read(path)
    except EquitagError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return "memory", str(error)
            cause = cause.__cause__
        named = path.name in str(error) or path.parent.name in str(error)
        return ("our error" if named else "our error, unnamed"), str(error)
    except MemoryError as error:
        return "memory", repr(error)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "coffea_equitag" in frame.filename]
        last = ours[-1] if ours else where
        return "foreign exception", f"{type(error).__name__}: {error} [{last.filename}:{last.lineno} {where.name}]"
    if found == expected:
        return "same result", ""
    return ("silent change, checksum" if covered else "silent change, no checksum"), ""


def main(name: str, first: int, last: int, seed: int) -> None:
    """Do tries `first` to `last` of a format."""
    torch.set_num_threads(1)
    kind, root = FORMATS[name], Path(tempfile.mkdtemp())
    origin = root / "origin"
    origin.mkdir()
    part = kind.make(origin).relative_to(origin)
    content = (origin / part).read_bytes()
    shutil.copytree(origin, root / "first")
    expected = kind.read(root / "first" / part)
    limit_memory()
    before = peak()
    for number in range(first, last):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        fault = list(FAULTS)[number % len(FAULTS)]
        place = root / f"try{number}"
        shutil.copytree(origin, place)
        (place / part).unlink()
        changed = damage(place / part, content, fault, rng)
        covered = changed is not None and kind.covered(content, changed)
        print(json.dumps({"try": number, "fault": fault}), flush=True)
        started = time.process_time()
        outcome, said = attempt(kind, place / part, expected, covered)
        seconds, used = time.process_time() - started, peak()
        if used - before > MEMORY // 2:
            outcome = "memory"
        print(json.dumps({"outcome": outcome, "said": said[:400], "seconds": seconds}), flush=True)
        shutil.rmtree(place)
    shutil.rmtree(root)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))

"""Where malloc takes large blocks from, in a process of its own: printed as JSON.

In a process where an allocation has failed, threads may have moved to an arena that never takes large blocks from the
heap.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
from pathlib import Path

import torch

from coffea_equitag import fit, models
from coffea_equitag.training.loop import malloc
from coffea_equitag.training.loop.module import Training

LIBC = malloc._glibc()
BLOCK = 64 << 20


class MallInfo(ctypes.Structure):
    """struct mallinfo2."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names)


def is_apart() -> bool:
    """Whether malloc takes a large block directly from the system."""
    before = LIBC.mallinfo2().hblkhd
    block = LIBC.malloc(BLOCK)
    apart = LIBC.mallinfo2().hblkhd - before >= BLOCK
    LIBC.free(block)
    return bool(apart)


LIBC.mallinfo2.restype = MallInfo
LIBC.malloc.restype, LIBC.malloc.argtypes, LIBC.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
spec = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "conftest.py")
assert spec is not None
assert spec.loader is not None
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)

told = {"before": is_apart()}
with malloc.retained_memory() as retained:
    told |= {"retained": retained, "within": is_apart()}
told["after"] = is_apart()
os.environ["MALLOC_TRIM_THRESHOLD_"] = "1000000"
with malloc.retained_memory() as retained:
    told |= {"retained by the environment": retained, "within the environment": is_apart()}
del os.environ["MALLOC_TRIM_THRESHOLD_"]

step, found = Training.training_step, []


def watched(*arguments: object) -> torch.Tensor:
    found.append(is_apart())
    return step(*arguments)


Training.training_step = watched
fit(models.build("pfn", phi=(6,), f=(6,)), toys.toy_jets(40), out=sys.argv[1], epochs=1, device="cpu", progress=False)
print(json.dumps(told | {"in steps": found, "after fit": is_apart()}))

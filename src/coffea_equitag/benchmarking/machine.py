"""Where the numbers were measured: processor, memory, software, date."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..cpu_name import cpu_name

__all__ = ["describe_machine"]

_PACKAGES = ("coffea-equitag", "torch", "numba", "llvmlite", "numpy", "awkward", "vector", "uproot", "coffea")
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache")


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, cache, memory, GPU, package versions, date; without what the system does not provide."""
    found = {
        "processor": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cache": _cache(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: known for name in _PACKAGES if (known := _version(name))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "tuned malloc": os.environ.get("MALLOC_MMAP_MAX_") == "0",
    }
    if device.startswith("cuda"):
        found["gpu"] = torch.cuda.get_device_name(device)
    return {name: value for name, value in found.items() if value is not None}


def _cache() -> str | None:
    sizes = []
    for index in sorted(_CACHE.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            sizes.append(f"L{level} {size}")
    return ", ".join(sizes) or None


def _memory() -> str | None:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return f"{size / 2**30:.0f} GiB"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree
        return None

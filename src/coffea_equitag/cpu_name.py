"""The name of this machine's CPU."""

from __future__ import annotations

import platform
import re
from pathlib import Path

__all__ = ["cpu_name"]


def cpu_name() -> str:
    """Model of the CPU, and which vector instructions it has."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    flags = set(re.findall(r"\b(?:avx2|avx512f|asimd)\b", text))
    return (model.group(1) if model else platform.machine()) + "".join(f", {flag}" for flag in sorted(flags))

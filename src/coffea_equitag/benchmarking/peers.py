"""Other packages' networks of the same kind, where they are installed."""

from __future__ import annotations

from typing import Any

__all__ = ["compare"]


def compare(workloads: tuple[str, ...], passes: tuple[str, ...], seconds: float, device: str) -> list[dict[str, Any]]:
    """Time them."""
    return []

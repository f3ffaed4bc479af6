"""The accumulator that `TaggerProcessor` returns: nested mappings that coffea adds up, and sums of weights in them."""

from __future__ import annotations

from typing import Any

import awkward as ak

from ..errors import TaggerError, explain
from ..jets.tracing import is_traced, touch

__all__ = ["KEYS", "add_hook", "empty_output", "number_of", "weight_sums"]

#: Keys of the output that are the processor's own.
KEYS = (
    "cutflow",
    "jet_cutflow",
    "sums",
    "regions",
    "monitoring",
    "skipped",
    "calibration",
    "efficiencies",
    "scores",
    "jets",
)


def empty_output() -> dict[str, Any]:
    """An output without entries, which outputs of other chunks can be added to."""
    return {key: {} for key in KEYS}


def weight_sums(weights: ak.Array) -> dict[str, float]:
    """Number of events, and sums of their weights and squared weights; nothing for traced ones."""
    if is_traced(weights):
        touch(weights)
        return {}
    return {
        "events": len(weights),
        "weight": float(ak.sum(weights)),
        "weight2": float(ak.sum(weights * weights)),
    }


def number_of(mask: ak.Array) -> int:
    """How many entries are True."""
    if is_traced(mask):
        touch(mask)
        return 0
    return int(ak.sum(mask))


def add_hook(output: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """The output with what a hook returned.

    Raises
    ------
    TaggerError
        If the hook uses the processor's keys.
    """
    if clash := sorted(set(added) & set(KEYS)):
        raise TaggerError(
            explain(f"a hook that returns {', '.join(clash)}", "other keys: the processor uses these", "rename them")
        )
    return {**output, **added}

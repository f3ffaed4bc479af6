"""A comparison of runs as text: Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from ...evaluation.estimate import Estimate
from .variant import Variant

__all__ = ["as_text", "metric_title"]

_TITLES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "mass_resolution": "mass width",
    "pt_resolution": "pT width",
    "angle_resolution": "angle (rad)",
}


def metric_title(metric: str) -> str:
    """``1/ε_B(70%), light`` for ``rejection_70:light``."""
    name, _, against = metric.partition(":")
    title = _TITLES.get(name) or f"1/ε_B({name.removeprefix('rejection_')}%)"
    return f"{title}, {against}" if against else title


def as_text(variants: Sequence[Variant], num_jets: int, replicas: int) -> str:
    """Two tables, of the variants and of their differences to the first, and what the numbers are."""
    metrics = tuple(variants[0].quartiles)
    titles = [metric_title(name) for name in metrics]
    header = ["run", "runs", "parameters", *titles, "training"]
    lines = _table(header, [_row(variant) for variant in variants])
    others = [variant for variant in variants if variant.differences]
    if others:
        header = [f"minus {variants[0].name}", *titles]
        lines += ["", *_table(header, [[one.name, *(_signed(one.differences[m]) for m in metrics)] for one in others])]
    lines += ["", f"Medians (quartiles over the runs) on {num_jets} jets."]
    if others:
        runs = "and of the runs" if all(one.num_runs > 1 for one in variants) else "(how trainings vary is not in them)"
        lines.append(f"Differences with intervals of 68.27% from {replicas} replicas of the jets {runs}.")
    return "\n".join(lines)


def _row(variant: Variant) -> list[str]:
    medians = [_median(*variant.quartiles[name]) for name in variant.quartiles]
    cost = "unknown" if variant.seconds is None else _duration(variant.seconds)
    return [variant.name, str(variant.num_runs), f"{variant.num_parameters:,}", *medians, cost]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return [
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (header, rule, *rows)
    ]


def _median(low: float, median: float, high: float) -> str:
    return f"{median:.4g}" if low == high else f"{median:.4g} ({low:.4g}–{high:.4g})"


def _signed(difference: Estimate) -> str:
    return f"{difference.value:+.3g} ({difference.low:+.3g} to {difference.high:+.3g})"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

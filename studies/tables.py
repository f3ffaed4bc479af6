"""The tables of a study's page, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from coffea_equitag.training.comparison import metric_title

from .words import duration, estimate, number, power, signed

__all__ = ["QUARTILES", "difference_tables", "direction_table", "learning_table", "network_table"]

#: Trainings from which their quartiles are shown.
QUARTILES = 4


def network_table(results: dict[str, Any], metrics: Iterable[str], sample: str) -> Iterator[str]:
    """The networks on one sample; on the first also what they are and cost."""
    compared, is_first = results["samples"][sample], sample == next(iter(results["samples"]))
    facts = ["parameters", "epochs", "training", "µs per jet", "symmetry"] if is_first else []
    yield from _head("network", *facts, "trainings", *map(metric_title, metrics))
    for one in results["variants"]:
        if one["is_whole"]:
            values = compared["metrics"][one["name"]]
            several = one["num_runs"] >= QUARTILES
            cells = [_value(values[metric], one["published"].get(metric), several) for metric in metrics]
            yield _row(one["label"], *(_facts(one) if is_first else []), str(one["num_runs"]), *cells)


def learning_table(results: dict[str, Any], metric: str, sample: str) -> Iterator[str]:
    """A metric by the number of training jets; nothing where there is only one number."""
    learning = {one["variant"] for one in results["variants"] if not one["is_whole"]}
    entries = [one for one in results["variants"] if one["variant"] in learning]
    if not entries:
        return
    sizes = sorted({one["jets"] for one in entries})
    values = results["samples"][sample]["metrics"]
    yield f"\n{metric_title(metric)} by the number of training jets (and trainings):\n"
    yield from _head("network", *(f"{size:,}" for size in sizes))
    for variant in dict.fromkeys(one["variant"] for one in entries):
        of = {one["jets"]: one for one in entries if one["variant"] == variant}
        cells = [f"{estimate(values[of[n]['name']][metric])} ({of[n]['num_runs']})" if n in of else "" for n in sizes]
        yield _row(next(iter(of.values()))["label"], *cells)


def difference_tables(results: dict[str, Any], metrics: Iterable[str], sample: str) -> Iterator[str]:
    """Medians minus those of the baseline, a table for each."""
    labels = {one["name"]: one["label"] for one in results["variants"]}
    for baseline, others in results["samples"][sample]["differences"].items():
        if others:
            yield f"\nMinus {labels[baseline]}:\n"
            yield from _head("network", *map(metric_title, metrics))
            for name, found in others.items():
                yield _row(labels[name], *(_difference(found[metric]) for metric in metrics))


def direction_table(results: dict[str, Any]) -> Iterator[str]:
    """What was expected, and what came out."""
    yield from _head("direction", "metric", "jets", "values", "difference", "ratio", "published", "outcome")
    for one in results["verdicts"]:
        cells = [" better than ".join(one["labels"]), metric_title(one["metric"]), one["sample"]]
        if one["outcome"] == "not trained":
            yield _row(*cells, "", "", "", "", "not trained yet")
            continue
        yield _row(
            *cells,
            " against ".join(map(number, one["values"])),
            _difference(one["difference"]),
            str(estimate(one["ratio"])),
            _published(one),
            one["outcome"] if one["outcome"] == "yes" else f"**{one['outcome']}**",
        )


def _published(verdict: dict[str, Any]) -> str:
    """The paper's ratio, and where directions are said."""
    pair, parts = verdict["published"], []
    if pair:
        parts.append(f"{' against '.join(map(number, pair))}, ratio {pair[0] / pair[1]:.3g}")
    return "; ".join([*parts, *([verdict["source"]] if verdict["source"] else [])])


def _facts(one: dict[str, Any]) -> list[str]:
    symmetry = one["symmetry"]
    moved = symmetry["with references"]
    beside = "" if moved is None else f" ({power(moved)})"
    return [
        f"{one['num_parameters']:,}",
        str(one["epochs"]),
        "unknown" if one["seconds"] is None else duration(one["seconds"]),
        f"{one['us_per_jet']:.0f}",
        f"{power(symmetry['rotations'])}, {power(symmetry['boosts'])}{beside}",
    ]


def _value(values: dict[str, Any], published: float | None, several: bool) -> str:
    quartiles = f" ({'–'.join(map(number, values['quartiles']))})" if several else ""
    return f"{estimate(values)}{quartiles}{'' if published is None else f' [{number(published)}]'}"


def _difference(values: dict[str, Any]) -> str:
    sigma = "" if values["sigma"] is None else f" ({abs(values['sigma']):.1f}σ)"
    return f"{signed(values)}{sigma}"


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield _row("---", *["---:"] * (len(cells) - 1))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"

"""The page of a study: its tables, its figure and its verdict, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

from coffea_equitag.evaluation.canvas import canvas, fit_title
from coffea_equitag.evaluation.plot_style import STYLE

from .study import Study

__all__ = ["write_page"]

_COLUMNS = {"accuracy": "accuracy", "auc": "AUC", "rejection_50": "1/ε_B(50%)", "rejection_30": "1/ε_B(30%)"}


def write_page(study: Study, name: str, results: dict[str, Any], folder: Path) -> Path:
    """Write ``NAME.md`` and ``NAME.png`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _figure(results, study.title, folder / f"{name}.png")
    path = folder / f"{name}.md"
    path.write_text("\n".join(_lines(study, name, results)) + "\n")
    return path


def _lines(study: Study, name: str, results: dict[str, Any]) -> Iterator[str]:
    made = results["made"]
    processor = next(iter(results["samples"].values()))["variants"][0]["processor"]
    jets = ", ".join(f"{n:,} {part}" for part, n in made["jets"].items())
    yield f"# {study.title}\n"
    yield f"{study.question.strip()}\n"
    yield (
        f"`python -m studies.{name}` (version {made['version']}, {processor}, {made['date']}): recipe "
        f"`{study.sample.recipe}`, {jets} jets, {study.repeats} training{'s' * (study.repeats > 1)} of each network. "
        f"Configuration: `studies/{name}/study.yaml`; all numbers: `studies/{name}/results.json`.\n"
    )
    for sample, compared in results["samples"].items():
        yield from _table(sample, compared, results["scoring_us_per_jet"])
    yield f"![Rejection against the cost of scoring]({name}.png)\n"
    yield "## Verdict\n"
    yield from (f"- {_sentence(one)}" for one in results["verdicts"])
    yield from (f"\n{text.strip()}" for text in study.remarks)


def _table(sample: str, compared: dict[str, Any], cost: dict[str, float]) -> Iterator[str]:
    variants = compared["variants"]
    several = variants[0]["num_runs"] > 1
    yield f"## On {compared['num_jets']:,} {sample} jets\n"
    yield _row("network", "parameters", "training", "µs per jet", *_COLUMNS.values())
    yield _row("---", *["---:"] * (3 + len(_COLUMNS)))
    for one in variants:
        figures = [_median(*one["quartiles"][metric]) for metric in _COLUMNS]
        yield _row(
            one["name"],
            f"{one['num_parameters']:,}",
            f"{one['seconds'] / 60:.0f} min",
            f"{cost[one['name']]:.0f}",
            *figures,
        )
    yield f"\nMedians{' (quartiles over the trainings)' if several else ''}. Minus {variants[0]['name']}:\n"
    yield _row("network", *_COLUMNS.values())
    yield _row("---", *["---:"] * len(_COLUMNS))
    for one in variants[1:]:
        yield _row(one["name"], *[_signed(one["differences"][metric]) for metric in _COLUMNS])
    drawn = f"{compared['replicas']} replicas of the jets{', and of the trainings' * several}"
    yield f"\nWith intervals of 68.27% from {drawn}.\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _median(low: float | None, median: float | None, high: float | None) -> str:
    if low is None or median is None or high is None:
        return "∞"
    return f"{median:.4g}" if low == high else f"{median:.4g} ({low:.4g}–{high:.4g})"


def _signed(difference: dict[str, float | None]) -> str:
    value, low, high = ("∞" if number is None else f"{number:+.3g}" for number in difference.values())
    return f"{value} ({low} to {high})"


def _sentence(verdict: dict[str, Any]) -> str:
    better, worse, metric = verdict["better"], verdict["worse"], _COLUMNS[verdict["metric"]]
    outcome = "yes" if verdict["confirmed"] else "**no**"
    values = " against ".join("∞" if value is None else f"{value:.4g}" for value in verdict["values"])
    sigma = "" if verdict["sigma"] is None else f", {abs(verdict['sigma']):.1f}σ"
    source = f" ({verdict['source']})" if verdict["source"] else ""
    return f"{better} above {worse} in {metric}{source}, on {verdict['sample']} jets: {outcome}, {values}{sigma}."


def _figure(results: dict[str, Any], title: str, path: Path) -> None:
    with mpl.rc_context(STYLE):
        figure, axes = canvas(title)
        for marker, (sample, compared) in zip("os^", results["samples"].items(), strict=False):
            for k, one in enumerate(compared["variants"]):
                low, median, high = one["quartiles"]["rejection_30"]
                if None in (low, median, high):
                    continue
                axes.errorbar(
                    results["scoring_us_per_jet"][one["name"]],
                    median,
                    [[median - low], [high - median]],
                    fmt=marker,
                    color=f"C{k}",
                    label=one["name"] if marker == "o" else None,
                )
            axes.plot([], [], marker, color="grey", label=f"{sample} jets")
        axes.set(
            yscale="log",
            xlabel="cost of scoring (µs per jet, one thread)",
            ylabel=_COLUMNS["rejection_30"],
        )
        axes.legend()
        fit_title(figure)
        figure.savefig(path, dpi=120)

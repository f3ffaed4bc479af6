"""What studies and packaged taggers found on the same kind of jets: tables of networks for the site and README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffea_equitag import load, zoo
from coffea_equitag.atomic_file import write_atomic
from coffea_equitag.evaluation.estimate import Estimate
from coffea_equitag.marked_page import between_markers
from coffea_equitag.tagger.measurements import Measured

from .study import Study
from .words import estimate

__all__ = ["MARKERS", "PAGES", "networks_page", "readme", "replaced", "write_tables"]

ROOT = Path(__file__).parents[1]

#: Between these stands a table.
MARKERS = ("<!-- written by `python -m studies --tables` -->", "<!-- end of what it writes -->")

#: The jets that networks are compared on, and the study of all of them.
_RECIPE, _ALL = "top", "networks"

_METRICS = ("auc", "rejection_50", "rejection_30")
_HEAD = ("AUC", "1/ε_B(50%)", "1/ε_B(30%)")

#: Pages of networks that are described with another.
_PAGES = {"vector_pfn": "tensor_pfn"}


@dataclass(frozen=True)
class _Row:
    kind: str
    label: str
    source: str
    jets: int
    parameters: int
    microseconds: float
    metrics: tuple[Estimate | None, ...]


def write_tables(root: Path = ROOT) -> None:
    """Write the tables into the pages of a clone that have the markers."""
    for page, made in PAGES.items():
        path = root / page
        if path.is_file() and MARKERS[0] in path.read_text():
            write_atomic(path, replaced(path.read_text(), made(root)).encode())


def replaced(text: str, table: str) -> str:
    """A page with another table between its markers."""
    return between_markers(text, MARKERS, f"\n{table}")


def networks_page(root: Path = ROOT) -> str:
    """Every network that was trained on these jets, study by study, the cheapest first."""
    heads = ("network", "training jets", "parameters", "µs per jet", *_HEAD)
    lines = []
    for title, made, rows in _groups(root):
        lines += [f"\n**{title}**\n", _line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
        for one in rows:
            link = f"[{one.label}]({_PAGES.get(one.kind, one.kind)}.md)"
            lines.append(_line([link, f"{one.jets:,}", f"{one.parameters:,}", *_measured(one)]))
        lines.append(f"\n{made}")
    return "\n".join([*lines, "", "Written by `python -m studies --tables`.", ""])


def readme(root: Path = ROOT) -> str:
    """The study of all networks in short; nothing before it is measured."""
    for name, study, results in _studies(root):
        if name == _ALL:
            heads = ("network", "parameters", "µs per jet", *_HEAD)
            rows = [_line([one.label, f"{one.parameters:,}", *_measured(one)]) for one in _rows(name, study, results)]
            head = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
            return "\n".join([*head, *rows, "", _made(name, study, results), ""])
    return ""


#: Pages with a table between `MARKERS`, and what makes it.
PAGES = {"docs/networks/index.md": networks_page, "README.md": readme}


def _groups(root: Path) -> Iterator[tuple[str, str, list[_Row]]]:
    """Title, how it was made, and rows."""
    for name, study, results in _studies(root):
        title = f"[{study.title}](../studies/{name}.md)"
        yield title, _made(name, study, results), _rows(name, study, results)
    taggers = sorted(_taggers(), key=lambda one: one.microseconds)
    if taggers:
        yield "[Trained taggers](../zoo.md)", "From the cards of the packaged taggers (`equitag models NAME`).", taggers


def _studies(root: Path) -> Iterator[tuple[str, Study, dict[str, Any]]]:
    """Measured studies of these jets, that of all networks first."""
    paths = sorted((root / "studies").glob("*/results.json"), key=lambda path: (path.parent.name != _ALL, path))
    for path in paths:
        results, study = json.loads(path.read_text()), Study.read(path.parent)
        if "variants" in results and study.sample.recipe == _RECIPE:
            yield path.parent.name, study, results


def _rows(name: str, study: Study, results: dict[str, Any]) -> list[_Row]:
    compared = results["samples"]["simulated"]["metrics"]
    rows = [
        _Row(
            study.training(one["variant"])["model"],
            one["label"],
            name,
            one["jets"],
            one["num_parameters"],
            one["us_per_jet"],
            tuple(estimate(found[key]) if key in (found := compared[one["name"]]) else None for key in _METRICS),
        )
        for one in results["variants"]
        if one["is_whole"]
    ]
    return sorted(rows, key=lambda row: row.microseconds)


def _taggers() -> Iterator[_Row]:
    for name in zoo.names():
        card = (tagger := load(name, "cpu")).card
        samples = card.training.samples if card.training else ()
        tested = next((one.metrics for one in card.performance if not one.real), {})
        if card.training and card.cost and samples and samples[0].recipe == _RECIPE:
            yield _Row(
                card.architecture,
                f"`{name}`",
                "zoo",
                card.training.num_jets,
                tagger.model.num_parameters(),
                card.cost.microseconds_per_jet,
                tuple(_of_card(tested.get(key)) for key in _METRICS),
            )


def _of_card(measured: Measured | None) -> Estimate | None:
    return None if measured is None else Estimate(*measured.numbers)


def _made(name: str, study: Study, results: dict[str, Any]) -> str:
    """By which command, when, and what is missing."""
    made, trained = results["made"], {one["name"] for one in results["variants"]}
    missing = [entry.full_label for entry in study.entries() if entry.is_whole and entry.name not in trained]
    parts = [f"`python -m studies.{name}`, {made['date']}, version {made['version']}."]
    if missing:
        parts.append(f"Not trained yet: {', '.join(missing)}.")
    return " ".join(parts)


def _measured(row: _Row) -> list[str]:
    return [f"{row.microseconds:.0f}", *("–" if one is None else str(one) for one in row.metrics)]


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"

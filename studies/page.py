"""The page of a study: its tables, its figures and its verdict, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coffea_equitag.training.comparison import metric_title

from .figures import draw_figure
from .study import Study
from .tables import QUARTILES, difference_tables, direction_table, learning_table, network_table
from .verdict import SIGNIFICANT

__all__ = ["page_text", "write_page"]

_CAPTIONS = {
    "cost": "{metric} against the cost of scoring",
    "learning": "{metric} against the number of training jets",
    "size": "{metric} against the size of the networks",
    "roc": "Background rejection against signal efficiency",
    "confusion": "Confusion matrices",
    "training": "Loss and accuracy by epoch of the first training: dashed training jets, solid validation jets",
    "invariance": "Root mean square change of the first training's score when jets are rotated and boosted, or 10⁻⁹ "
    "where it is less",
    "robustness": "Accuracy and AUC of the first training, on {jets:,} jets put at (η, φ) = (0, 0) and transformed",
}


def write_page(study: Study, name: str, results: dict[str, Any], folder: Path) -> Path:
    """Write ``NAME.md`` and its figures, ``NAME-cost.png`` and so on, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, figure in _files(name, results).items():
        draw_figure(figure, results).savefig(folder / file, dpi=100)
    path = folder / f"{name}.md"
    path.write_text(page_text(study, name, results))
    return path


def page_text(study: Study, name: str, results: dict[str, Any]) -> str:
    """The page, which follows from the configuration and the results."""
    return "\n".join(_lines(study, name, results)) + "\n"


def _files(name: str, results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures by the names of their files, of which the second of a kind ends in 2."""
    found = {}
    for place, figure in enumerate(results["figures"]):
        again = sum(one["name"] == figure["name"] for one in results["figures"][:place])
        found[f"{name}-{figure['name']}{again + 1 if again else ''}.png"] = figure
    return found


def _lines(study: Study, name: str, results: dict[str, Any]) -> Iterator[str]:
    yield f"# {study.title}\n"
    yield f"{study.question.strip()}\n"
    yield _how(study, name, results)
    for sample, compared in results["samples"].items():
        yield f"## On {compared['num_jets']:,} {sample} jets\n"
        yield from network_table(results, study.metrics, sample)
        yield _note(results, compared, sample == next(iter(results["samples"])))
        yield from difference_tables(results, study.metrics, sample)
        yield from learning_table(results, study.metrics[-1], sample)
        yield ""
    for file, figure in _files(name, results).items():
        caption = _CAPTIONS[figure["name"]].format(metric=metric_title(figure["metric"]), jets=figure["jets"])
        yield f"![{caption}]({file})\n\n*{caption}.*\n"
    if results["verdicts"]:
        yield "## Verdict\n"
        yield from _summary(results["verdicts"])
        yield ""
        yield from direction_table(results)
    yield from (f"\n{text.strip()}" for text in study.remarks)


def _how(study: Study, name: str, results: dict[str, Any]) -> str:
    made = results["made"]
    jets = ", ".join(f"{n:,} {part}" for part, n in made["jets"].items())
    processors = " and ".join(sorted({one["processor"] for one in results["variants"] if one["processor"]}))
    parts = [
        f"`python -m studies.{name}` (version {made['version']}, {processors}, {made['date']}): recipe "
        f"`{study.sample.recipe}`, {jets} jets. Configuration: `studies/{name}/study.yaml`; all numbers: "
        f"`studies/{name}/results.json`."
    ]
    few = [one for one in results["variants"] if one["num_runs"] < one["repeats"]]
    trained = {one["name"] for one in results["variants"]}
    missing = [entry.full_label for entry in study.entries() if entry.name not in trained]
    if few or missing:
        parts.append("With the trainings that are finished so far.")
    if missing:
        parts.append(f"Not trained yet: {', '.join(missing)}.")
    lost = [one for one in results["variants"] if "measured" in one]
    if lost:
        when = " and ".join(sorted({f"{one['measured']['date']}, {one['measured']['version']}" for one in lost}))
        parts.append(
            f"{', '.join(one['label'] for one in lost)}: measured before on the same jets ({when}). Intervals of "
            "differences between these and others are taken as if the jets were not the same, rather too wide."
        )
    return " ".join(parts) + "\n"


def _note(results: dict[str, Any], compared: dict[str, Any], is_first: bool) -> str:
    single = any(one["num_runs"] == 1 for one in results["variants"])
    several = any(one["num_runs"] > 1 for one in results["variants"])
    drawn = f"{compared['replicas']} replicas of the jets{' and of the trainings' if several else ''}"
    parts = [f"\nMedians over the trainings; intervals of 68.27% from {drawn}, the same jets for all."]
    if single:
        parts.append("Where there is one training, how trainings vary is not in the interval.")
    if any(one["num_runs"] >= QUARTILES for one in results["variants"]):
        parts.append("In parentheses: quartiles over the trainings.")
    if any(one["published"] for one in results["variants"]):
        parts.append("In brackets: published.")
    if is_first:
        parts.append(
            "µs per jet: processor time in one thread. Symmetry: the largest change of the score of any of 100 jets "
            "under rotations, and under boosts (γ ≤ 3), in units of its spread over jets, in the network's precision; "
            "in parentheses under both, where the network's own reference vectors are transformed with the jets."
        )
    return " ".join(parts)


def _summary(verdicts: list[dict[str, Any]]) -> Iterator[str]:
    """How many directions come out on each sample."""
    words = {
        "yes": "as expected",
        "no": "the other way round",
        "undecided": f"undecided (less than {SIGNIFICANT:.0f}σ)",
        "not trained": "not trained yet",
    }
    for sample in dict.fromkeys(one["sample"] for one in verdicts):
        outcomes = Counter(one["outcome"] for one in verdicts if one["sample"] == sample)
        found = [f"{outcomes[key]} {text}" for key, text in words.items() if outcomes[key]]
        yield f"Directions on {sample} jets: {', '.join(found)}."

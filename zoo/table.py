"""Tables of the packaged taggers in Markdown, from their cards."""

from __future__ import annotations

from collections.abc import Iterator

from coffea_equitag import load, zoo
from coffea_equitag.evaluation.card_text import metric_name, number_text
from coffea_equitag.tagger import Tagger
from coffea_equitag.tagger.measurements import Performance

__all__ = ["MARKERS", "markdown", "readme"]

#: Between these stands a table.
MARKERS = ("<!-- written by `python -m zoo --tables` -->", "<!-- end of what it writes -->")

#: Metrics of the short table, by what the tagger does.
_SHORT = ("auc", "mass_resolution")


def markdown() -> str:
    """All taggers: one section for each kind of jets, with measurements and limits."""
    return "\n".join(line for group in _groups() for line in _section(*group))


def readme() -> str:
    """One row for each tagger."""
    rows = [_row("tagger", "network", "jets", "simulated jets", "real jets", "µs per jet"), _row(*["---"] * 6)]
    for summary, taggers in _groups():
        for one in taggers:
            simulated, real = (_short(one, real) for real in (False, True))
            jets = summary.partition(",")[0]
            rows.append(_row(f"`{one.name}`", one.card.architecture, jets, simulated, real, _cost(one)))
    return "\n".join(rows)


def _groups() -> Iterator[tuple[str, list[Tagger]]]:
    """Taggers by the recipe of their jets."""
    groups: dict[str, list[Tagger]] = {}
    for name in zoo.names():
        tagger = load(name, "cpu")
        samples = tagger.card.training.samples if tagger.card.training else ()
        groups.setdefault(samples[0].summary if samples else "other jets", []).append(tagger)
    yield from groups.items()


def _section(summary: str, taggers: list[Tagger]) -> Iterator[str]:
    yield f"\n## {summary[0].upper()}{summary[1:]}\n"
    heads = ("tagger", "network", "parameters", "training jets", "µs per jet", "size", "largest change under symmetry")
    yield _row(*heads)
    yield _row(*["---"] * 2, *["---:"] * 4, "---")
    for one in taggers:
        yield _row(
            f"`{one.name}`",
            one.card.architecture,
            f"{one.model.num_parameters():,}",
            f"{one.card.training.num_jets:,}" if one.card.training else "–",
            _cost(one),
            f"{_kilobytes(one):.0f} kB",
            _symmetry(one),
        )
    yield from _performance(taggers)
    yield "\nLimits of use:\n"
    for limit in dict.fromkeys(limit for one in taggers for limit in one.card.limits):
        of = [f"`{one.name}`" for one in taggers if limit in one.card.limits]
        some = "" if len(of) == len(taggers) else f" ({', '.join(of)})"
        yield f"- {limit}{some}"


def _performance(taggers: list[Tagger]) -> Iterator[str]:
    tested = [(one, each) for one in taggers for each in one.card.performance]
    names = list(dict.fromkeys(name for _, each in tested for name in each.metrics))
    if not tested:
        return
    yield "\n" + _row("tagger", "test jets", *map(metric_name, names))
    yield _row(*["---"] * 2, *["---:"] * len(names))
    for one, each in tested:
        numbers = [number_text(each.metrics[name]) if name in each.metrics else "–" for name in names]
        yield _row(f"`{one.name}`", _jets(each), *numbers)


def _jets(tested: Performance) -> str:
    return f"{sum(tested.num_jets.values()):,} {'real' if tested.real else 'simulated'}"


def _cost(tagger: Tagger) -> str:
    return f"{tagger.card.cost.microseconds_per_jet:.0f}" if tagger.card.cost else "–"


def _kilobytes(tagger: Tagger) -> float:
    return sum(file.stat().st_size for file in zoo.path(tagger.name).iterdir()) / 1000


def _symmetry(tagger: Tagger) -> str:
    """The symmetry that is kept, with the largest change of the transformations that belong to it."""
    found = tagger.card.symmetry
    if found is None:
        return "–"
    kept = [(kind, change) for kind, change in found.changes.items() if change.largest <= 1e-2]
    return "; ".join(f"{kind}: {change.largest:.1g}" for kind, change in kept) or found.kept


def _short(tagger: Tagger, real: bool) -> str:
    for tested in tagger.card.performance:
        for name in _SHORT:
            if tested.real == real and name in tested.metrics:
                return f"{metric_name(name)} {number_text(tested.metrics[name])}"
    return "–"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"

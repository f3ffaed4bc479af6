"""A tagger's card as text, and its numbers as they are read."""

from __future__ import annotations

from collections.abc import Iterator

from .. import models
from ..tagger.card import Card
from ..tagger.measurements import Measured, SampleRecord
from .estimate import Estimate

__all__ = ["METRICS", "card_text", "metric_name", "number_text"]

#: Names of metrics in tables.
METRICS = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "calibration_error": "calibration error",
    "mass_resolution": "width of m/m_true",
    "pt_resolution": "width of pT/pT_true",
    "angle_resolution": "angle (rad)",
}


def metric_name(name: str) -> str:
    """A metric of a card in words: ``rejection_50`` is 1/ε_B(50%), ``rejection_70_c`` that of c jets."""
    if name in METRICS:
        return METRICS[name]
    if name.endswith("_of_jets"):
        return f"{metric_name(name.removesuffix('_of_jets'))} of the jets"
    kind, _, rest = name.partition("_")
    efficiency, _, background = rest.partition("_")
    return f"1/ε_B({efficiency}%){f' of {background}' if background else ''}" if kind == "rejection" else name


def number_text(measured: Measured) -> str:
    """With its interval, as `Estimate` prints it."""
    return str(Estimate(*measured.numbers))


def card_text(card: Card) -> str:
    """All that a card says, for a terminal."""
    return "\n".join(_lines(card))


def _lines(card: Card) -> Iterator[str]:
    yield f"{card.name}: {card.architecture}{_options(card)}"
    yield f"  {'paper':<14}{card.citation or '-'}"
    if card.classes:
        yield f"  {'classes':<14}{', '.join(card.classes)}; the score is the probability of {card.signal}"
    yield f"  {'jets':<14}{', '.join(_contract(card))}"
    if card.training is not None:
        yield f"  {'trained on':<14}{card.training.num_jets:,} jets: {card.training.data}"
        yield from (f"  {'':<14}{one.summary}; {one.generator or 'other generator'}" for one in _first(card))
    for tested in card.performance:
        counts = ", ".join(f"{number:,} {name}" for name, number in tested.num_jets.items())
        yield f"  {'tested on':<14}{tested.jets} ({counts})"
        numbers = {metric_name(name): number_text(one) for name, one in tested.metrics.items()}
        width = max(24, 2 + max(map(len, numbers), default=0))
        yield from (f"  {'':<14}  {name:<{width}}{number}" for name, number in numbers.items())
    if card.calibration is not None:
        one = card.calibration
        yield (
            f"  {'temperature':<14}{card.temperature:.4g} ± {one.temperature_uncertainty:.2g} from {one.num_jets:,} "
            f"jets: calibration error {number_text(one.error_before)} → {number_text(one.error_after)}, "
            f"{one.error_if_right:.2g} for right probabilities"
        )
    if card.symmetry is not None:
        yield f"  {'symmetry':<14}kept: {card.symmetry.kept}; in {card.symmetry.precision}, largest change of the score"
        for kind, change in card.symmetry.changes.items():
            yield f"  {'':<14}  {kind}: {change.largest:.1g} of its spread (rounding: {change.rounding:.1g})"
    if card.cost is not None:
        one_thread = f"{card.cost.microseconds_per_jet:.0f} µs per jet of {card.cost.constituents:.0f} constituents"
        yield f"  {'cost':<14}{one_thread}, one thread, {card.cost.processor}"
    yield from (f"  {'limits' if k == 0 else '':<14}{limit}" for k, limit in enumerate(card.limits))


def _options(card: Card) -> str:
    """The network's options that are not its defaults."""
    usual = models.build(card.architecture).options
    given = [f"{name} = {value}" for name, value in card.options.items() if usual.get(name) != value]
    return f" ({', '.join(given)})" if given else ""


def _first(card: Card) -> tuple[SampleRecord, ...]:
    return () if card.training is None else card.training.samples[:1]


def _contract(card: Card) -> Iterator[str]:
    contract = card.contract
    if contract.jet_definition:
        yield contract.jet_definition
    if contract.pt_range:
        yield f"pT {contract.pt_range[0]:.0f} to {contract.pt_range[1]:.0f} GeV"
    yield f"constituents with {', '.join(('four-momenta', *contract.constituent_fields))}"
    if contract.max_constituents:
        yield f"the {contract.max_constituents} hardest"

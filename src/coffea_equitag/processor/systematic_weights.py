"""Weights of events by systematic, from coffea's `Weights` or from a mapping of names to weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
from coffea.analysis_tools import Weights

from ..errors import JetError, TaggerError, explain
from ..jets.tracing import is_traced, touch
from .weights import Weight, event_weights

__all__ = ["NOMINAL", "EventWeights", "WeightsLike", "check_weights", "systematic_weights"]

#: The systematic that every histogram has.
NOMINAL = "nominal"

#: A weight; (nominal, up), (nominal, up, down); or (nominal, {variation: (up, down)}).
VariedWeight: TypeAlias = "Weight | tuple[Any, ...]"

#: Name -> weight, or a function of the events that returns such a mapping or coffea's `Weights`.
WeightsLike: TypeAlias = "Mapping[str, VariedWeight] | Callable[[ak.Array], Weights | Mapping[str, VariedWeight]]"

_SIDES = ("Up", "Down")

_FORM = "a weight, (nominal, up), (nominal, up, down) or (nominal, {'variation': (up, down)})"


@dataclass(frozen=True)
class EventWeights:
    """One weight per event and systematic.

    Attributes
    ----------
    by_systematic : mapping of str to ak.Array of float64
        First the nominal weights.
    """

    by_systematic: Mapping[str, ak.Array]

    @property
    def nominal(self) -> ak.Array:
        """The nominal weights."""
        return next(iter(self.by_systematic.values()))

    def __getitem__(self, events: Any) -> EventWeights:
        """The weights of these events."""
        return EventWeights({name: weights[events] for name, weights in self.by_systematic.items()})

    def items(self) -> Iterator[tuple[str, ak.Array]]:
        """Systematics and their weights."""
        yield from self.by_systematic.items()

    def times(self, factor: ak.Array, variations: Mapping[str, ak.Array] | None = None) -> EventWeights:
        """All weights times `factor`; and the nominal weights times each of the variations, as further systematics.

        Parameters
        ----------
        factor : ak.Array
            One factor per event.
        variations : mapping of str to ak.Array, optional
            Systematic -> the factor in place of `factor`.
        """
        varied = {name: self.nominal * found for name, found in (variations or {}).items()}
        _check_names([*self.by_systematic, *varied])
        return EventWeights({name: weights * factor for name, weights in self.by_systematic.items()} | varied)

    def only(self, systematic: str) -> EventWeights:
        """The nominal weights alone, for events of another systematic.

        Raises
        ------
        TaggerError
            If a variation of the weights has the same name.
        """
        if systematic in self.by_systematic:
            raise TaggerError(
                explain(
                    f"a variation of the events and one of the weights, both called {systematic!r}",
                    "different names: each is a systematic of its own",
                    "rename one of them; for both at once, shift the weights' inputs in the variation of the events",
                )
            )
        return EventWeights({systematic: self.nominal})


def systematic_weights(events: ak.Array, given: WeightsLike | None, unit: ak.Array) -> EventWeights:
    """Weights of events and their variations.

    Parameters
    ----------
    events : ak.Array
        The events.
    given : callable, mapping or None
        As in `TaggerProcessor`.
    unit : ak.Array
        1 for each event.

    Raises
    ------
    JetError
        If there is not one number for each event.
    TaggerError
        If what is given has another form, or two systematics have one name.
    """
    if given is None:
        return EventWeights({NOMINAL: unit})
    found = given(events) if callable(given) else given
    if isinstance(found, Mapping):
        check_weights(found)
        found = _from_mapping(events, found, unit)
    if isinstance(found, EventWeights):
        return found
    if not isinstance(found, Weights):
        raise TaggerError(
            explain(
                f"weights of type {type(found).__name__}",
                "coffea.analysis_tools.Weights, or a mapping of names to weights",
                "give a single weight as weight=",
            )
        )
    return _from_coffea(found, len(events))


def check_weights(given: Any) -> None:
    """Refuse what is neither a function nor a mapping, and names that coffea refuses."""
    if given is None or callable(given):
        return
    if not isinstance(given, Mapping):
        what = f"weights of type {type(given).__name__}"
        expected = "a mapping of names to weights, or a function of the events"
        raise TaggerError(explain(what, expected, "give a single weight as weight="))
    for name in given:
        if str(name).endswith(_SIDES):
            raise TaggerError(
                explain(
                    f"a weight called {name!r}",
                    "names without Up and Down, which are those of variations",
                    f"give the variation with its weight: {_FORM}",
                )
            )


def _from_coffea(weights: Weights, num_events: int) -> EventWeights:
    names = sorted(weights.variations)
    _check_names([NOMINAL, *names])
    found = {name: np.asarray(weights.weight(name)) for name in (None, *names)}
    if len(found[None]) != num_events:
        raise JetError(
            explain(f"{len(found[None])} weights for {num_events} events", "one per event", "make Weights(len(events))")
        )
    return EventWeights({name or NOMINAL: ak.Array(values.astype(np.float64)) for name, values in found.items()})


def _from_mapping(events: ak.Array, given: Mapping[str, VariedWeight], unit: ak.Array) -> Weights | EventWeights:
    parts = {name: _varied(events, name, weight, unit) for name, weight in given.items()}
    if is_traced(unit):
        for nominal, variations in parts.values():
            for values in (nominal, *(one for pair in variations.values() for one in pair if one is not None)):
                touch(values)
        return EventWeights({NOMINAL: unit})
    # of two of the same name coffea keeps the last
    _check_names(
        [f"{name}_{one}".rstrip("_") + side for name, (_, found) in parts.items() for one in found for side in _SIDES]
    )
    weights = Weights(len(events))
    for name, (nominal, variations) in parts.items():
        # coffea divides the variations in place
        up, down = ([_copy(pair[side]) for pair in variations.values()] for side in (0, 1))
        if list(variations) == [""]:
            weights.add(name, ak.to_numpy(nominal), up[0], down[0])
        else:
            weights.add_multivariation(name, ak.to_numpy(nominal), list(variations), up, down)
    return weights


def _copy(values: ak.Array | None) -> Any:
    return None if values is None else np.array(ak.to_numpy(values))


def _varied(
    events: ak.Array, name: str, weight: VariedWeight, unit: ak.Array
) -> tuple[ak.Array, dict[str, tuple[ak.Array, ak.Array | None]]]:
    """The nominal weights, and variation -> weights up and (if given) down; the only variation is called ""."""
    found: Any = weight(events) if callable(weight) else weight
    if not isinstance(found, tuple):
        return _numbers(events, name, found, unit), {}
    nominal, *others = found
    pairs = others[0] if len(others) == 1 and isinstance(others[0], Mapping) else {"": others}
    if not all(isinstance(pair, tuple | list) and len(pair) in (1, 2) for pair in pairs.values()):
        raise TaggerError(explain(f"weight '{name}': a tuple of {len(found)}", _FORM, "give it in one of these forms"))
    varied = {
        variation: tuple(None if one is None else _numbers(events, name, one, unit) for one in (*pair, None)[:2])
        for variation, pair in pairs.items()
    }
    return _numbers(events, name, nominal, unit), varied  # type: ignore[return-value]


def _numbers(events: ak.Array, name: str, found: Any, unit: ak.Array) -> ak.Array:
    return event_weights(events, found, unit, source=f"weight '{name}'")


def _check_names(names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise TaggerError(
            explain(f"several systematics called {', '.join(repeated)}", "different names", "rename one of them")
        )

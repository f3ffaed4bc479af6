"""What a search varies: options of a run, and the values they may take."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ..validation import Strict

__all__ = ["Range", "SearchSpace"]


class Range(Strict):
    """Numbers between two ends, both included; whole ones where both ends are."""

    low: int | float
    high: int | float
    log: bool = Field(default=False, description="uniform in the logarithm")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low = {self.low}, high = {self.high}: low < high is needed, and with log 0 < low")
        return self

    def suggest(self, trial: Any, name: str) -> int | float:
        """A trial's value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(trial.suggest_int(name, self.low, self.high, log=self.log))
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


class SearchSpace(Strict):
    """Keys of a configuration, with dots into its mappings, and what to try: a list of values or a `Range`.

    Examples
    --------
    >>> space = SearchSpace(keys={"learning_rate": Range(low=1e-4, high=1e-2, log=True), "options.hidden": [16, 32]})
    >>> space.applied({"options": {"n_layers": 2}}, {"options.hidden": 16})
    {'options': {'n_layers': 2, 'hidden': 16}}
    """

    keys: dict[str, Range | list[Any]] = Field(min_length=1)

    def suggest(self, trial: Any) -> dict[str, Any]:
        """A trial's values by key."""
        return {
            key: wanted.suggest(trial, key) if isinstance(wanted, Range) else trial.suggest_categorical(key, wanted)
            for key, wanted in self.keys.items()
        }

    @staticmethod
    def applied(config: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """The configuration with these values."""
        changed = dict(config)
        for key, value in values.items():
            place, *further = key.split(".")
            if not further:
                changed[place] = value
            else:
                inner = changed.get(place) or {}
                changed[place] = SearchSpace.applied(inner, {".".join(further): value})
        return changed

"""What a card may say of how a tagger was tested: performance, symmetry, calibration and cost, each with its sample."""

from __future__ import annotations

import math

from pydantic import Field, FiniteFloat

from ..validation import Strict

__all__ = ["CalibrationRecord", "CostRecord", "Measured", "Performance", "SampleRecord", "Symmetry", "SymmetryChange"]


class Measured(Strict):
    """A number with its interval (68.27%)."""

    value: FiniteFloat | None = Field(description="The number; null if it is infinite.")
    low: FiniteFloat = Field(description="Lower end of the interval.")
    high: FiniteFloat | None = Field(description="Upper end; null if it is infinite.")

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Measured:
        """From numbers of which the first and the last may be infinite, as rejections are if no background passes."""
        return cls(value=None if value == math.inf else value, low=low, high=None if high == math.inf else high)

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Value, low and high; infinite where they are null."""
        value, high = (math.inf if number is None else number for number in (self.value, self.high))
        return value, self.low, high


class SampleRecord(Strict):
    """A simulated sample, as its ``sample.json`` describes it."""

    recipe: str = Field(description="Name of the recipe of `equitag simulate`.")
    summary: str = Field(description="The recipe in words.")
    num_jets: int = Field(description="Number of jets.", ge=1)
    seed: int = Field(description="Seed of the simulation.", ge=0)
    generator: str | None = Field(None, description="Name and version of the generator.")
    content_hash: str = Field(description="Hash of the jets.")


class Performance(Strict):
    """Metrics on one sample of labelled jets that the tagger was neither trained nor chosen on."""

    jets: str = Field(description="Which jets these are.")
    real: bool = Field(description="Whether they come from elsewhere (published jets), and not from our simulation.")
    num_jets: dict[str, int] = Field(description="Number of jets of each class, or of all.")
    metrics: dict[str, Measured] = Field(description="accuracy, auc, rejection_50 (1/ε_B at ε_S = 50%), ...")


class SymmetryChange(Strict):
    """How far transformations move the scores (log-odds), in units of their spread over the jets."""

    largest: FiniteFloat = Field(description="Largest change of any jet.", ge=0)
    rms: FiniteFloat = Field(description="Root mean square over the jets.", ge=0)
    rounding: FiniteFloat = Field(description="Largest change that rounding alone explains.", ge=0)


class Symmetry(Strict):
    """Which transformations leave the scores alone, as `eqt.audit` measures it."""

    kept: str = Field(description="The largest subgroup of the Lorentz group that is kept, in words.")
    num_jets: int = Field(description="Number of jets transformed.", ge=2)
    precision: str = Field(description="Precision of the network, e.g. float32.")
    changes: dict[str, SymmetryChange] = Field(description="By kind of transformation.")


class CalibrationRecord(Strict):
    """How the card's temperature was fitted, and whether probabilities are right with it."""

    num_jets: int = Field(description="Number of validation jets that the temperature was fitted on.", ge=1)
    temperature_uncertainty: FiniteFloat = Field(description="Standard deviation of the temperature.", ge=0)
    error_before: Measured = Field(description="Expected calibration error on the test jets at temperature 1.")
    error_after: Measured = Field(description="The same at the card's temperature.")
    error_if_right: FiniteFloat = Field(description="What it would be for right probabilities and as many jets.", ge=0)


class CostRecord(Strict):
    """What scoring costs, from awkward jets to scores, in one thread."""

    microseconds_per_jet: FiniteFloat = Field(description="Processor time per jet.", gt=0)
    constituents: FiniteFloat = Field(description="Mean number of constituents of these jets.", ge=0)
    num_jets: int = Field(description="Number of jets scored at once.", ge=1)
    processor: str = Field(description="The processor.")

"""A threshold on a score, with its interval and its efficiencies."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Efficiency", "Threshold"]


@dataclass(frozen=True)
class Efficiency:
    """Fraction of jets (of their weights) that pass, with its interval (68.27%), and how many jets that are."""

    value: float
    low: float
    high: float
    passed: int
    total: int

    def __str__(self) -> str:
        return f"{100 * self.value:.4g}% [{100 * self.low:.4g}, {100 * self.high:.4g}]"


@dataclass(frozen=True)
class Threshold:
    """A threshold in one range of pT: a jet passes at or above it.

    Attributes
    ----------
    pt : tuple of float, optional
        Range of pT in GeV, the upper end excluded; None for all jets.
    value : float
        The threshold: the score of one of the jets, rounded down to 15 digits. No float32 lies in between, and every
        reader of JSON finds the same number; correctionlib's is not exact beyond.
    low, high : float
        Interval (68.27%) in which the threshold of the wanted efficiency lies, from the size of the sample.
    signal, background : Efficiency
        Efficiencies of this threshold.
    """

    pt: tuple[float, float] | None
    value: float
    low: float
    high: float
    signal: Efficiency
    background: Efficiency | None

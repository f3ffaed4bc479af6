"""Histograms of the classes of a sample, and the factors of jets that give them other spectra."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np

from ...array_types import F8, I8, AnyArray
from ...errors import JetError, SampleWarning, explain
from .flat_weights import FlatWeights
from .preparation import OUTSIDE, Prepared

__all__ = ["Spectra"]


@dataclass(frozen=True)
class Spectra:
    """Histograms of a sample in each class, chunk by chunk, and the factors that follow from them.

    Attributes
    ----------
    option : FlatWeights
        What is wanted.
    classes : tuple of str
        Names of the classes.
    sums, counts : hist.Hist
        Σ w, and number, of the jets of each class (first axis) in each bin.
    """

    option: FlatWeights
    classes: tuple[str, ...]
    sums: hist.Hist
    counts: hist.Hist

    @classmethod
    def empty(cls, option: FlatWeights, classes: Sequence[str]) -> Spectra:
        """Histograms to be filled.

        Raises
        ------
        JetError
            If the reference is none of the classes.
        """
        if option.reference is not None and option.reference not in classes:
            raise JetError(
                explain(
                    f"the spectrum of '{option.reference}' as reference",
                    f"one of the classes {', '.join(classes)}",
                    "name a class, or leave the reference out for a flat spectrum",
                )
            )
        axes = [
            hist.axis.Variable(edges, name=f"x{k}", label=name) for k, (name, edges) in enumerate(option.bins.items())
        ]
        sums, counts = (
            hist.Hist(
                hist.axis.Integer(0, len(classes), name="class", flow=False), *axes, storage=hist.storage.Double()
            )
            for _ in range(2)
        )
        return cls(option, tuple(classes), sums, counts)

    def fill(self, coordinates: F8, labels: I8, weights: F8) -> None:
        """Add the jets of a chunk, by their `FlatWeights.coordinates`."""
        values = list(coordinates.T)
        self.sums.fill(labels, *values, weight=weights)
        self.counts.fill(labels, *values)

    def __add__(self, other: Spectra) -> Spectra:
        return Spectra(self.option, self.classes, self.sums + other.sums, self.counts + other.counts)

    def factors(self, coordinates: F8, labels: I8) -> F8:
        """Factor of each jet, shape (J,); 0 outside of the bins, and where the reference has no jets.

        Weighted with them, the training sample has the spectra that are wanted and its former Σ w. For resampling
        the factor is the mean number of copies, 1 on average over the training jets.
        """
        if not len(labels):  # boost-histogram before 1.8 takes no numbers for text
            return np.zeros(0)
        index = [axis.index(values) for axis, values in zip(self._axes, coordinates.T, strict=True)]
        inside = np.ones(len(labels), dtype=bool)
        for axis, bins in zip(self._axes, index, strict=True):
            inside &= (bins >= 0) & (bins < axis.size)
        factors = np.zeros(len(labels))
        factors[inside] = self.table()[(labels[inside], *(bins[inside] for bins in index))]
        return factors

    def table(self) -> F8:
        """The factors by class and bin, shape (classes, bins...).

        Raises
        ------
        JetError
            If the weights of the jets in a bin do not add up to something positive.
        """
        sums, counts = self.sums.values(), self.counts.values()
        filled = counts > 0
        self._check(sums, filled)
        contents = np.where(filled, sums, 1.0)
        factors = np.where(filled, self._target(sums, filled) / contents, 0.0)
        if self.option.max_weight is not None:
            axes = tuple(range(1, sums.ndim))
            mean = (sums * factors).sum(axes, keepdims=True) / sums.sum(axes, keepdims=True, where=filled)
            factors = np.minimum(factors, self.option.max_weight * mean)
        size = counts if self.option.method == "resample" else sums
        scaled: F8 = factors * (size.sum() / (size * factors).sum())
        return scaled

    def apply(self, prepared: Prepared, *, resample: bool = False) -> tuple[Prepared, F8 | None]:
        """Jets weighted by their factors or, to be resampled, with these; those of factor 0 are left out."""
        factors = self.factors(prepared.coordinates, prepared.sample.labels.numpy())
        if not resample:
            return prepared.weighted(factors), None
        return prepared.without(factors == 0, OUTSIDE), factors[factors != 0]

    def warn(self) -> None:
        """Warn of bins that betray a class.

        Warns
        -----
        SampleWarning
            If a class has no jets in bins where others have them.
        """
        if found := self.unmatched():
            warnings.warn(
                explain(
                    "; ".join(found),
                    "jets of all classes in each bin, or the bin tells the class",
                    "narrow the range of the bins, or select jets to which all classes contribute",
                ),
                SampleWarning,
                stacklevel=3,
            )

    def unmatched(self) -> list[str]:
        """Classes without jets in bins where others have them, in words; a network can tell them there by the bin."""
        filled = self.counts.values() > 0
        sums = np.where(filled, self.sums.values(), 0.0)
        found = []
        for k, name in enumerate(self.classes):
            others = (
                (filled.any(0) & ~filled[k]) if self.option.reference is None else filled[self._reference] & ~filled[k]
            )
            if others.any():
                share = sums[:, others].sum() / sums.sum()
                found.append(f"'{name}' has no jets in {int(others.sum())} bins, with {100 * share:.2g}% of all jets")
        return found

    def outside(self) -> int:
        """Number of jets outside of the bins."""
        return round(float(self.counts.sum(flow=True)) - float(self.counts.values().sum()))

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "option": self.option.model_dump(mode="json"),
            "classes": list(self.classes),
            "sums": self.sums.values(flow=True).tolist(),
            "counts": self.counts.values(flow=True).tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Spectra:
        """The same again."""
        found = cls.empty(FlatWeights.model_validate(stored["option"]), stored["classes"])
        found.sums.view(flow=True)[...] = stored["sums"]
        found.counts.view(flow=True)[...] = stored["counts"]
        return found

    @property
    def _axes(self) -> Sequence[Any]:
        return [self.sums.axes[k] for k in range(1, self.sums.ndim)]

    @property
    def _reference(self) -> int:
        return self.classes.index(str(self.option.reference))

    def _target(self, sums: F8, filled: AnyArray) -> F8:
        """Σ w wanted in each bin, the same for all classes, up to a common factor."""
        if self.option.reference is not None:
            return np.where(filled[self._reference], sums[self._reference], 0.0)
        return _volumes(self._axes)

    def _check(self, sums: F8, filled: AnyArray) -> None:
        bad = filled & ~(sums > 0)
        if bad.any():
            label, *bins = (int(k) for k in np.argwhere(bad)[0])
            edges = zip(self.option.bins.items(), bins, strict=True)
            where = ", ".join(f"{x[k]:g} < {name} < {x[k + 1]:g}" for (name, x), k in edges)
            raise JetError(
                explain(
                    f"the weights of '{self.classes[label]}' jets in {where} add up to {sums[(label, *bins)]:g}",
                    "a positive sum in each bin that has jets",
                    "use wider bins, or weights without the sign, e.g. weights='|weight|'",
                )
            )


def _volumes(axes: Iterable[Any]) -> F8:
    """Volume of each bin."""
    volumes = np.ones(())
    for axis in axes:
        volumes = volumes[..., None] * axis.widths
    return volumes

"""A tagger's evaluation, filled chunk by chunk and added up across workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import F8, I8
from ..errors import JetError, explain
from ..tagger.discriminant import Discriminant, Discriminants
from .binned_efficiency import BinnedEfficiency, by_bin
from .chunk import SCORE, bins_of, check_classes, in_order, scores_of, value_of
from .confusion import Confusion
from .counts import Counts, Tally, on_grid, weight_sums
from .metrics import Metrics, check_efficiencies, check_sum, measured
from .reliability import Calibration
from .sculpting import Sculpting, sculpting
from .separation import Separation
from .variables import Variables, check_variables

__all__ = ["SCORE", "Evaluation"]


class Evaluation:
    """Everything that is measured of a tagger on labelled jets; two of them can be added, as coffea does.

    ::

        evaluation = eqt.evaluation.Evaluation(tagger.classes)
        for jets in chunks:
            evaluation.fill(tagger(jets), jets.label, jets, weights=jets.weight)
        print(evaluation.measure(efficiencies=(0.5, 0.7, 0.85)))

    In a processor each chunk returns ``{"evaluation": Evaluation(tagger.classes).fill(scores, labels, jets)}``; the sum
    of the chunks is what the whole would give: of unweighted jets to the bit, otherwise to the rounding of sums.

    Parameters
    ----------
    classes : sequence of str
        Names of the tagger's classes, in the order of the labels.
    signal : str, optional
        The class that is signal; default the last. Of two classes, the one whose probability the score is.
    discriminants : mapping, optional
        Further scores between some of the classes, as for `attach`: ``{"TvsQCD": ("top", ["qcd"])}``. Jets of other
        classes are left out. Fractions, ``{"TvsMix": ("top", {"qcd": 0.8, "W": 0.2})}``, are those of the background
        jets too: their weights are scaled so that each class has its share.
    variables : mapping of str to sequence of float, optional
        Name -> edges, of ``pt``, ``eta``, ``mass``, ``multiplicity``, fields of the jets, and values given to `fill`.
        Default: these four, finely. ``{}`` for none.
    resolution : float, optional
        Keep scores on a grid of this step in their logit, such as 0.002, rounded down, so that the memory does not grow
        with the number of jets. By default every score is kept: 40 bytes per jet, variable and discriminant.

    Raises
    ------
    JetError
        For edges or a resolution that are not valid.
    TaggerError
        If a discriminant is not valid, or of other classes.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        signal: str | None = None,
        discriminants: Discriminants | None = None,
        variables: Variables | None = None,
        resolution: float | None = None,
    ) -> None:
        self.classes, self.signal = check_classes(classes, signal)
        if resolution is not None and not 0 < resolution < np.inf:
            raise JetError(explain(f"a resolution of {resolution}", "a positive number, or None", "give e.g. 0.01"))
        self.resolution = resolution
        self.variables = check_variables(variables)
        self._scores = scores_of(self.classes, self.signal, discriminants)
        nothing, none = np.zeros(0), np.zeros(0, np.int64)
        self.num_missing = dict.fromkeys(self._scores, 0)
        self._counts = {(name, variable): Tally() for name in self._scores for variable in (self.variables or {"": ()})}
        self.confusion = Confusion.of(self.classes, none, none, nothing)
        self.calibration = Calibration.of(self.classes, np.zeros((0, len(self.classes))), none, none, nothing)

    @property
    def discriminants(self) -> tuple[Discriminant, ...]:
        """The discriminants, without the score of the signal."""
        return tuple(one for name, one in self._scores.items() if name != SCORE)

    @property
    def names(self) -> tuple[str, ...]:
        """The scores that are measured: `SCORE`, and the discriminants."""
        return tuple(self._scores)

    def backgrounds(self, name: str = SCORE) -> tuple[str, ...]:
        """The background classes of a score."""
        return self._scores[name].backgrounds

    def between(self, name: str = SCORE) -> tuple[str, str]:
        """The signal and the backgrounds of a score in words."""
        one = self._scores[name]
        parts = [f"{100 * value:.3g}% " for value in one.fractions] or [""] * len(one.backgrounds)
        return one.signal, " + ".join(f"{part}{each}" for part, each in zip(parts, one.backgrounds, strict=True))

    def fill(
        self, scores: Any, labels: Any, jets: ak.Array | None = None, *, weights: Any = None, **columns: Any
    ) -> Evaluation:
        """Add jets; return the evaluation itself.

        Parameters
        ----------
        scores : array-like
            Output of the tagger, any nesting: the signal's probability, or a record with a field per class; None where
            a jet is missing (counted).
        labels : array-like
            Index of each jet's class, in the same structure.
        jets : ak.Array, optional
            The jets, in the same structure; needed for variables that are not given as columns.
        weights : array-like, optional
            One weight per jet, or per event.
        **columns
            Values of variables, in the same structure: ``mass=jets.msoftdrop``.

        Raises
        ------
        JetError
            If structures differ, a score is NaN, a label is no class, or a variable is neither given nor known.
        """
        given = in_order(scores, labels, self.classes, self.signal)
        weight = given.weights(weights)
        bins = bins_of(given, self.variables, jets, columns)
        counts, missing = {}, {}
        for name, one in self._scores.items():
            value, kept = value_of(one, given, self.classes)
            missing[name] = self.num_missing[name] + given.num_missing + int((kept & np.isnan(value)).sum())
            kept &= ~np.isnan(value)
            score = on_grid(value[kept], self.resolution)
            for variable, (index, size) in bins.items():
                group = given.labels[kept] * size + index[kept]
                counts[name, variable] = self._counts[name, variable] + Counts.of(group, score, weight[kept])
        # nothing has changed until here, where nothing can be refused any more
        self._counts, self.num_missing = counts, missing
        part = (given.labels, given.most_probable, weight)
        self.confusion += Confusion.of(self.classes, *part)
        self.calibration += Calibration.of(self.classes, given.probabilities, *part)
        return self

    def __add__(self, other: Evaluation) -> Evaluation:
        if not isinstance(other, Evaluation):
            return NotImplemented
        self.check_alike(other)
        found = Evaluation.__new__(Evaluation)
        found.__dict__.update(self.__dict__)
        found.num_missing = {name: number + other.num_missing[name] for name, number in self.num_missing.items()}
        found._counts = {key: counts + other._counts[key] for key, counts in self._counts.items()}
        found.confusion = self.confusion + other.confusion
        found.calibration = self.calibration + other.calibration
        return found

    def separation(self, name: str = SCORE, background: str | None = None) -> Separation:
        """Signal and background against the cut on a score.

        Parameters
        ----------
        name : str
            `SCORE`, or a discriminant.
        background : str, optional
            One of its background classes; default all, in the fractions of the discriminant or of the jets.

        Raises
        ------
        JetError
            If there are no such jets.
        """
        columns: list[Any]
        of_class, *columns = self.rows(name)
        one = self._scores[name]
        signal = self.classes.index(one.signal)
        if background is not None:
            self._check_background(name, background)
            chosen = np.isin(of_class, [signal, self.classes.index(background)])
            of_class, columns = of_class[chosen], [each[chosen] for each in columns]
        score, number, weight, squared = columns
        names = [background] if background is not None else one.backgrounds
        check_sum(float(weight[of_class != signal].sum()), " and ".join(names))
        return Separation.of(score, of_class == signal, number, weight, squared)

    def measure(self, name: str = SCORE, *, efficiencies: Sequence[float] = (0.5, 0.3)) -> Metrics:
        """Accuracy, AUC and rejections of a score; parameters and errors as `separation`.

        The accuracy of `SCORE` is that of the most probable of all classes, that of a discriminant of a cut at 0.5.
        """
        check_efficiencies(efficiencies)
        found = self.separation(name)
        accuracy = self.confusion.accuracy if name == SCORE else found.accuracy()
        return measured(found, accuracy, self.num_missing[name], efficiencies)

    def efficiency(
        self, variable: str, cut: float, name: str = SCORE, *, edges: Sequence[float] | None = None
    ) -> BinnedEfficiency:
        """Efficiency of signal and mistag rates of each background class in bins of a variable.

        Parameters
        ----------
        variable : str
        cut : float
            Jets pass at or above it, on the score of this name.
        name : str
        edges : sequence of float, optional
            Some of the variable's edges; default: such that about a dozen bins have as many jets each.

        Raises
        ------
        JetError
            If there is no such variable, or edges are not among its edges.
        """
        self._check_variable(variable)
        one, counts = self._scores[name], self._counts[name, variable].total
        return by_bin(counts, self.classes, one, variable, self.variables[variable], cut, edges)

    def sculpting(
        self,
        name: str = SCORE,
        variable: str = "mass",
        *,
        efficiencies: Sequence[float] = (0.5, 0.1, 0.01),
        edges: Sequence[float] | None = None,
    ) -> tuple[Sculpting, ...]:
        """How cuts on a score change the background's distribution of the mass, at several background efficiencies.

        Parameters
        ----------
        name, variable : str
        efficiencies : sequence of float
            Background efficiencies; each cut keeps at most that.
        edges : sequence of float, optional
            Some of the variable's edges; default: 25 bins with about as much of the background each.

        Raises
        ------
        JetError
            If there are no background jets, or edges are not among the variable's.
        """
        self._check_variable(variable)
        check_efficiencies(efficiencies)
        found = self.separation(name)
        counts, of_class, factor = self._rows(name, variable)
        one = self._scores[name]
        background = of_class != self.classes.index(one.signal)
        return sculpting(
            counts, background, factor[of_class], found, efficiencies, variable, self.variables[variable], edges
        )

    def rows(self, name: str = SCORE) -> tuple[I8, F8, I8, F8, F8]:
        """Class, score, number of jets, and sums of weights and of their squares, of the rows in which jets are kept.

        The weights are those that give each background class its fraction.
        """
        counts, of_class, factor = self._rows(name)
        weights = factor[of_class]
        return of_class, counts.score, counts.number, counts.weight * weights, counts.squared * weights**2

    def _rows(self, name: str, variable: str | None = None) -> tuple[Counts, I8, F8]:
        """Counts, the class of each row, and the factor of each class's weights."""
        if name not in self._scores:
            raise JetError(explain(f"a score {name!r}", f"one of {', '.join(self._scores)}", "correct the name"))
        variable = next(iter(self.variables), "") if variable is None else variable
        counts, size = self._counts[name, variable].total, len(self.variables.get(variable, ())) + 1
        of_class = counts.group // size
        one, factor = self._scores[name], np.ones(len(self.classes))
        sums = weight_sums(of_class, counts.weight, len(self.classes))
        check_sum(float(sums[self.classes.index(one.signal)]), one.signal)
        if one.fractions:
            chosen = [self.classes.index(each) for each in one.backgrounds]
            for index, fraction in zip(chosen, one.fractions, strict=True):
                check_sum(float(sums[index]), self.classes[index])
                factor[index] = fraction * sums[chosen].sum() / sums[index]
        return counts, of_class, factor

    def _check_variable(self, variable: str) -> None:
        if variable not in self.variables:
            known = ", ".join(self.variables) or "none"
            raise JetError(explain(f"variable {variable!r}", f"one of {known}", "give it edges: variables={...}"))

    def _check_background(self, name: str, background: str) -> None:
        known = self._scores[name].backgrounds
        if background not in known:
            raise JetError(explain(f"background {background!r}", f"one of {', '.join(known)}", "correct the name"))

    def check_alike(self, other: Evaluation) -> None:
        """Refuse an evaluation that was made with other arguments.

        Raises
        ------
        JetError
            Naming what differs.
        """
        for name in ("classes", "signal", "_scores", "variables", "resolution"):
            if getattr(self, name) != getattr(other, name):
                what = "discriminants" if name == "_scores" else name
                given = f"two evaluations of different {what}"
                raise JetError(explain(given, "evaluations made with the same arguments", f"give both the same {what}"))

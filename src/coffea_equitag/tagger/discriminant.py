"""Discriminants: one number between a signal class and some of the other classes of a tagger."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ..errors import TaggerError, explain

__all__ = ["Backgrounds", "Discriminant", "Discriminants", "discriminants", "parse_discriminants"]

#: Background class, classes, or classes with their fractions in a mixture.
Backgrounds: TypeAlias = "str | Sequence[str] | Mapping[str, float]"

#: Name -> (signal class, backgrounds): ``{"TvsQCD": ("top", ["qcd"]), "BvsCL": ("b", {"c": 0.2, "light": 0.8})}``.
Discriminants: TypeAlias = Mapping[str, tuple[str, Backgrounds]]

_FORM = '{"TvsQCD": ("top", ["qcd"])}: a name, the signal class, and the background classes'


@dataclass(frozen=True)
class Discriminant:
    """D = p_signal / (p_signal + Σ f p_background), the probability of the signal if no other class existed.

    Attributes
    ----------
    name : str
        Name of the discriminant; its column is called ``score_name``, as that of a class.
    signal : str
        The signal class.
    backgrounds : tuple of str
        The background classes.
    fractions : tuple of float
        f, the fraction of each background class in a mixture of sum 1; empty for f = 1, the sum of the classes.
    """

    name: str
    signal: str
    backgrounds: tuple[str, ...]
    fractions: tuple[float, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The signal class and the background classes."""
        return self.signal, *self.backgrounds

    @property
    def between(self) -> tuple[str, Backgrounds]:
        """Signal and backgrounds as they may be given to `discriminants`."""
        if not self.fractions:
            return self.signal, self.backgrounds
        return self.signal, dict(zip(self.backgrounds, self.fractions, strict=True))

    @property
    def formula(self) -> str:
        """The formula, with the classes for their probabilities."""
        factors = [f"{value:.3g} " for value in self.fractions] or [""] * len(self.backgrounds)
        terms = [f"{factor}{name}" for factor, name in zip(factors, self.backgrounds, strict=True)]
        return f"{self.signal} / ({' + '.join([self.signal, *terms])})"

    def __call__(self, probabilities: ak.Array) -> ak.Array:
        """The discriminant of each jet.

        Parameters
        ----------
        probabilities : ak.Array
            Records with one probability per class, any nesting: the scores of a tagger.

        Returns
        -------
        ak.Array of float32
            None where a jet is missing; NaN where the probabilities of all these classes are 0.
        """
        signal, *backgrounds = (ak.values_astype(probabilities[name], np.float64) for name in self.classes)
        backgrounds = [f * each for f, each in zip(self.fractions or (1,) * len(backgrounds), backgrounds, strict=True)]
        with np.errstate(invalid="ignore"):
            return ak.values_astype(signal / sum(backgrounds, start=signal), np.float32)

    def check(self, classes: Iterable[str], tagger: str) -> None:
        """Refuse a tagger that lacks one of the classes, or gives a single score.

        Raises
        ------
        TaggerError
            Naming the classes that it lacks, and those that it has.
        """
        classes = tuple(classes)
        if len(classes) <= 2:
            raise TaggerError(
                explain(
                    f"discriminant {self.name!r} of {tagger}, which has the classes {', '.join(classes) or '(none)'}",
                    "a tagger of three or more classes",
                    "leave the discriminant out: the score of two classes is p_signal / (p_signal + p_background)",
                )
            )
        if lacking := [name for name in self.classes if name not in classes]:
            raise TaggerError(
                explain(
                    f"discriminant {self.name!r} of {tagger}, which has no class {', '.join(map(repr, lacking))}",
                    f"classes among {', '.join(classes)}",
                    "name the classes as the tagger does (tagger.classes)",
                )
            )
        if self.name in classes:
            raise TaggerError(
                explain(
                    f"discriminant {self.name!r} of {tagger}, which has a class of that name",
                    "a name other than those of the classes",
                    "rename the discriminant",
                )
            )


def discriminants(given: Discriminants | None) -> tuple[Discriminant, ...]:
    """Discriminants as the user gives them, checked but for the tagger's classes.

    Raises
    ------
    TaggerError
        If they are not of this form, a class occurs twice, or a name is not an identifier.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise TaggerError(explain(f"discriminants of type {type(given).__name__}", _FORM, "give a mapping"))
    return tuple(_discriminant(name, classes) for name, classes in given.items())


def _discriminant(name: Any, classes: Any) -> Discriminant:
    what = f"discriminant {name!r}: {classes!r}"
    if not isinstance(classes, tuple | list) or len(classes) != 2:
        raise TaggerError(explain(what, _FORM, "give a pair of signal and backgrounds"))
    signal, others = classes
    backgrounds = (others,) if isinstance(others, str) else tuple(others) if isinstance(others, Iterable) else ()
    fractions = _fractions(what, others) if isinstance(others, Mapping) else ()
    if not backgrounds or not all(isinstance(one, str) for one in (signal, *backgrounds)):
        raise TaggerError(explain(what, _FORM, "give names of classes, at least one of them background"))
    if len({signal, *backgrounds}) < len(backgrounds) + 1:
        raise TaggerError(explain(what, "each class once", "remove the repeated class"))
    if not isinstance(name, str) or not f"score_{name}".isidentifier():
        raise TaggerError(explain(what, "a name of letters, digits and underscores", "rename the discriminant"))
    return Discriminant(name, signal, backgrounds, fractions)


def _fractions(what: str, given: Mapping[str, Any]) -> tuple[float, ...]:
    """Fractions of a mixture, scaled so that they sum to 1."""
    numbers = [value for value in given.values() if isinstance(value, int | float) and 0 < value < math.inf]
    if len(numbers) < len(given):
        raise TaggerError(explain(what, "a positive number for each background class", "correct the fractions"))
    return tuple(value / sum(numbers) for value in numbers)


def parse_discriminants(arguments: Iterable[str]) -> dict[str, tuple[str, list[str] | dict[str, float]]]:
    """Discriminants from arguments of a command.

    ``TvsQCD=top:qcd``, ``TvsAll=top:qcd,W``, or with the fractions of a mixture ``TvsMix=top:0.8*qcd,0.2*W``.

    Raises
    ------
    TaggerError
        For an argument of another form, or a name given twice.
    """
    found: dict[str, tuple[str, list[str] | dict[str, float]]] = {}
    for argument in arguments:
        name, _, classes = argument.partition("=")
        # names of classes may hold a colon only in the signal: H->bb and the like are usual, colons are not
        signal, _, backgrounds = classes.rpartition(":")
        if not name or not signal or not all(backgrounds.split(",")):
            raise TaggerError(
                explain(
                    f"--discriminant {argument}", "NAME=SIGNAL:BACKGROUND[,BACKGROUND...]", "write e.g. TvsQCD=top:qcd"
                )
            )
        if name in found:
            raise TaggerError(explain(f"two discriminants {name!r}", "different names", "rename one of them"))
        found[name] = signal, _parse_backgrounds(argument, backgrounds.split(","))
    return found


def _parse_backgrounds(argument: str, terms: list[str]) -> list[str] | dict[str, float]:
    """Classes, or if each has a factor, their fractions."""
    pairs = [re.fullmatch(r"([\d.]+(?:[eE][+-]?\d+)?)\*(.+)", term) for term in terms]
    if not any(pairs):
        return terms
    try:
        found = {pair[2]: float(pair[1]) for pair in pairs if pair}
    except ValueError:
        found = {}
    if len(found) < len(terms):
        raise TaggerError(
            explain(
                f"--discriminant {argument}",
                "a number for each background class or for none, and each class once",
                "write e.g. TvsMix=top:0.8*qcd,0.2*W",
            )
        )
    return found

"""Discriminants: one number between a signal class and some of the other classes of a tagger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ..errors import TaggerError, explain

__all__ = ["Discriminant", "Discriminants", "discriminants", "parse_discriminants"]

#: Name -> (signal class, background class or classes), for instance ``{"TvsQCD": ("top", ["qcd"])}``.
Discriminants: TypeAlias = Mapping[str, tuple[str, "str | Sequence[str]"]]

_FORM = '{"TvsQCD": ("top", ["qcd"])}: a name, the signal class, and the background classes'


@dataclass(frozen=True)
class Discriminant:
    """D = p_signal / (p_signal + Σ p_background), the probability of the signal if no other class existed.

    Attributes
    ----------
    name : str
        Name of the discriminant; its column is called ``score_name``, as that of a class.
    signal : str
        The signal class.
    backgrounds : tuple of str
        The background classes.
    """

    name: str
    signal: str
    backgrounds: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The signal class and the background classes."""
        return self.signal, *self.backgrounds

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
    if not backgrounds or not all(isinstance(one, str) for one in (signal, *backgrounds)):
        raise TaggerError(explain(what, _FORM, "give names of classes, at least one of them background"))
    if len({signal, *backgrounds}) < len(backgrounds) + 1:
        raise TaggerError(explain(what, "each class once", "remove the repeated class"))
    if not isinstance(name, str) or not f"score_{name}".isidentifier():
        raise TaggerError(explain(what, "a name of letters, digits and underscores", "rename the discriminant"))
    return Discriminant(name, signal, backgrounds)


def parse_discriminants(arguments: Iterable[str]) -> dict[str, tuple[str, list[str]]]:
    """Discriminants from arguments of a command, ``TvsQCD=top:qcd`` or ``TvsAll=top:qcd,W``.

    Raises
    ------
    TaggerError
        For an argument of another form, or a name given twice.
    """
    found: dict[str, tuple[str, list[str]]] = {}
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
        found[name] = signal, backgrounds.split(",")
    return found

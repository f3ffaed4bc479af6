"""Taggers whose scores include discriminants beside the probabilities of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak

from ..errors import TaggerError, explain
from ..tagger.discriminant import Discriminant, Discriminants, discriminants
from .score_columns import JetScorer, name_of

__all__ = ["DiscriminatingTagger", "discriminating", "with_discriminants"]


@dataclass(frozen=True)
class DiscriminatingTagger:
    """A tagger with discriminants, which appear as further classes.

    Whatever else is asked of it (its name, card, hash), the tagger answers.
    """

    tagger: JetScorer
    discriminants: tuple[Discriminant, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the tagger's classes, then those of the discriminants."""
        return (*self.tagger.classes, *(one.name for one in self.discriminants))

    def __call__(self, jets: ak.Array) -> ak.Array:
        """Score jets: a record with one field per class and discriminant."""
        scores = self.tagger(jets)
        columns = {name: scores[name] for name in scores.fields} | {one.name: one(scores) for one in self.discriminants}
        return ak.zip(columns, optiontype_outside_record=True, depth_limit=scores.ndim)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "tagger":  # asked for while it is being unpickled
            raise AttributeError(name)
        return getattr(self.tagger, name)


def discriminating(tagger: JetScorer, given: Discriminants | None) -> JetScorer:
    """The tagger with all of these discriminants; itself if there are none.

    Raises
    ------
    TaggerError
        If it lacks a class, or gives a single score.
    """
    checked = discriminants(given)
    for one in checked:
        one.check(tagger.classes, name_of(tagger))
    return DiscriminatingTagger(tagger, checked) if checked else tagger


def with_discriminants(
    taggers: Mapping[str, Mapping[str, JetScorer]], given: Discriminants | None
) -> dict[str, dict[str, JetScorer]]:
    """Taggers by collection and name, each with the discriminants for which it has all classes.

    Raises
    ------
    TaggerError
        If none of the taggers has the classes of a discriminant.
    """
    checked = discriminants(given)
    each = [tagger for named in taggers.values() for tagger in named.values()]
    for one in checked:
        if len(each) == 1:
            one.check(each[0].classes, name_of(each[0]))
        elif not any(_fits(one, tagger) for tagger in each):
            have = "; ".join(f"{name_of(tagger)}: {', '.join(tagger.classes)}" for tagger in each)
            raise TaggerError(
                explain(
                    f"discriminant {one.name!r} of {', '.join(one.classes)}, for which no tagger has all classes",
                    f"classes of one tagger of three or more: {have}",
                    "name the classes as that tagger does (tagger.classes)",
                )
            )
    return {
        collection: {
            name: discriminating(tagger, {d.name: (d.signal, d.backgrounds) for d in checked if _fits(d, tagger)})
            for name, tagger in named.items()
        }
        for collection, named in taggers.items()
    }


def _fits(one: Discriminant, tagger: JetScorer) -> bool:
    return len(tagger.classes) > 2 and set(one.classes) <= set(tagger.classes)

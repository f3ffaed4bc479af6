"""What a tagger's scores are called, and taking them apart into one column a name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import awkward as ak

from ..errors import TaggerError, explain

if TYPE_CHECKING:
    from ..tagger import Tagger

__all__ = [
    "JetScorer",
    "TaggerLike",
    "constituent_columns",
    "default_reader",
    "identifier",
    "name_of",
    "resolve",
    "score_columns",
    "score_names",
]


@runtime_checkable
class JetScorer(Protocol):
    """What is asked of a tagger here: called with jets, it gives scores in their outer structure."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    def __call__(self, jets: ak.Array) -> ak.Array:
        """Score jets."""
        ...


#: A tagger, or where to load one from: a folder, or a name of the zoo.
TaggerLike: TypeAlias = "Tagger | JetScorer | str | os.PathLike[str]"


def resolve(tagger: TaggerLike, device: str | None = None) -> JetScorer:
    """Give the tagger itself; a path or zoo name is loaded once a process and device.

    Raises
    ------
    TaggerError
        If there is no tagger of that name, or the object is none.
    """
    if isinstance(tagger, str | os.PathLike):
        from ..tagger import load

        tagger = load(tagger, device, shared=True)
    if not isinstance(tagger, JetScorer):
        raise TaggerError(
            explain(
                f"an object of type {type(tagger).__name__} as tagger",
                "a coffea_equitag.Tagger, the folder of one, or a name of the zoo",
                "wrap a network with Tagger.from_model(model, name=..., classes=...)",
            )
        )
    if not tagger.classes:
        raise TaggerError(
            explain(
                f"{name_of(tagger)}, which gives vectors and no scores",
                "a tagger with classes",
                "call it in your own processor: tagger(jets) gives one vector a jet",
            )
        )
    return tagger


def identifier(text: str) -> str:
    """Turn a name into one that a branch and an attribute can have."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return name if name and not name[0].isdigit() else "_" + name


def score_names(name: str, classes: Iterable[str]) -> dict[str, str | None]:
    """Name of each score column -> its class; None where two classes leave one score.

    Parameters
    ----------
    name : str
        What the scores are called; more than two classes give ``name_class`` each.
    classes : iterable of str
        The tagger's classes.
    """
    classes = tuple(classes)
    if len(classes) <= 2:
        return {name: None}
    names: dict[str, str | None] = {f"{name}_{identifier(label)}": label for label in classes}
    if len(names) < len(classes):
        raise TaggerError(
            explain(
                f"classes {', '.join(classes)} that differ only in characters a field name cannot have",
                "classes whose names differ in letters, digits or underscores",
                "rename the classes of the tagger",
            )
        )
    return names


def score_columns(scores: ak.Array, names: dict[str, str | None]) -> dict[str, ak.Array]:
    """One array a score column, in the structure of `scores`."""
    return {name: scores if label is None else scores[label] for name, label in names.items()}


def constituent_columns(tagger: Any) -> tuple[str, ...] | None:
    """Columns of the constituents that a tagger reads beside four-momenta; None where it does not say."""
    contract = getattr(getattr(tagger, "card", None), "contract", None)
    return None if contract is None else tuple(contract.constituent_fields)


def default_reader(taggers: Iterable[JetScorer]) -> Callable[[ak.Array, str], ak.Array]:
    """`readers.nanoaod`, reading only the columns that these taggers need."""
    from ..readers import nanoaod

    wanted = [constituent_columns(tagger) for tagger in taggers]
    if None in wanted:
        return nanoaod
    fields = tuple(dict.fromkeys(name for columns in wanted if columns is not None for name in columns))
    return partial(nanoaod, fields=fields)


def name_of(tagger: Any, default: str = "score") -> str:
    """Give the tagger's own name, fit for a field."""
    return identifier(str(getattr(tagger, "name", None) or default))

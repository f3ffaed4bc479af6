"""Names of a tagger's scores, and their separation into one column per name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import awkward as ak

from ..errors import TaggerError, explain
from ..readers.shifted_jets import Constituents

if TYPE_CHECKING:
    from ..tagger import Tagger, TaggerReference

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
    """What is required of a tagger here: called with jets, it returns scores in their outer structure."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    def __call__(self, jets: ak.Array) -> ak.Array:
        """Score jets."""
        ...


#: A tagger, or where to load one from: a folder, or a name from the zoo, perhaps with its content hash.
TaggerLike: TypeAlias = "Tagger | JetScorer | TaggerReference | str | os.PathLike[str]"


def resolve(tagger: TaggerLike, device: str | None = None) -> JetScorer:
    """Return the tagger itself; a path or zoo name is loaded once per process and device.

    It means the same tagger for as long as the process runs.

    Raises
    ------
    TaggerError
        If there is no tagger of that name, another process has replaced it, or the object is not a tagger.
    """
    from ..tagger import TaggerReference, load_pinned

    if isinstance(tagger, str | os.PathLike):
        tagger = load_pinned(tagger, device)
    elif isinstance(tagger, TaggerReference):
        tagger = tagger.load(device)
    if not isinstance(tagger, JetScorer):
        raise TaggerError(
            explain(
                f"an object of type {type(tagger).__name__} as tagger",
                "a coffea_equitag.Tagger, the folder of one, or a name from the zoo",
                "wrap a network with Tagger.from_model(model, name=..., classes=...)",
            )
        )
    if not tagger.classes:
        raise TaggerError(
            explain(
                f"{name_of(tagger)}, whose output is a vector and not a score",
                "a tagger with classes",
                "call it in your own processor: tagger(jets) gives one vector per jet",
            )
        )
    return tagger


def identifier(text: str) -> str:
    """Turn a name into one that is valid for a branch and an attribute."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return name if name and not name[0].isdigit() else "_" + name


def score_names(name: str, classes: Iterable[str]) -> dict[str, str | None]:
    """Name of each score column -> its class; None where two classes give a single score.

    Parameters
    ----------
    name : str
        Name of the scores; for more than two classes each is called ``name_class``.
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
                f"classes {', '.join(classes)} that differ only in characters not allowed in field names",
                "classes whose names differ in letters, digits or underscores",
                "rename the classes of the tagger",
            )
        )
    return names


def score_columns(scores: ak.Array, names: dict[str, str | None]) -> dict[str, ak.Array]:
    """One array per score column, in the structure of `scores`."""
    return {name: scores if label is None else scores[label] for name, label in names.items()}


def constituent_columns(tagger: Any) -> tuple[str, ...] | None:
    """Columns of the constituents that a tagger reads beside four-momenta; None if it has no card."""
    contract = getattr(getattr(tagger, "card", None), "contract", None)
    return None if contract is None else tuple(contract.constituent_fields)


def default_reader(
    taggers: Iterable[JetScorer], constituents: Constituents = "nominal"
) -> Callable[[ak.Array, str], ak.Array]:
    """`readers.auto`, the reader of the events' format, restricted to the columns that these taggers need."""
    from ..readers import auto

    wanted = [constituent_columns(tagger) for tagger in taggers]
    if None in wanted:
        return partial(auto, constituents=constituents)
    fields = tuple(dict.fromkeys(name for columns in wanted if columns is not None for name in columns))
    return partial(auto, fields=fields, constituents=constituents)


def name_of(tagger: Any, default: str = "score") -> str:
    """The tagger's name, made valid for a field."""
    return identifier(str(getattr(tagger, "name", None) or default))

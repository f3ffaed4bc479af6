"""Scores as fields of the jets they belong to, in any coffea processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ..errors import JetError, TaggerError, explain
from ..jets.coordinates import coordinates_of
from ..scoring.score_columns import (
    JetScorer,
    TaggerLike,
    constituent_columns,
    default_reader,
    name_of,
    resolve,
    score_columns,
    score_names,
)

__all__ = ["Reader", "Selection", "Taggers", "attach", "attach_masked", "is_traced", "named_taggers", "touch"]

Selection: TypeAlias = Callable[[ak.Array], ak.Array]
Reader: TypeAlias = Callable[[ak.Array, str], ak.Array]
#: Collection -> its tagger, several of them, or several by the name of their scores.
Taggers: TypeAlias = Mapping[str, "TaggerLike | Sequence[TaggerLike] | Mapping[str, TaggerLike]"]

#: Names that vector uses for coordinates: a field of such a name would change or break the jets' four-momenta.
VECTOR_NAMES = frozenset(
    (
        "x",
        "y",
        "z",
        "t",
        "px",
        "py",
        "pz",
        "E",
        "e",
        "energy",
        "m",
        "M",
        "mass",
        "tau",
        "rho",
        "pt",
        "phi",
        "eta",
        "theta",
    )
)


def attach(
    events: ak.Array,
    taggers: Taggers,
    *,
    name: str | None = None,
    where: Selection | Mapping[str, Selection] | None = None,
    reader: Reader | None = None,
    overwrite: bool = False,
    device: str | None = None,
) -> ak.Array:
    """Score jets and add the scores to them as fields.

    ::

        events = eqt.attach(events, {"FatJet": tagger})
        tagged = events.FatJet[events.FatJet.score > 0.8]

    Call it on the jets as they are in the file, and select, correct or sort them afterwards: the scores stay with them.

    Parameters
    ----------
    events : ak.Array
        NanoEvents (virtual, eager or traced; sliced or not); not modified.
    taggers : mapping
        Collection -> a tagger (or its path or zoo name; loaded once per process), a list of taggers (scores are named
        after them), or a mapping from the scores' name to the tagger.
    name : str, optional
        Name of the scores of a single tagger; default ``"score"``. For more than two classes there is one field per
        class, ``name_class``.
    where : callable or mapping of collection to callable, optional
        Takes ``events[collection]`` and returns which jets to score; the scores of the others are None.
    reader : callable, optional
        ``(events, collection) -> jets``, parallel to ``events[collection]``; default `readers.nanoaod`.
    overwrite : bool
        Replace scores of the same name, for instance for a shifted jet energy scale.
    device : str, optional
        Device for taggers given by path.

    Returns
    -------
    ak.Array
        The events with float32 fields on their jets. Traced events (typetracers) get fields of the right type without
        running the model.

    Raises
    ------
    JetError
        If there is no such collection, its jets cannot be read, or the name of a score is taken or invalid.
    TaggerError
        If a tagger cannot be loaded or is given without a collection, or `name` is given for several taggers.
    """
    check_mapping(taggers)
    masks: dict[str, ak.Array] = {}
    for collection in taggers:
        check_collection(events, collection)
        select = where.get(collection) if isinstance(where, Mapping) else where
        if select is not None:
            masks[collection] = select(events[collection])
    return attach_masked(events, named_taggers(taggers, name, device), masks, reader=reader, overwrite=overwrite)


def named_taggers(
    taggers: Taggers, name: str | None = None, device: str | None = None
) -> dict[str, dict[str, JetScorer]]:
    """Load taggers and name their scores: collection -> name -> tagger."""
    named: dict[str, dict[str, JetScorer]] = {}
    for collection, given in taggers.items():
        if isinstance(given, Mapping):
            named[collection] = {label: resolve(tagger, device) for label, tagger in given.items()}
        elif isinstance(given, Sequence) and not isinstance(given, str):
            if name is not None:
                raise TaggerError(
                    explain(
                        f"name={name!r} for {len(given)} taggers of {collection}",
                        "one name per tagger",
                        f"give them by name: {{'{collection}': {{'first': tagger_a, 'second': tagger_b}}}}",
                    )
                )
            loaded = [resolve(tagger, device) for tagger in given]
            named[collection] = {name_of(tagger): tagger for tagger in loaded}
            if len(named[collection]) < len(loaded):
                raise TaggerError(
                    explain(
                        f"taggers of {collection} with the same name: {', '.join(map(name_of, loaded))}",
                        "different names",
                        "give them by name, as a mapping",
                    )
                )
        else:
            named[collection] = {"score" if name is None else name: resolve(given, device)}
    return named


def attach_masked(
    events: ak.Array,
    taggers: Mapping[str, Mapping[str, JetScorer]],
    masks: Mapping[str, ak.Array],
    *,
    reader: Reader | None = None,
    overwrite: bool = False,
) -> ak.Array:
    """`attach` with loaded taggers and selected jets: collection -> boolean ``[event][jet]``."""
    for collection, named in taggers.items():
        check_collection(events, collection)
        scored = events[collection]
        read = default_reader(named.values()) if reader is None else reader
        jets = read(events, collection)
        if collection in masks:
            jets = ak.mask(jets, masks[collection])
        for name, tagger in named.items():
            names = score_names(name, tagger.classes)
            for field in names:
                _check_name(scored, collection, field, overwrite)
            scores = _traced_scores(jets, tagger, names) if is_traced(jets) else tagger(jets)
            for field, column in score_columns(scores, names).items():
                scored = ak.with_field(scored, _optional(column, collection in masks), field)
        events = ak.with_field(events, scored, collection)
    return events


def is_traced(array: ak.Array) -> bool:
    """Whether an array has a type but no values (``coffea.nanoevents.trace``)."""
    return bool(ak.backend(array) == "typetracer")


def touch(array: ak.Array) -> None:
    """Report to a trace that an array's values are needed."""
    ak.typetracer.touch_data(array)


def check_mapping(taggers: Any) -> None:
    """Refuse a tagger given without its collection."""
    if not isinstance(taggers, Mapping):
        name = repr(taggers) if isinstance(taggers, str) else "tagger"
        raise TaggerError(
            explain(
                f"taggers of type {type(taggers).__name__}",
                "a mapping of jet collections to their taggers",
                f"name the jets that it scores: {{'FatJet': {name}}}",
            )
        )


def check_collection(events: ak.Array, collection: str) -> None:
    """Refuse a collection that the events do not have."""
    if collection not in events.fields:
        found = [name for name in events.fields if name.endswith("Jet") and not name.startswith("n")]
        raise JetError(
            explain(
                f"events without a collection '{collection}'",
                f"a jet collection: these events have {', '.join(found) or 'none'}",
                "use one of these",
            )
        )


def _check_name(jets: ak.Array, collection: str, name: str, overwrite: bool) -> None:
    remedy = "choose another name for the scores"
    if not name.isidentifier() or name in VECTOR_NAMES or hasattr(type(jets), name):
        raise JetError(
            explain(
                f"scores called {name!r} on {collection}",
                "an identifier that is neither a coordinate nor a property of the jets",
                remedy,
            )
        )
    if name in jets.fields and not overwrite:
        raise JetError(
            explain(f"{collection} already has a field {name!r}", "a new name", f"{remedy}, or overwrite=True")
        )


def _traced_scores(jets: ak.Array, tagger: JetScorer, names: Mapping[str, str | None]) -> ak.Array:
    """Scores without values; what the tagger would read is reported as read."""
    for record, extra in ((jets["constituents"], constituent_columns(tagger) or ()), (jets, ())):
        for field in [*(coordinates_of(record.fields) or {}).values(), *extra]:
            touch(record[field])
    score = ak.values_astype(ak.num(jets["constituents"], axis=-1) * 0, np.float32)
    return score if None in names.values() else ak.zip(dict.fromkeys(names.values(), score))


def _optional(column: ak.Array, masked: bool) -> ak.Array:
    """Option type wherever jets are selected, even if all jets of this chunk are."""
    return ak.mask(column, ~ak.is_none(column, axis=1)) if masked else column

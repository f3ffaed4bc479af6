"""Scores as fields of the jets they belong to, in any coffea processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import awkward as ak

from ..errors import JetError, TaggerError, explain
from ..jets.nesting import unmasked
from ..jets.numbering import with_column
from ..jets.tracing import is_traced
from ..readers.shifted_jets import Constituents
from ..readers.shifted_jets import check_constituents as check_word
from ..scoring.discriminating import with_discriminants
from ..scoring.score_columns import (
    JetScorer,
    TaggerLike,
    default_reader,
    name_of,
    resolve,
    score_columns,
    score_names,
)
from ..tagger import TaggerReference
from ..tagger.discriminant import Discriminants
from .caching import cached
from .decisions import WorkingPoints, add_decisions, points_of, read_points, score_hashes
from .score_fields import check_name, traced_scores
from .selections import boolean
from .variations import VariationsOf, check_variations, varied
from .varied_scores import VariedScores
from .worker_threads import settle_threads

__all__ = [
    "Reader",
    "Selection",
    "Taggers",
    "attach",
    "attach_masked",
    "check_constituents",
    "jet_collections",
    "named_taggers",
    "pinned",
]

Selection: TypeAlias = Callable[[ak.Array], ak.Array]
#: Events and collection -> jets; "auto" recognises the schema of the events.
Reader: TypeAlias = Callable[[ak.Array, str], ak.Array] | Literal["auto"]
#: Collection -> its tagger, several of them, or several by the name of their scores.
Taggers: TypeAlias = Mapping[str, "TaggerLike | Sequence[TaggerLike] | Mapping[str, TaggerLike]"]


def attach(
    events: ak.Array,
    taggers: Taggers,
    *,
    name: str | None = None,
    where: Selection | Mapping[str, Selection] | None = None,
    reader: Reader | None = None,
    constituents: Constituents = "nominal",
    variations: VariationsOf | None = None,
    working_points: WorkingPoints | None = None,
    discriminants: Discriminants | None = None,
    overwrite: bool = False,
    device: str | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> ak.Array:
    """Score jets and add the scores to them as fields.

    ::

        events = eqt.attach(events, {"FatJet": tagger})
        tagged = events.FatJet[events.FatJet.score > 0.8]

    Call it before or after jets are filtered, sorted or shifted in energy: in events opened by coffea each jet is found
    again in the file, and scored with its own constituents (see `readers.nanoaod`).

    Parameters
    ----------
    events : ak.Array
        NanoEvents (virtual, eager or traced; sliced or not); not modified.
    taggers : mapping
        Collection -> a tagger (or its path or zoo name; loaded once per process), a list of taggers (scores are named
        after them), or a mapping from the scores' name to the tagger. A path means one tagger for as long as the
        process runs; a `Tagger`, or a `TaggerReference`, means one tagger in all processes of a job.
    name : str, optional
        Name of the scores of a single tagger; default ``"score"``. For more than two classes there is one field per
        class, ``name_class``.
    where : callable or mapping of collection to callable, optional
        Takes ``events[collection]`` and returns which jets to score; the scores of the others are None.
    reader : callable or "auto", optional
        ``(events, collection) -> jets``, parallel to ``events[collection]``. By default, "auto": `readers.nanoaod`,
        `readers.physlite`, `readers.edm4hep` or `readers.delphes`, by the schema of the events.
    constituents : {"nominal", "scaled"}
        How jets shifted in energy are scored, by any network. ``"nominal"``: as the stored jet, so that the shift
        leaves the score as it is. ``"scaled"``: with their own four-momentum and constituents multiplied by
        pT / (pT stored). A `reader` of your own decides this itself.
    variations : mapping or callable, optional
        Name -> function of the events that returns varied events, or varied events; or a function of the events that
        returns such a mapping, such as ``eqt.variations.from_jets("FatJet")``. Jets may be filtered, sorted, masked
        and shifted, and constituents shifted. Scores under ``"jesUp"`` are called ``score_jesUp`` and belong to the
        original jet; None for jets that the variation lacks or that `where`, which sees the varied jets, leaves out.
        Only jets that a variation makes look different to the tagger are scored again.
    working_points : mapping or path-like, optional
        Collection -> name -> threshold (collection -> score -> name -> threshold for several scores), or a file from
        `evaluation.working_points`. Each adds a boolean field ``score_name``: the score is at or above the threshold,
        which may depend on the jet's pT (under variations, ``score_name_jesUp``, the varied one). It is None where the
        score is.
    discriminants : mapping, optional
        ``{"TvsQCD": ("top", ["qcd"])}``: further scores, ``score_TvsQCD``, of every tagger that has these classes.
    overwrite : bool
        Replace scores of the same name, for instance for a shifted jet energy scale.
    device : str, optional
        Device for taggers given by path.
    cache : path-like, optional
        Folder in which scores are kept by what the tagger sees of each jet: they are computed once.

    Returns
    -------
    ak.Array
        The events with float32 fields on their jets; None for jets that were not selected, are missing themselves, or
        whose candidates are not stored. Traced events (typetracers) get fields of the right type without
        running the model.

    Raises
    ------
    JetError
        If there is no such collection, its jets cannot be read, or the name of a score is taken or invalid.
    TaggerError
        If a tagger cannot be loaded or is given without a collection, or `name` is given for several taggers.

    Warns
    -----
    ConstituentsWarning
        If candidates of jets are not stored.
    """
    check_mapping(taggers)
    check_constituents(constituents, reader)
    check_variations(variations)
    if isinstance(where, Mapping) and (unknown := sorted(set(where) - set(taggers))):
        raise TaggerError(
            explain(f"where for {', '.join(unknown)}", f"collections with taggers: {', '.join(taggers)}", "rename it")
        )
    for collection in taggers:
        check_collection(events, collection)
    named = with_discriminants(cached(named_taggers(taggers, name, device), cache, events), discriminants)
    masks = _selected(events, taggers, where)
    points = points_of(read_points(working_points, taggers), score_hashes(named, named))
    options: dict[str, Any] = {"reader": reader, "constituents": constituents}
    if variations is None:
        scored = attach_masked(events, named, masks, overwrite=overwrite, **options)
        return add_decisions(scored, points, overwrite=overwrite)
    scorer = VariedScores(events, taggers, **options)
    nominal = scorer.nominal()
    scored = scorer.attach(nominal, nominal.events, named, masks, overwrite=overwrite)
    scored = add_decisions(scored, points, overwrite=overwrite)
    for variation in varied(events, variations, taggers):
        masks = _selected(variation.events, taggers, where)
        found = scorer.on_originals(variation, named, masks, points)
        for collection, columns in found.items():
            scored = _with_scores(scored, collection, columns, variation.name, overwrite)
    return scored


def _with_scores(
    events: ak.Array, collection: str, columns: Mapping[str, ak.Array], variation: str, overwrite: bool
) -> ak.Array:
    """The events with scores under a variation."""
    jets = events[collection]
    for field, column in columns.items():
        check_name(jets, collection, f"{field}_{variation}", overwrite)
        jets = with_column(jets, column, f"{field}_{variation}")
    return ak.with_field(events, jets, collection)


def _selected(
    events: ak.Array, collections: Iterable[str], where: Selection | Mapping[str, Selection] | None
) -> dict[str, ak.Array]:
    """Which jets to score, for the collections with a selection."""
    masks = {}
    for collection in collections:
        select = where.get(collection) if isinstance(where, Mapping) else where
        if select is not None:
            masks[collection] = boolean(select, events[collection], f"where: {collection}", missing=None)
    return masks


def named_taggers(
    taggers: Taggers, name: str | None = None, device: str | None = None
) -> dict[str, dict[str, JetScorer]]:
    """Load taggers and name their scores: collection -> name -> tagger."""
    settle_threads()
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


def pinned(taggers: Taggers) -> dict[str, Any]:
    """The same taggers; each path or zoo name becomes a reference to the tagger that lies there now."""

    def pin(given: Any) -> Any:
        if isinstance(given, str | os.PathLike):
            return TaggerReference.of(given)
        if isinstance(given, Mapping):
            return {label: pin(tagger) for label, tagger in given.items()}
        return list(map(pin, given)) if isinstance(given, Sequence) else given

    return {collection: pin(given) for collection, given in taggers.items()}


def attach_masked(
    events: ak.Array,
    taggers: Mapping[str, Mapping[str, JetScorer]],
    masks: Mapping[str, ak.Array],
    *,
    reader: Reader | None = None,
    overwrite: bool = False,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """`attach` with loaded taggers and selected jets: collection -> boolean ``[event][jet]``."""
    for collection, named in taggers.items():
        check_collection(events, collection)
        scored, exists = unmasked(events[collection])
        read = reader if callable(reader) else default_reader(named.values(), constituents)
        jets = read(events, collection)
        if collection in masks:
            jets = ak.mask(jets, masks[collection])
        for name, tagger in named.items():
            names = score_names(name, tagger.classes)
            for field in names:
                check_name(scored, collection, field, overwrite)
            scores = traced_scores(jets, tagger, names) if is_traced(jets) else tagger(jets)
            for field, column in score_columns(scores, names).items():
                scored = ak.with_field(scored, _optional(column, collection in masks), field)
        events = ak.with_field(events, scored if exists is None else ak.mask(scored, exists), collection)
    return events


def check_constituents(constituents: Constituents, reader: Reader | None) -> None:
    """Refuse what the reader cannot do."""
    check_word(constituents)
    if isinstance(reader, str) and reader != "auto":
        raise TaggerError(
            explain(
                f"reader={reader!r}",
                "'auto', or a function of events and collection",
                "leave it out, or pass one of coffea_equitag.readers",
            )
        )
    if constituents != "nominal" and callable(reader):
        raise TaggerError(
            explain(
                f"constituents={constituents!r} with a reader of your own",
                "the default reader, which knows the stored jets",
                "leave one of them out; a reader may scale the constituents itself",
            )
        )


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


def jet_collections(events: ak.Array) -> str:
    """Names of the events' jet collections, for messages."""
    return ", ".join(name for name in events.fields if name.endswith("Jet") and not name.startswith("n")) or "none"


def check_collection(events: ak.Array, collection: str) -> None:
    """Refuse a single event, and a collection that the events do not have."""
    if not isinstance(events, ak.Array):
        kind = "one event (ak.Record)" if isinstance(events, ak.Record) else f"events of type {type(events).__name__}"
        raise JetError(explain(kind, "an array of events", "slice instead of indexing: events[:1], not events[0]"))
    if collection not in events.fields:
        raise JetError(
            explain(
                f"events without a collection '{collection}'",
                f"a jet collection: these events have {jet_collections(events)}",
                "use one of these",
            )
        )


def _optional(column: ak.Array, masked: bool) -> ak.Array:
    """Option type wherever jets are selected, even if all jets of this chunk are."""
    return ak.mask(column, ~ak.is_none(column, axis=1)) if masked else column

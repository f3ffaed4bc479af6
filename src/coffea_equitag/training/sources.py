"""From what `fit` was given to the sources of a training, of jets in memory and of streams alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import awkward as ak

from ..array_types import F8
from ..errors import JetError, TaggerError, explain
from ..jet_model import JetModel
from ..plain_numbers import plain
from ..readers import JetStream
from .data import InMemory, Source, Streamed
from .data.label_map import is_array, label_map
from .data.labelled_jets import LABEL, WEIGHT, with_column
from .data.preparation import Preparation, Prepared, Select
from .data.sample_weights import check_numbers
from .data.stream_reader import Part, StreamReader
from .data.stream_split import HeldOut
from .data.truth import Truth
from .settings import Settings

if TYPE_CHECKING:
    from .data.spectra import Spectra  # which needs hist, slow to import

__all__ = ["Sources", "Wanted", "sources_of"]


class Wanted(NamedTuple):
    """What `fit` was told to take as labels, selection and weights."""

    labels: Any
    select: Select | None
    weights: Any


class Sources(NamedTuple):
    """What a training draws its jets from.

    Attributes
    ----------
    training, validation : Source
        Jets to train on, and jets that the metrics are measured on.
    left_out : mapping
        Of which sample -> reason -> number of jets that were left out for it.
    spectra : Spectra or None
        What the classes are weighted to.
    """

    training: Source
    validation: Source
    left_out: Mapping[str, Mapping[str, int]]
    spectra: Spectra | None


def sources_of(
    settings: Settings, model: JetModel, jets: ak.Array | JetStream, validation: Any, wanted: Wanted
) -> Sources:
    """The sources of a training.

    Raises
    ------
    JetError
        For jets or labels that cannot be trained on.
    TaggerError
        For validation jets without labels or weights.
    """
    number = len(settings.classes) or 1
    options = {"batch_size": settings.recipe.jets_per_step, "seed": settings.seed, "pool": settings.pool}
    training, held_out = _samples(settings, model, jets, plain(validation), wanted)
    spectra = _spectra(settings, training)
    resample = settings.flat is not None and settings.flat.method == "resample"
    source, left_out = _source(training, "training", spectra, resample, number, options)
    measured, also_left_out = _source(held_out, "validation", spectra, False, number, {"batch_size": 1})
    reasons = {"training": left_out}
    if not isinstance(plain(validation), int | float):
        reasons["validation"] = also_left_out
    for one, what in ((source, "training"), (measured, "validation")):
        check_numbers(one.numbers, settings.classes or (model.output,), what)
    return Sources(source, measured, {name: dict(found) for name, found in reasons.items() if found}, spectra)


def _samples(
    settings: Settings, model: JetModel, jets: ak.Array | JetStream, validation: Any, wanted: Wanted
) -> tuple[Prepared | StreamReader, Prepared | StreamReader]:
    """Jets to train on and to validate with; the same reader, where it reads both."""
    classes = settings.classes or (model.output,)
    if isinstance(validation, int | float):
        if isinstance(jets, JetStream):
            reader = _read(settings, model, jets, wanted, HeldOut(float(validation), settings.seed_of_split))
            return reader, reader
        return _prepared(settings, model, jets, wanted).split(float(validation), settings.seed_of_split, classes)
    if not isinstance(validation, tuple) and (not is_array(wanted.labels) or isinstance(validation, JetStream)):
        validation = (validation, wanted.labels)
    if not isinstance(validation, tuple) or len(validation) != 2:
        given = f"{len(validation)} items" if isinstance(validation, tuple) else "jets alone, beside labels as an array"
        raise TaggerError(
            explain(
                f"validation = {given}",
                "a fraction, jets with the field of the labels, or jets and their labels",
                "give validation=(jets, labels), or labels as the name of a field of both",
            )
        )
    if _is_column(wanted.weights):
        raise TaggerError(
            explain(
                "validation jets without weights, beside weights of the training jets as an array",
                "weights that both samples have",
                "store them with the jets, jets['weight'] = ..., and give weights='weight'",
            )
        )
    held_out, labels = validation
    pairs = ((jets, wanted), (held_out, wanted._replace(labels=labels)))
    first, second = (
        _read(settings, model, one, chosen) if isinstance(one, JetStream) else _prepared(settings, model, one, chosen)
        for one, chosen in pairs
    )
    return first, second


def _source(
    sample: Prepared | StreamReader,
    part: Literal["training", "validation"],
    spectra: Spectra | None,
    resample: bool,
    number: int,
    options: dict[str, int],
) -> tuple[Source, Mapping[str, int]]:
    """One of the sources, and how many jets were left out of it for which reasons."""
    if isinstance(sample, StreamReader):
        own: Part = part if part in sample.parts else "all"
        if part == "training" or own == "all":  # a reader of both parts is told once
            sample.adjust = partial(_adjusted, spectra, resample)
        streamed = Streamed(sample, own, **options)
        if part == "training":
            streamed.warn()
        return streamed, streamed.left_out
    copies = None
    if spectra is not None:
        sample, copies = spectra.apply(sample, resample=resample)
    return InMemory(sample.sample, number, copies=copies, **options), sample.left_out


def _adjusted(spectra: Spectra | None, resample: bool, prepared: Prepared, part: Part) -> tuple[Prepared, F8 | None]:
    """Jets of a stream with the spectra that are wanted; validation jets are never resampled."""
    return (prepared, None) if spectra is None else spectra.apply(prepared, resample=resample and part != "validation")


def _spectra(settings: Settings, training: Prepared | StreamReader) -> Spectra | None:
    """Spectra of the training jets."""
    if settings.flat is None:
        return None
    from .data.spectra import Spectra

    spectra = Spectra.empty(settings.flat, settings.classes)
    for part in training.prepared() if isinstance(training, StreamReader) else [training]:
        spectra.fill(part.coordinates, part.sample.labels.numpy(), part.sample.weights.numpy())
    spectra.warn()
    return spectra


def _prepared(settings: Settings, model: JetModel, jets: ak.Array, wanted: Wanted) -> Prepared:
    """Labelled jets of an array."""
    labels, weights = wanted.labels, wanted.weights
    if settings.classifies and is_array(labels):
        jets, labels = with_column(jets, labels, LABEL), LABEL
    if _is_column(weights):
        jets, weights = with_column(jets, weights, WEIGHT), WEIGHT
    return _preparation(settings, model, Wanted(labels, wanted.select, weights))(jets)


def _read(
    settings: Settings, model: JetModel, stream: JetStream, wanted: Wanted, held_out: HeldOut | None = None
) -> StreamReader:
    """Reader of a stream, whose own labels, selection and weights come first.

    Raises
    ------
    JetError
        If there are arrays of these, which could not belong to its jets; for a fraction that is none.
    """
    if held_out is not None and not 0 < held_out.fraction < 1:
        given, remedy = f"validation = {held_out.fraction}", "give validation=0.1, or a second stream"
        raise JetError(explain(given, "a fraction between 0 and 1, or jets", remedy))
    labels, select, weights = stream.asked_for(*wanted)
    for what, array in (("labels", settings.classifies and is_array(labels)), ("weights", _is_column(weights))):
        if array:
            raise JetError(
                explain(
                    f"{what} of a stream as an array",
                    "names of fields of its jets, or a formula of them",
                    f"store the {what} with the jets in the files, and name the field",
                )
            )
    preparation = _preparation(settings, model, Wanted(labels, select, weights))
    return StreamReader(stream, preparation, len(settings.classes) or 1, held_out)


def _preparation(settings: Settings, model: JetModel, wanted: Wanted) -> Preparation:
    """What is done to jets."""
    labels = wanted.labels if settings.classifies else {model.output: "1"}
    mapped, _ = label_map(labels, settings.label_map, settings.classes or None, model.n_classes)
    return Preparation(
        mapped,
        unmapped=settings.unmapped,
        select=wanted.select,
        weights=wanted.weights,
        flat=settings.flat,
        fold=settings.fold,
        folds=settings.folds,
        event_id=settings.event_id,
        fields=(*model.fields, *(name for name in settings.auxiliary or () if name not in model.fields)),
        truth=Truth(settings.target, model.output, settings.decorrelate),
    )


def _is_column(weights: Any) -> bool:
    """Whether these are weights themselves, and not their name or what makes them."""
    return weights is not None and not isinstance(weights, str) and not callable(weights)

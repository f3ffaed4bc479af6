"""A coffea processor that scores, selects and histograms jets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import hist
import numpy as np
from coffea.processor import ProcessorABC

from ..errors import TaggerError, explain
from ..jets.tracing import is_traced, touch
from ..readers.shifted_jets import Constituents
from ..scoring.score_columns import score_names
from .attach import (
    Reader,
    Selection,
    Taggers,
    attach_masked,
    check_collection,
    check_constituents,
    check_mapping,
    named_taggers,
    pinned,
)
from .histograms import (
    KINEMATICS,
    SCORE_BINS,
    Variable,
    fill,
    flat,
    flat_column,
    jet_histogram,
    variable_axis,
    variable_values,
)
from .selections import boolean
from .weights import DEFAULT, Weight, event_weights
from .working_points import WorkingPoints, check_thresholds, working_points

__all__ = ["TaggerProcessor"]

Hook = Callable[[ak.Array, dict[str, ak.Array]], Mapping[str, Any]]


class TaggerProcessor(ProcessorABC):
    """Score jets along with ordinary cuts, and histogram them.

    ::

        processor = eqt.TaggerProcessor(
            {"FatJet": tagger},
            event_selections={"trigger": lambda events: events.HLT.PFJet500},
            jet_selections={"FatJet": {"pt > 500": lambda jets: jets.pt > 500}},
            working_points={"FatJet": {"loose": 0.3, "tight": 0.8}},
            variables={"FatJet": {"msoftdrop": hist.axis.Regular(50, 0, 250, name="msoftdrop")}},
        )

    Cuts are applied one after the other, and only jets that pass all of them are scored.

    Parameters
    ----------
    taggers : mapping
        As for `attach`. Taggers given by path are loaded where the processor runs, once per process; the processor
        holds their content hashes of when it was made, and every process checks them. For a path that only the workers
        have, give a `TaggerReference` with the hash.
    event_selections : mapping of str to callable, optional
        Name -> function of the events that returns one boolean per event.
    jet_selections : mapping of str to (mapping of str to callable), optional
        Collection -> name -> function of the collection that returns one boolean per jet. Missing values count as
        False; True or False alone apply to all, here and for events.
    working_points : mapping, optional
        Collection -> name -> threshold (a jet passes at or above it); for a collection with several scores,
        collection -> score -> name -> threshold, and the histograms call the working point ``score:name``.
    variables : mapping, optional
        Collection -> name -> hist axis, or (axis, field name or function of the jets), besides pt, eta, phi, mass.
    hook : callable, optional
        ``hook(events, jets)`` receives the selected events with scores, and the selected jets by collection; the
        mapping it returns is added to the output.
    weight : str, callable, number or None
        Field of the events, or function of them that returns one number per event, or one for all. The default
        ``"genWeight"`` is used if it exists; any other field must exist. None counts every event once.
    reader : callable, optional
        As for `attach`.
    constituents : {"nominal", "scaled"}
        As for `attach`: how jets shifted in energy are scored.
    device : str, optional
        Device for taggers given by path.

    Raises
    ------
    TaggerError
        If options are inconsistent, a threshold lies outside [0, 1], or there is no tagger of a given path.
    """

    def __init__(
        self,
        taggers: Taggers,
        *,
        event_selections: Mapping[str, Selection] | None = None,
        jet_selections: Mapping[str, Mapping[str, Selection]] | None = None,
        working_points: Mapping[str, WorkingPoints] | None = None,
        variables: Mapping[str, Mapping[str, Variable]] | None = None,
        hook: Hook | None = None,
        weight: Weight = DEFAULT,
        reader: Reader | None = None,
        constituents: Constituents = "nominal",
        device: str | None = None,
    ) -> None:
        check_mapping(taggers)
        self.taggers = pinned(taggers)
        self.event_selections = dict(event_selections or {})
        self.jet_selections = dict(jet_selections or {})
        self.working_points = dict(working_points or {})
        self.variables = dict(variables or {})
        self.hook = hook
        self.weight = weight
        self.reader = reader
        self.constituents = constituents
        check_constituents(constituents, reader)
        self.device = device
        for option in ("jet_selections", "working_points", "variables"):
            for collection in getattr(self, option):
                if collection not in self.taggers:
                    raise TaggerError(
                        explain(
                            f"{option} for {collection}, which has no tagger",
                            f"one of {', '.join(self.taggers) or '(no taggers)'}",
                            "give it a tagger, or leave it out",
                        )
                    )
        selections = [self.event_selections, *self.jet_selections.values()]
        if any("all" in cuts or "scored" in cuts for cuts in selections):
            raise TaggerError(
                explain("a selection called 'all' or 'scored'", "other names: the cutflow uses these", "rename it")
            )
        check_thresholds(self.working_points)

    def process(self, events: ak.Array) -> dict[str, Any]:
        """Process one chunk.

        Returns
        -------
        dict
            ``cutflow``: dataset -> cut -> ``events`` and ``weight``;
            ``jet_cutflow``: collection -> dataset -> cut -> jets, including ``scored``;
            ``scores``: collection -> score -> histogram (dataset, working_point, decision, score);
            ``jets``: collection -> variable -> histogram (dataset, working_point, decision, variable);
            and what the hook returned. Histograms hold every jet once per working point, and once as ``inclusive``:
            select one, ``histogram[{"working_point": "tight", "decision": "pass"}]``. Traced events give an empty
            dict.
        """
        metadata = getattr(events, "metadata", None) or {}
        dataset = str(metadata.get("dataset", "unknown"))
        traced = is_traced(events)
        for collection in self.taggers:
            check_collection(events, collection)

        cutflow: dict[str, dict[str, float]] = {}
        weights = self._weights(events)
        cutflow["all"] = _count(weights)
        for name, select in self.event_selections.items():
            mask = boolean(select, events, name)
            events, weights = events[mask], weights[mask]
            cutflow[name] = _count(weights)

        masks, jet_cutflow = {}, {}
        for collection in self.taggers:
            masks[collection], jet_cutflow[collection] = self._select_jets(events[collection], collection)
        taggers = named_taggers(self.taggers, device=self.device)
        events = attach_masked(events, taggers, masks, reader=self.reader, constituents=self.constituents)

        jets = {collection: events[collection][mask] for collection, mask in masks.items()}
        output: dict[str, Any] = {"cutflow": {dataset: cutflow}, "jet_cutflow": {}, "scores": {}, "jets": {}}
        for collection, chosen in jets.items():
            names = [n for name, tagger in taggers[collection].items() for n in score_names(name, tagger.classes)]
            points = working_points(self.working_points.get(collection, {}), names, collection)
            columns = self._columns(chosen, collection)
            jet_weights = ak.broadcast_arrays(weights, chosen[names[0]])[0]
            if traced:
                for column in columns.values():
                    touch(column)
                continue
            scores = {name: flat(chosen[name]) for name in names}
            scored = ~np.isnan(next(iter(scores.values())))
            scores = {name: score[scored] for name, score in scores.items()}
            flat_weights = flat(jet_weights)[scored]
            jet_cutflow[collection]["scored"] = int(scored.sum())
            output["jet_cutflow"][collection] = {dataset: jet_cutflow[collection]}
            output["scores"][collection] = {name: jet_histogram(_score_axis(name)) for name in names}
            for name, histogram in output["scores"][collection].items():
                fill(histogram, dataset, (scores[name], ~np.isnan(scores[name])), flat_weights, scores, points)
            output["jets"][collection] = {}
            for name, column in columns.items():
                axis = variable_axis(self.variables.get(collection, {}).get(name, KINEMATICS.get(name)))
                histogram = output["jets"][collection][name] = jet_histogram(axis)
                values, present = flat_column(column, name)
                fill(histogram, dataset, (values[scored], present[scored]), flat_weights, scores, points)
        added = dict(self.hook(events, jets)) if self.hook is not None else {}
        if clash := sorted(set(added) & set(output)):
            raise TaggerError(
                explain(
                    f"a hook that returns {', '.join(clash)}", "other keys: the processor uses these", "rename them"
                )
            )
        return {} if traced else {**output, **added}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Return the accumulated output as it is."""
        return accumulator

    def _weights(self, events: ak.Array) -> ak.Array:
        first = next(iter(self.taggers), None)
        counts = ak.num(events[first], axis=1) if first is not None else ak.local_index(events, axis=0)
        return event_weights(events, self.weight, ak.values_astype(ak.ones_like(counts), np.float64))

    def _select_jets(self, jets: ak.Array, collection: str) -> tuple[ak.Array, dict[str, int]]:
        """Mask of the jets that pass all cuts, and how many are left after each cut."""
        mask = boolean(True, jets, "all")
        counts = {"all": _number(mask)}
        for name, select in self.jet_selections.get(collection, {}).items():
            mask = mask & boolean(select, jets, f"{collection}: {name}")
            counts[name] = _number(mask)
        return mask, counts

    def _columns(self, jets: ak.Array, collection: str) -> dict[str, ak.Array]:
        """Columns to histogram: the kinematics that exist, and the user's variables."""
        variables = {
            name: axis for name, axis in KINEMATICS.items() if name in jets.fields or hasattr(type(jets), name)
        }
        variables.update(self.variables.get(collection, {}))
        return {name: variable_values(jets, name, variable) for name, variable in variables.items()}


def _count(weights: ak.Array) -> dict[str, float]:
    if is_traced(weights):
        touch(weights)
        return {}
    return {"events": len(weights), "weight": float(ak.sum(weights))}


def _number(mask: ak.Array) -> int:
    if is_traced(mask):
        touch(mask)
        return 0
    return int(ak.sum(mask))


def _score_axis(name: str) -> Any:
    # scores reach 1 exactly, which a regular axis alone counts as overflow
    return hist.axis.Regular(SCORE_BINS, 0, np.nextafter(1.0, 2.0), name="score", label=name)

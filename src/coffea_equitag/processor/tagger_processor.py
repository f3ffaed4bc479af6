"""A coffea processor that scores, selects and histograms jets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np
from coffea.processor import ProcessorABC, accumulate

from ..errors import TaggerError, explain
from ..jets.tracing import is_traced, touch
from ..readers.shifted_jets import Constituents
from ..scoring.discriminating import with_discriminants
from ..scoring.score_columns import JetScorer, score_names
from ..tagger.discriminant import Discriminants
from ..tagger.discriminant import discriminants as checked_discriminants
from .absence import absent, skipped
from .attach import (
    Reader,
    Selection,
    Taggers,
    check_constituents,
    check_mapping,
    named_taggers,
    pinned,
)
from .caching import cached
from .calibration import ScaleFactorsOf, calibrated, calibration, check_scale_factors
from .collection_histograms import collection_histograms, columns_of, score_counts
from .decisions import WorkingPoints, add_decisions, points_of, read_points, score_hashes
from .efficiency_histogram import Efficiencies, check_efficiencies, efficiency_histogram
from .histograms import Variable, check_variables
from .metadata import dataset_of, is_simulation, metadata_of
from .monitoring import MonitoredTagger
from .output import add_hook, empty_output, weight_sums
from .regions import select_regions
from .selections import Cuts, applied, select_jets
from .systematic_weights import EventWeights, WeightsLike, check_weights, systematic_weights
from .variations import NOMINAL, Variation, VariationsOf, check_variations, varied
from .varied_scores import VariedScores
from .weights import DEFAULT, Weight, event_weights
from .working_points import INCLUSIVE

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
    event_selections : mapping of str to callable, or callable, optional
        Name -> function of the events that returns one boolean per event; or a function that returns coffea's
        `PackedSelection`, whose selections become cuts.
    jet_selections : mapping of str to (mapping of str to callable), optional
        Collection -> name -> function of the collection, or of ``(jets, events)``, that returns one boolean per jet.
        Missing values count as False; True or False alone apply to all, here and for events.
    working_points : mapping or path-like, optional
        Collection -> name -> threshold (a jet passes at or above it); for a collection with several scores,
        collection -> score -> name -> threshold, and the histograms call the working point ``score:name``. Or a file of
        correctionlib, for all or collection -> file, as `evaluation.working_points` writes it; thresholds may depend on
        the jet's pT, the shifted one under variations. Jets have their decisions as fields, ``score_name``.
    variables : mapping, optional
        Collection -> name -> hist axis, or (axis, field name or function of the jets or of ``(jets, events)``), besides
        pt, eta, phi, mass.
    regions : mapping of str to (callable or mapping of str to callable), optional
        Name -> ``f(events, jets)``, one boolean per event, or several such cuts by name, or a function that returns a
        `PackedSelection`. The events have scores, and `jets` are the selected jets by collection. Regions may overlap.
    discriminants : mapping, optional
        ``{"TvsQCD": ("top", ["qcd"])}``: scores ``score_TvsQCD`` beside those of the classes, of every tagger that has
        these classes. ``{"BvsCL": ("b", {"c": 0.2, "light": 0.8})}`` is against a mixture with these fractions.
    hook : callable, optional
        ``hook(events, jets)`` receives the selected events with scores, and the selected jets by collection, without
        variations; the mapping it returns is added to the output.
    weight : str, callable, number or None
        Field of the events, or function of them that returns one number per event, or one for all. By default
        ``genWeight`` is used if it exists, unless `weights` are given; any other field must exist. None counts every
        event once.
    variations : mapping or callable, optional
        As for `attach`: variations of simulated events, each of which is a systematic. Its events and jets are selected
        anew, as they are under the variation, and only jets that look different to a tagger are scored again. Not
        applied to data, whose metadata say ``is_mc: False``.
    weights : mapping or callable, optional
        Weights of simulated events, by which `weight` is multiplied if that is given too. Name -> weight, (nominal, up,
        down), (nominal, up) or (nominal, {variation: (up, down)}), each part a field, function or number; or a function
        of the events that returns such a mapping or coffea's `Weights`. Variations become systematics, ``puUp`` and
        ``puDown``. Not called for data, whose metadata say ``is_mc: False``.
    scale_factors : mapping, optional
        Collection -> `ScaleFactors`, or several. Simulated events are weighted by them after scoring, with the jets and
        decisions of each variation; their own variations become systematics. ``sums`` and ``cutflow`` are without.
    efficiencies : mapping, optional
        Collection -> flavour (field of the jets, or function of them), or (flavour, edges in pT): histograms of
        simulated jets for `evaluation.efficiency_map`, without scale factors.
    reader : callable, optional
        As for `attach`.
    constituents : {"nominal", "scaled"}
        As for `attach`: how jets shifted in energy are scored.
    device : str, optional
        Device for taggers given by path.
    cache : path-like, optional
        As for `attach`: a folder, on a disk that all workers see, from which a second pass reads the scores.

    Raises
    ------
    TaggerError
        If options are inconsistent, a threshold lies outside [0, 1], or there is no tagger of a given path.
    """

    def __init__(
        self,
        taggers: Taggers,
        *,
        event_selections: Cuts | None = None,
        jet_selections: Mapping[str, Mapping[str, Selection]] | None = None,
        working_points: WorkingPoints | None = None,
        variables: Mapping[str, Mapping[str, Variable]] | None = None,
        regions: Mapping[str, Cuts] | None = None,
        discriminants: Discriminants | None = None,
        variations: VariationsOf | None = None,
        hook: Hook | None = None,
        weight: Weight = DEFAULT,
        weights: WeightsLike | None = None,
        scale_factors: ScaleFactorsOf | None = None,
        efficiencies: Efficiencies | None = None,
        reader: Reader | None = None,
        constituents: Constituents = "nominal",
        device: str | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        check_mapping(taggers)
        self.taggers = pinned(taggers)
        self.event_selections = event_selections if callable(event_selections) else dict(event_selections or {})
        self.jet_selections = dict(jet_selections or {})
        self.working_points = read_points(working_points, self.taggers)
        self.variables = dict(variables or {})
        self.regions = dict(regions or {})
        self.discriminants = {one.name: one.between for one in checked_discriminants(discriminants)}
        self.variations = variations
        check_variations(variations)
        self.hook = hook
        self.weight = weight
        self.weights = weights
        check_weights(weights)
        self.scale_factors = check_scale_factors(scale_factors)
        self.efficiencies = check_efficiencies(efficiencies)
        self.reader = reader
        self.constituents = constituents
        check_constituents(constituents, reader)
        self.device = device
        self.cache = None if cache is None else os.path.abspath(cache)
        for option in ("jet_selections", "working_points", "variables", "scale_factors", "efficiencies"):
            for collection in getattr(self, option):
                if collection not in self.taggers:
                    raise TaggerError(
                        explain(
                            f"{option} for {collection}, which has no tagger",
                            f"one of {', '.join(self.taggers) or '(no taggers)'}",
                            "give it a tagger, or leave it out",
                        )
                    )
        named = [self.event_selections, *self.jet_selections.values(), *self.regions.values()]
        if any("all" in cuts or "scored" in cuts for cuts in named if not callable(cuts)):
            raise TaggerError(
                explain("a selection called 'all' or 'scored'", "other names: the cutflow uses these", "rename it")
            )
        if INCLUSIVE in self.regions:
            what = f"a region called {INCLUSIVE!r}"
            raise TaggerError(explain(what, "another name: this is the region of all events", "rename it"))
        check_variables(self.variables)

    def process(self, events: ak.Array) -> dict[str, Any]:
        """Process one chunk.

        Returns
        -------
        dict
            ``cutflow``: dataset -> cut -> ``events``, ``weight``, ``weight2`` (sum of squared weights);
            ``jet_cutflow``: collection -> dataset -> cut -> jets, including ``scored``;
            ``sums``: dataset -> systematic -> events and weights before all cuts;
            ``regions``: region -> dataset -> systematic -> cut -> events and weights, ``all`` being those selected;
            ``monitoring``: collection -> score -> dataset -> numbers of jets: ``jets`` that pass all cuts, ``scored``,
            ``unscored``, ``empty``, ``out_of_range``, ``non_finite``;
            ``skipped``: dataset -> collection -> events that lack it, of which nothing else is in the output;
            ``calibration``: collection -> score -> {``"uncalibrated"``}, or the scale factors that were applied;
            ``efficiencies``: collection -> histogram (dataset, working_point, decision, flavour, pt), if asked for;
            ``scores``: collection -> score -> histogram (dataset, systematic, region, working_point, decision, score);
            ``jets``: collection -> variable -> histogram (..., variable);
            and what the hook returned. Histograms hold every jet once per systematic, region and working point, and
            once as ``nominal`` or ``inclusive``: select one of each, ``histogram[{"systematic": "nominal", "region":
            "SR", "working_point": "tight", "decision": "pass"}]``. Traced events give an empty dict.
        """
        metadata = metadata_of(events)
        dataset = dataset_of(metadata)
        if missing := absent(events, self.taggers):
            return {} if is_traced(events) else empty_output() | skipped(events, dataset, missing)
        simulation = is_simulation(metadata)
        taggers = cached(named_taggers(self.taggers, device=self.device), self.cache, events)
        scorer = VariedScores(events, self.taggers, reader=self.reader, constituents=self.constituents)
        output: dict[str, Any] = accumulate(
            self._process(variation, scorer, dataset, taggers, simulation)
            for variation in self._variations(events, scorer, simulation)
        )
        return output

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Return the accumulated output as it is."""
        return accumulator

    def _variations(self, events: ak.Array, scorer: VariedScores, simulation: bool) -> Iterator[Variation]:
        """Systematics that change the events, and the events of each."""
        yield scorer.nominal()
        yield from varied(events, self.variations if simulation else None, self.taggers)

    def _process(
        self,
        variation: Variation,
        scorer: VariedScores,
        dataset: str,
        taggers: Mapping[str, Mapping[str, JetScorer]],
        simulation: bool,
    ) -> dict[str, Any]:
        """The output of the events of one variation."""
        events, systematic = variation.events, variation.name
        is_nominal = systematic == NOMINAL
        output = empty_output()
        weights = self._weights(events, simulation)
        if not is_nominal:
            weights = weights.only(systematic)
        output["sums"][dataset] = {name: weight_sums(values) for name, values in weights.items()}
        cutflow = {"all": weight_sums(weights.nominal)}
        for name, mask in applied(self.event_selections, events, "selected"):
            events, weights = events[mask], weights[mask]
            cutflow[name] = weight_sums(weights.nominal)
        masks, jet_cutflow = select_jets(events, self.taggers, self.jet_selections)

        monitored = {c: {name: MonitoredTagger(one) for name, one in named.items()} for c, named in taggers.items()}
        named = with_discriminants(monitored, self.discriminants)
        events = scorer.attach(variation, events, named, masks)
        hashes = score_hashes(named, taggers)
        points = points_of(self.working_points, hashes)
        events = add_decisions(events, points)
        jets = {collection: events[collection][mask] for collection, mask in masks.items()}
        unscaled = weights.nominal
        if simulation:
            weights = calibrated(weights, self.scale_factors, jets, vary=is_nominal)
        output["calibration"] = calibration(self.scale_factors, hashes)
        regions, flows = select_regions(self.regions, events, jets, weights)
        output["regions"] = {region: {dataset: flow} for region, flow in flows.items()}
        for collection, chosen in jets.items():
            names = list(hashes[collection])
            columns = columns_of(chosen, events, self.variables.get(collection, {}))
            if is_traced(events):
                for _, column in columns.values():
                    touch(column)
                continue
            output["scores"][collection], output["jets"][collection] = collection_histograms(
                dataset, chosen, names, columns, weights, regions, points[collection]
            )
            if is_nominal and simulation and collection in self.efficiencies:
                output["efficiencies"][collection] = efficiency_histogram(
                    dataset, chosen, unscaled, points[collection], *self.efficiencies[collection]
                )
            jet_cutflow[collection]["scored"] = score_counts(chosen, names[0])["scored"]
            output["monitoring"][collection] = {
                name: {dataset: score_counts(chosen, next(iter(score_names(name, one.classes)))) | one.numbers()}
                for name, one in monitored[collection].items()
            }
        if is_nominal:
            output["cutflow"] = {dataset: cutflow}
            output["jet_cutflow"] = {collection: {dataset: counts} for collection, counts in jet_cutflow.items()}
            output = add_hook(output, dict(self.hook(events, jets)) if self.hook is not None else {})
        else:
            output["monitoring"] = {}
        return {} if is_traced(events) else output

    def _weights(self, events: ak.Array, simulation: bool) -> EventWeights:
        first = next(iter(self.taggers), None)
        counts = ak.num(events[first], axis=1) if first is not None else ak.local_index(events, axis=0)
        unit = ak.values_astype(ak.ones_like(counts), np.float64)
        weight = None if self.weight is DEFAULT and self.weights is not None else self.weight
        varied = systematic_weights(events, self.weights if simulation else None, unit)
        return varied.times(event_weights(events, weight, unit))

"""Regions of an analysis: events by their scored jets, and what each cut leaves of them."""

from __future__ import annotations

from collections.abc import Mapping

import awkward as ak
import numpy as np

from ..array_types import Bools
from ..jets.tracing import is_traced
from .output import weight_sums
from .selections import Cuts, applied
from .systematic_weights import EventWeights
from .working_points import INCLUSIVE

__all__ = ["Flow", "select_regions"]

#: Systematic -> cut -> sums of weights.
Flow = dict[str, dict[str, dict[str, float]]]


def select_regions(
    regions: Mapping[str, Cuts], events: ak.Array, jets: Mapping[str, ak.Array], weights: EventWeights
) -> tuple[dict[str, Bools], dict[str, Flow]]:
    """Events of each region and of all together, ``inclusive``.

    Parameters
    ----------
    regions : mapping of str to (callable or mapping of str to callable)
        Region -> function of ``(events, jets)``, or several, which are applied one after the other.
    events : ak.Array
        The selected events, with scores.
    jets : mapping of str to ak.Array
        Collection -> selected jets, parallel to the events.
    weights : EventWeights
        Their weights.

    Returns
    -------
    (dict of str to ndarray of bool, dict of str to Flow)
        Region -> which events are in it (traced events have no such masks), and region -> systematic -> cut -> sums.

    Raises
    ------
    JetError
        If there is not one boolean for each event.
    """
    masks: dict[str, Bools] = {}
    flows: dict[str, Flow] = {}
    every: Cuts = {}
    for region, cuts in {INCLUSIVE: every, **regions}.items():
        inside = weights
        passed = None if is_traced(events) else np.arange(len(events))
        flow = {name: {"all": weight_sums(values)} for name, values in inside.items()}
        for cut, mask in applied(cuts, events, region, jets):
            inside = inside[mask]
            for name, values in inside.items():
                flow[name][cut] = weight_sums(values)
            passed = passed if passed is None else passed[ak.to_numpy(mask)]
        flows[region] = flow
        if passed is not None:
            masks[region] = np.isin(np.arange(len(events)), passed, assume_unique=True)
    return masks, flows

"""Weights of events from measured scale factors of a tagger, with their variations."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
from coffea.analysis_tools import Weights

from ..array_types import F8, I8, Bools
from ..errors import JetError, TaggerError, explain
from ..jets.tracing import touch
from .correction_files import CorrectionFile, read_corrections
from .jet_rows import EventFactors, FlatJets
from .method_1a import jet_factors
from .scale_factor_inputs import Evaluator, variation_pairs

__all__ = ["ScaleFactors"]

#: Name of the correction, and the flavours that it holds for.
Source: TypeAlias = str | tuple[str, Sequence[int]]

#: Flavours of the groups of the CMS BTV corrections.
_FLAVOURS = {"bc": (4, 5), "b": (5,), "c": (4,), "light": (0,)}


class ScaleFactors:
    """Scale factors of a tagger, from a file of correctionlib, as a weight of events.

    ::

        btag = eqt.ScaleFactors(
            "btagging.json.gz", {"bc": "deepJet_comb", "light": "deepJet_incl"},
            working_points=["L", "M"], efficiencies="efficiencies.json", era="2018",
        )
        top = eqt.ScaleFactors("jmar.json.gz", "ParticleNet_Top_Nominal", working_points={"tight": "0p5"}, where=is_top)
        eqt.TaggerProcessor(taggers, working_points="wp.json", scale_factors={"Jet": btag, "FatJet": top})

    With `efficiencies`, jets that fail count too (the CMS BTV group's method 1a with fixed working points): a jet
    between two working points, of scale factors s and efficiencies ε, has the factor (s₁ε₁ − s₂ε₂) / (ε₁ − ε₂).
    Without, jets that pass have their scale factor and others 1, which holds for events selected by the tag.

    The jets must have their decisions, fields ``SCORE_POINT`` as `attach` and `TaggerProcessor` add them. All is
    evaluated with the momenta and decisions of the jets given: under a shifted energy scale, with the shifted ones.

    Parameters
    ----------
    path : path-like
        The file, ``.json`` or ``.json.gz``. It is read now; other processes do not need it.
    corrections : str or mapping
        Name of the correction for all jets; or group -> correction, or (correction, flavours). The flavours of the
        groups bc, b, c and light are known. Groups vary one at a time.
    working_points : str, sequence of str or mapping of str to str
        Names of the working points, loosest first; or name -> that in the corrections.
    efficiencies : path-like, optional
        File from `evaluation.efficiency_map`.
    score : str
        Name of the score that the decisions are of.
    flavour : str or callable
        Field of the jets, or function of them, that tells the flavour.
    where : callable, optional
        Function of the jets: those with scale factors, for instance jets matched to a top quark. Others have the
        factor 1.
    systematics : sequence of str, optional
        Uncertainties, as in the corrections: ``"correlated"`` stands for ``up_correlated`` and ``down_correlated``, and
        ``""`` for up and down. By default correlated and uncorrelated where there are both, otherwise the total.
    era : str, optional
        Added to the names of uncorrelated uncertainties.
    inputs : mapping, optional
        Input of the corrections -> field or function of the jets, besides those known: pt, eta, abseta, flavour,
        working point, systematic.
    limits : mapping of str to (float, float), optional
        Input -> range beyond which its nearest value is used, for corrections that are not clamped.
    name : str
        Name of the weight: variations are ``NAME_GROUP_correlatedUp``, and so on.

    Raises
    ------
    TaggerError
        If there is no such file, correction, working point or uncertainty.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        corrections: str | Mapping[str, Source],
        *,
        working_points: str | Sequence[str] | Mapping[str, str],
        efficiencies: str | os.PathLike[str] | None = None,
        score: str = "score",
        flavour: str | Callable[[ak.Array], ak.Array] = "hadronFlavour",
        where: Callable[[ak.Array], ak.Array] | None = None,
        systematics: Sequence[str] | None = None,
        era: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        name: str = "tag",
    ) -> None:
        if isinstance(working_points, str):
            working_points = [working_points]
        self.points = dict(working_points) if isinstance(working_points, Mapping) else {p: p for p in working_points}
        self.file: CorrectionFile = read_corrections(path)
        self.efficiencies = None if efficiencies is None else read_corrections(efficiencies)
        if self.efficiencies is None and len(self.points) != 1:
            raise TaggerError(
                explain(
                    f"the working points {', '.join(self.points) or '(none)'} without efficiencies",
                    "one working point, or efficiencies=: jets between two of them need those of the simulation",
                    "measure them with evaluation.efficiency_map",
                )
            )
        self.score, self.flavour, self.where, self.name = score, flavour, where, name
        limits, extra = dict(limits or {}), dict(inputs or {})
        self.groups = {
            group: (Evaluator(self.file, correction, flavour, extra, limits), flavours)
            for group, (correction, flavours) in _sources(corrections).items()
        }
        self.pairs = {
            group: variation_pairs(evaluator, systematics, era) for group, (evaluator, _) in self.groups.items()
        }
        for evaluator, _ in self.groups.values():
            evaluator.check_points(self.points.values())
        if self.efficiencies is not None:
            Evaluator(self.efficiencies, "efficiency", flavour, {}, {}).check_points(self.points)

    def __call__(self, jets: ak.Array) -> EventFactors:
        """Factors of the events of these jets.

        Parameters
        ----------
        jets : ak.Array
            ``[event][jet]``, with decisions; those that the analysis selects, without the tag.

        Returns
        -------
        EventFactors
            ``nominal``, one factor per event, and ``variations``: ``GROUP_correlated`` -> (up, down).

        Raises
        ------
        JetError
            If jets lack a field or a decision, or a correction does not know them.
        """
        flat = FlatJets(jets)
        use = flat.boolean(self.where(jets)) if self.where is not None else np.ones(flat.number, bool)
        passes = [flat.decision(f"{self.score}_{point}", use) for point in self.points]
        members = self._members(flat, use)
        efficiencies = self._efficiencies(flat, use)
        nominal = {g: self._factors(flat, g, "nominal", members[g], passes, efficiencies) for g in self.groups}
        variations = {}
        for group, pairs in self.pairs.items():
            others = np.prod([nominal[one] for one in self.groups if one != group], axis=0)
            for variation, keys in pairs.items():
                up, down = (
                    flat.product(others * self._factors(flat, group, key, members[group], passes, efficiencies))
                    for key in keys
                )
                variations["_".join(filter(None, [group, variation]))] = up, down
        return EventFactors(flat.product(np.prod(list(nominal.values()), axis=0)), variations)

    def add_to(self, weights: Weights, jets: ak.Array) -> Weights:
        """Add the factors of these jets, and their variations, to coffea's weights."""
        found = self(jets)
        names = list(found.variations)
        up, down = ([pair[side].copy() for pair in found.variations.values()] for side in (0, 1))
        if names == [""]:
            weights.add(self.name, found.nominal, up[0], down[0])
        else:
            weights.add_multivariation(self.name, found.nominal, names, up, down)
        return weights

    def systematic_factors(self, jets: ak.Array) -> tuple[F8, dict[str, F8]]:
        """Nominal factors, and systematic -> factors in place of them."""
        found = self(jets)
        return found.nominal, {
            "_".join(filter(None, [self.name, variation])) + side: values
            for variation, pair in found.variations.items()
            for side, values in zip(("Up", "Down"), pair, strict=True)
        }

    def touch(self, jets: ak.Array) -> None:
        """Report as read what the factors of traced jets would need."""
        sources = [one for evaluator, _ in self.groups.values() for one in evaluator.sources()]
        needs_flavour = self.efficiencies is not None or any(flavours for _, flavours in self.groups.values())
        for source in [*sources, *([self.flavour] if needs_flavour else []), *([self.where] if self.where else [])]:
            touch(source(jets) if callable(source) else getattr(jets, source))

    def __str__(self) -> str:
        names = ", ".join(evaluator.name for evaluator, _ in self.groups.values())
        return f"scale factors {names} of {os.path.basename(self.file.path)} (SHA-256 {self.file.content_hash[:12]})"

    def _members(self, flat: FlatJets, use: Bools) -> dict[str, Bools]:
        if all(flavours is None for _, flavours in self.groups.values()):
            return dict.fromkeys(self.groups, use)
        flavour: I8 = flat.integers(self.flavour, use)
        return {g: use if chosen is None else use & np.isin(flavour, chosen) for g, (_, chosen) in self.groups.items()}

    def _efficiencies(self, flat: FlatJets, use: Bools) -> list[F8] | None:
        if self.efficiencies is None:
            return None
        evaluator = Evaluator(self.efficiencies, "efficiency", self.flavour, {}, {})
        known = use & np.isin(flat.integers(self.flavour, use), evaluator.flavours())
        if unknown := int((self._any_member(flat, use) & ~known).sum()):
            raise JetError(
                explain(
                    f"{unknown} jets of flavours without efficiencies",
                    f"the flavours {', '.join(map(str, evaluator.flavours()))} of {self.efficiencies.path}",
                    "measure the efficiencies with jets of all flavours",
                )
            )
        return [evaluator(flat, known, point, "central") for point in self.points]

    def _any_member(self, flat: FlatJets, use: Bools) -> Bools:
        found: Bools = np.logical_or.reduce(list(self._members(flat, use).values()))
        return found

    def _factors(
        self,
        flat: FlatJets,
        group: str,
        key: str,
        members: Bools,
        passes: Sequence[Bools],
        efficiencies: Sequence[F8] | None,
    ) -> F8:
        """One factor per jet, 1 outside the group."""
        evaluator = self.groups[group][0]
        key = evaluator.nominal if key == "nominal" else key
        factors = [evaluator(flat, members, point, key) for point in self.points.values()]
        if efficiencies is None:
            return np.where(members & passes[0], factors[0], 1.0)
        return np.where(members, jet_factors(passes, factors, efficiencies), 1.0)


def _sources(corrections: str | Mapping[str, Source]) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    if isinstance(corrections, str):
        return {"": (corrections, None)}
    found: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    for group, source in corrections.items():
        if isinstance(source, str):
            if group not in _FLAVOURS:
                raise TaggerError(
                    explain(
                        f"scale factors '{group}' without flavours",
                        f"the flavours of the group, except for {', '.join(_FLAVOURS)}",
                        f"give them with the correction: {{'{group}': ('{source}', [5])}}",
                    )
                )
            found[group] = source, _FLAVOURS[group]
        else:
            found[group] = source[0], tuple(source[1])
    claimed = [flavour for _, flavours in found.values() for flavour in flavours or ()]
    if not found or len(claimed) != len(set(claimed)):
        raise TaggerError(
            explain(f"groups of flavours {[f for _, f in found.values()]}", "each flavour in one group", "correct them")
        )
    return found

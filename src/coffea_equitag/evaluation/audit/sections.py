"""The page of an audit."""

from __future__ import annotations

from typing import Any

from ..report import Picture, Section, Table
from .deviation import Change
from .figures import curve_figure, limit_figure, robustness_figure
from .findings import Findings
from .moves import GENERATORS, SIX
from .words import number

__all__ = ["sections", "summary"]


def summary(found: Findings) -> dict[str, str]:
    """The few facts shown large."""
    group = found.subgroup
    kept = group.name.split(", ")[0].removeprefix("the ") if group.generators else "none found"
    consistent = all(change.is_rounding for change in found.consistency.values())
    tiles = {"Symmetry kept": kept, "Rounding floor": number(found.floor)}
    for name, limit in found.limits.items():
        tiles["Infrared safe" if name == "soft emission" else "Collinear safe"] = "yes" if limit.is_safe else "no"
    return tiles | {"Order and batch": "irrelevant" if consistent else "relevant"}


def sections(found: Findings, verdict: str) -> list[Section]:
    """All of them, in their order."""
    parts = [
        Section("Verdict", verdict.replace("\n", "\n\n"), name="verdict", data={"text": verdict.split("\n")}),
        _curves(found),
        _generators(found),
    ]
    if found.robustness:
        parts.append(_robustness(found))
    return [*parts, _safety(found), _consistency(found), _floor(found)]


def _curves(found: Findings) -> Section:
    own = found.curves[found.name]
    pictures = [
        Picture(
            curve_figure(
                {name: curves[title] for name, curves in found.curves.items()}, title, against_gamma="boost" in title
            ),
            f"Root mean square change of the scores under a {title}, in units of their spread over the jets.",
        )
        for title in own
    ]
    text = (
        f"{found.num_jets} jets, rotated and boosted; the jets' own momenta are those of their constituents' sum. 1 is "
        "a change as large as differences between jets. In the grey area rounding explains the change: it is "
        "measured at each point, by moving all momenta by one unit in the last place. Changes of 0 and below the axis "
        "are shown at its lower end."
    )
    data = {
        name: {title: [change.as_dict() for change in changes] for title, changes in curves.items()}
        for name, curves in found.curves.items()
    }
    return Section("Change against angle and γ", text, pictures=pictures, data=data, name="curves")


def _row(name: str, change: Change) -> list[Any]:
    outcome = "unchanged" if change.is_rounding else "changed"
    return [name, outcome, number(change.rms), number(change.largest), number(change.floor.largest), change.moved]


def _generators(found: Findings) -> Section:
    rows = [_row(one.name, found.generators[key]) for key, one in GENERATORS.items()]
    if found.moving is not None:
        rows.append(_row("all, reference vectors too", found.moving))
    header = ["transformation", "scores", "rms", "largest", "rounding", "jets beyond rounding"]
    caption = "Changes in units of the spread, at the parameter where they are farthest above rounding."
    text = (
        f"The largest subgroup that leaves the scores unchanged: {found.subgroup.name}. A network that breaks the "
        f"Lorentz group to it acts as if it saw fixed reference vectors (spurions): {found.subgroup.fixed}.\n\n"
        "Null rotations with the rotations about z are SE(2), the stabiliser of a null vector along the beam. "
        "Unchanged means: within rounding for at least 90% of the jets."
    )
    data = {
        "subgroup": found.subgroup.name,
        "reference_vectors": found.subgroup.fixed,
        "generators": {one.name: found.generators[key].as_dict() for key, one in GENERATORS.items()},
        "with_reference_vectors": None if found.moving is None else found.moving.as_dict(),
    }
    return Section("Subgroup and reference vectors", text, tables=[Table(header, rows, caption)], data=data)


def _robustness(found: Findings) -> Section:
    figure = robustness_figure(found.robustness, with_auc=found.has_labels)
    what = "AUC, with its interval (68.27%)," if found.has_labels else "Root mean square change of the scores"
    caption = f"{what} against β or angle, {found.num_scored} jets."
    header = ["transformation", *(("lowest AUC",) if found.has_labels else ()), "largest rms change"]
    rows: list[list[Any]] = []
    for title in SIX:
        one = found.robustness[found.name][title]
        lowest = [min(one.aucs, key=lambda e: e.value)] if found.has_labels else []
        rows.append([title, *lowest, number(max(one.changes))])
    text = (
        "Each jet is first put at (η, φ) = (0, 0), with its momentum along x. The tilts are a boost along z or y and "
        "the rotation that brings a massless momentum along x back to x. After Li et al., arXiv:2208.07814."
    )
    if found.has_labels:
        text += " The control was trained on these jets, so only its change matters, not its AUC."
    data = {
        name: {title: one.as_dict() for title, one in of_function.items()}
        for name, of_function in found.robustness.items()
    }
    return Section(
        "Six transformations",
        text,
        pictures=[Picture(figure, caption)],
        tables=[Table(header, rows, f"{found.name}")],
        data=data,
    )


def _safety(found: Findings) -> Section:
    labels = {"soft emission": r"$p_T$ of the emission / $p_T$ of the jet", "collinear splitting": "Angle (rad)"}
    captions = {
        "soft emission": "A neutral massless constituent is added at ΔR = 0.2 from the jet's axis.",
        "collinear splitting": "The hardest constituent becomes two of the same type, at this angle.",
    }
    pictures = [
        Picture(limit_figure(limit, labels[name], found.name), captions[name]) for name, limit in found.limits.items()
    ]
    text = (
        "A score that perturbative QCD can predict does not change when a constituent becomes infinitely soft, or "
        "splits at angle 0. An analytic function of energies and angles changes in proportion to the size; a change "
        "that tends to a constant is one of a network that counts constituents."
    )
    data = {name: limit.as_dict() for name, limit in found.limits.items()}
    return Section("Infrared and collinear safety", text, pictures=pictures, data=data)


def _consistency(found: Findings) -> Section:
    rows = [
        [
            name,
            "no difference" if change.is_rounding else "matters",
            number(change.largest),
            number(change.floor.largest),
        ]
        for name, change in found.consistency.items()
    ]
    text = (
        "Constituents in three random orders; jets scored one by one, in threes and in reverse order. Largest changes, "
        "in units of the spread."
    )
    data = {name: change.as_dict() for name, change in found.consistency.items()}
    table = Table(["what", "scores", "largest", "rounding"], rows)
    return Section("Order of constituents and batch", text, tables=[table], data=data, name="consistency")


def _floor(found: Findings) -> Section:
    boosts = {title: changes for title, changes in found.curves[found.name].items() if "boost" in title}
    gammas = [change.parameter for change in next(iter(boosts.values()))]
    rows = [
        [f"γ = {gamma:g}", *(number(c[k].floor.largest) for c in boosts.values())] for k, gamma in enumerate(gammas)
    ]
    rows.insert(0, ["the jets as they are", *[number(found.floor)] * len(boosts)])
    scores = found.scores
    text = (
        "Largest change of a score, in units of the spread, when every component of every momentum moves by one unit "
        "in the last place up or down: of the arithmetic for the jets as they are, and of the numbers in which the "
        "momenta are read after each boost. Momenta are transformed in extended precision and rounded once."
    )
    data = {
        "unit_of_arithmetic": scores.unit,
        "unit_of_inputs": scores.input_unit,
        "spread": scores.spread,
        "floor": found.floor,
    }
    return Section("Numerical floor", text, tables=[Table(["frame", *boosts], rows)], data=data, name="floor")

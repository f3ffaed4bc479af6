"""The verdict of an audit in words."""

from __future__ import annotations

from .findings import Findings
from .moves import GENERATORS, SIX
from .robustness import Robustness
from .rounding import DOUBLE, FACTOR
from .safety import Limit

__all__ = ["number", "verdict"]

#: A floor above which rounding hides a symmetry.
_BLURRED = 0.01


def number(value: float) -> str:
    """Two digits, as in a sentence."""
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+").replace("-", "−") if value else "0"


def verdict(found: Findings) -> str:
    """One sentence per line."""
    sentences = [
        _symmetry(found),
        *_broken(found),
        *_references(found),
        *_range(found),
        *_robustness(found),
        *(_safety(name, limit, found.floor) for name, limit in found.limits.items()),
        *_consistency(found),
        _floor(found),
    ]
    return "\n".join(sentences)


def _symmetry(found: Findings) -> str:
    group = found.subgroup
    is_score = found.scores.output == "classes"
    if not group.generators:
        unchanged = "leaves its scores unchanged" if is_score else "turns its vectors with the jets"
        return f"{found.name}: no continuous symmetry of the Lorentz group that was tried {unchanged}."
    changes = [found.generators[key] for key in group.generators]
    largest = max(change.most for change in changes)
    precision = f"up to {number(largest)} of the spread between jets" if largest else "to the last bit"
    unchanged = "its scores are unchanged by" if is_score else "its vectors turn with the jets under"
    sentence = f"{found.name}: {unchanged} {group.name}, {precision}"
    jets = max(change.moved for change in changes)
    exception = f", but for {jets} of {found.num_jets} jets, as where an order or a group changes" if jets else ""
    fixed = "" if group.fixed == "none" else f" It behaves as if it saw reference vectors: {group.fixed}."
    return f"{sentence}{exception}.{fixed}"


def _broken(found: Findings) -> list[str]:
    broken = {key: change for key, change in found.generators.items() if not change.is_rounding and key[0] in "RB"}
    if not broken:
        return []
    parts = [
        f"{GENERATORS[key].name} ({number(change.rms)})"
        for key, change in sorted(broken.items(), key=lambda item: -item[1].rms)
    ]
    return [f"It is changed by {', '.join(parts)}: root mean square, in units of the spread, above any rounding."]


def _references(found: Findings) -> list[str]:
    if found.moving is None:
        return []
    if found.moving.is_rounding:
        precision = f"up to {number(found.moving.most)}" if found.moving.most else "to the last bit"
        return [
            "Where its reference vectors (beams) are transformed with the jets, the scores are Lorentz-invariant "
            f"{precision}: nothing else breaks the symmetry."
        ]
    return [
        "Transforming its reference vectors (beams) with the jets does not restore the symmetry: the scores change by "
        f"{number(found.moving.rms)}."
    ]


def _range(found: Findings) -> list[str]:
    """Where rounding is as large as what one looks for."""
    blurred = [
        (change.parameter, name)
        for name, curve in found.curves[found.name].items()
        for change in curve
        if "boost" in name and change.floor.most > _BLURRED
    ]
    if not blurred:
        return []
    gamma, name = min(blurred)
    return [
        f"From γ = {gamma:g} on ({name}), rounding of the momenta alone changes its scores by more than "
        f"{_BLURRED:g} of the spread."
    ]


def _robustness(found: Findings) -> list[str]:
    if not found.robustness or not found.has_labels:
        return []
    own = found.robustness[found.name]
    name, worst = max(own.items(), key=lambda item: item[1].loss)
    start = worst.aucs[0].value
    if worst.loss <= worst.aucs[0].value - worst.aucs[0].low:
        return [f"Its AUC, {start:.4f}, changes by less than its uncertainty under all six transformations."]
    return [
        f"Of the six transformations of arXiv:2208.07814, {name} costs it most: its AUC falls from {start:.4f} to "
        f"{start - worst.loss:.4f} at {_at(name, worst)}."
    ]


def _at(name: str, found: Robustness) -> str:
    lowest = min(range(len(found.aucs)), key=lambda k: found.aucs[k].value)
    value = f"{found.parameters[lowest]:.3g}"
    return f"β = {value}" if SIX[name][2] == "β" else f"an angle of {value}"


def _safety(name: str, limit: Limit, floor: float) -> str:
    what = "Infrared" if name == "soft emission" else "Collinear"
    if limit.changes[-1].rms <= FACTOR * floor:
        return f"{what} safe: in the limit of a {name} the change is rounding."
    if limit.is_safe:
        return f"{what} safe: the change of a {name} vanishes like its size to the power {limit.exponent:.2f}."
    return (
        f"Not {what.lower()} safe: in the limit of a {name} the scores still change by {number(limit.value)} of the "
        "spread."
    )


def _consistency(found: Findings) -> list[str]:
    sentences = []
    for name, change in found.consistency.items():
        if change.is_rounding:
            sentences.append(f"The {name} makes no difference beyond rounding ({number(change.largest)}).")
        else:
            sentences.append(f"The {name} matters: scores change by up to {number(change.largest)} of the spread.")
    return sentences


def _floor(found: Findings) -> str:
    scores = found.scores
    arithmetic = "float64" if scores.unit == DOUBLE else "float32"
    momenta = "float64" if scores.input_unit == DOUBLE else "float32"
    return (
        f"Rounding: it computes in {arithmetic} and reads momenta in {momenta}. One unit in the last place changes "
        f"scores by up to {number(found.floor)} of the spread. A transformation counts as rounding if it changes the "
        f"scores of nine jets in ten by less than {FACTOR} times as much."
    )

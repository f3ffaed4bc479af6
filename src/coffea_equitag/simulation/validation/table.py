"""The table of a comparison as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from .comparison import Comparison
from .observables import OBSERVABLES
from .spectra import SPECTRA

__all__ = ["markdown"]


def markdown(comparison: Comparison) -> str:
    """All numbers of a comparison, with their meaning."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    facts = comparison.facts
    yield "# Simulated against real jets"
    yield ""
    for which in ("simulated", "real"):
        if which in facts:
            yield f"- {which}: {_files(facts[which])}"
    if "max_constituents" in facts:
        yield (
            f"- in both samples, constituents are massless and limited to the {facts['max_constituents']} hardest of "
            "each jet; a jet is their sum"
        )
    yield "- *z*: simulated minus real, in standard errors; spread: half the central 68%; KS: Kolmogorov-Smirnov"
    yield ""
    yield from _checks(comparison)
    for name, found in comparison.classes.items():
        first = found.observables["multiplicity"]
        yield f"## {name}: {first.num_simulated} simulated, {first.num_real} real jets"
        yield ""
        yield from _table(
            ("observable", "mean, simulated", "mean, real", "z", "spread", "real", "median", "real", "KS", "p"),
            (
                (
                    OBSERVABLES[key].words + (f" ({OBSERVABLES[key].unit})" if OBSERVABLES[key].unit else ""),
                    _measured(value.mean_simulated, value.mean_simulated_error),
                    _measured(value.mean_real, value.mean_real_error),
                    _signed(value.difference),
                    _number(value.spread_simulated),
                    _number(value.spread_real),
                    _number(value.median_simulated),
                    _number(value.median_real),
                    _number(value.ks, "{:.3f}"),
                    _number(value.ks_p, "{:.2g}"),
                )
                for key, value in found.observables.items()
            ),
        )
        if found.peaks:
            yield from _table(
                ("peak (median within its window, GeV)", "simulated", "real", "spread", "real", "share", "real"),
                (
                    (
                        key,
                        _measured(mine.position, mine.error),
                        _measured(theirs.position, theirs.error),
                        _number(mine.spread),
                        _number(theirs.spread),
                        _number(mine.share, "{:.3f}"),
                        _number(theirs.share, "{:.3f}"),
                    )
                    for key, (mine, theirs) in found.peaks.items()
                ),
            )
        if found.spectra:
            yield from _table(
                ("spectrum of constituents", "χ²", "bins", "p"),
                (
                    (
                        SPECTRA[key].words,
                        _number(value.chi2, "{:.1f}"),
                        str(value.num_bins) if value.num_bins else "—",
                        _number(value.p, "{:.2g}"),
                    )
                    for key, value in found.spectra.items()
                ),
            )
    yield from _networks(comparison)


def _checks(comparison: Comparison) -> Iterator[str]:
    yield "## Checks"
    yield ""
    yield from _table(
        ("check", "found", "limit", ""),
        (
            (what, _number(value, "{:.3g}"), limit, "—" if math.isnan(value) else "passed" if passed else "**failed**")
            for what, value, limit, passed in comparison.checks()
        ),
    )


def _networks(comparison: Comparison) -> Iterator[str]:
    if comparison.separation:
        yield "## Real or simulated? A small PFN, cross-validated"
        yield ""
        yield from _table(
            ("jets", "of each sample", "AUC"),
            (
                (name, "too few", "—")
                if found is None
                else (name, str(found.number), f"{found.auc:.3f} ± {found.error:.3f}")
                for name, found in comparison.separation.items()
            ),
        )
    if comparison.taggers:
        yield "## Taggers on both samples"
        yield ""
        yield from _table(
            ("tagger", "AUC, simulated", "AUC, real", "accuracy, simulated", "real"),
            (
                (
                    result.name,
                    f"{result.auc_simulated:.4f} ± {result.auc_simulated_error:.4f}",
                    f"{result.auc_real:.4f} ± {result.auc_real_error:.4f}",
                    f"{result.accuracy_simulated:.4f}",
                    f"{result.accuracy_real:.4f}",
                )
                for result in comparison.taggers
            ),
        )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' --- ' if k == 0 else ' ---: ' for k in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _files(files: Sequence[str]) -> str:
    return ", ".join(files) if len(files) <= 3 else f"{files[0]}, ... {files[-1]} ({len(files)} files)"


def _number(value: float, form: str = "{:.4g}") -> str:
    return form.format(value) if math.isfinite(value) else "—"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−") if math.isfinite(value) else "—"


def _measured(value: float, error: float) -> str:
    """A value with its error to two digits."""
    if not math.isfinite(value):
        return "—"
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = min(max(1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{digits}f} ± {error:.{digits}f}"

"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..marked_page import between_markers
from .forms import OURS, REFERENCE
from .patches import WORKLOAD
from .pipeline import STEPS
from .workloads import WORKLOADS

__all__ = ["insert", "markdown"]

#: Other forms and their short names in the tables.
_OTHERS = {
    REFERENCE: "layers",
    "padded to the largest": "padded",
    "padded to 128": "to 128",
    "padded to 200": "to 200",
    "edge list": "edge list",
}


#: What the section pipeline times as a whole.
_WHOLE = {
    "engine": "invariants and network, flat jets in memory",
    "score": "`score_file`, with all steps",
    "processor": "`TaggerProcessor`, from the file to its histograms",
}

#: Lines that enclose the tables in a page of the documentation.
_MARKERS = ("<!-- made by: equitag benchmark -->", "<!-- end of what equitag benchmark made -->")


def insert(page: str, tables: str) -> str:
    """Insert tables into a page, replacing those between `_MARKERS`.

    Raises
    ------
    TaggerError
        If the page has no such lines.
    """
    return between_markers(page, _MARKERS, f"\n\n{tables.strip()}\n\n")


def markdown(found: dict[str, Any]) -> str:
    """All tables, each with its heading.

    Parameters
    ----------
    found : dict
        The result of `measure`.
    """
    parts = [_machine(found)]
    if found.get("networks"):
        parts += [_networks(found["networks"], workload) for workload in found["settings"]["workloads"]]
    if found.get("patches"):
        parts.append(_patches(found["patches"]))
    if found.get("peers"):
        parts.append(_peers(found["peers"]))
    if found.get("size"):
        parts.append(_size(found["size"]))
    if found.get("one_jet"):
        parts.append(_one_jet(found["one_jet"]))
    if found.get("throughput"):
        parts.append(_throughput(found["throughput"]))
    if found.get("pipeline"):
        parts.append(_pipeline(found["pipeline"]))
    if found.get("pairs"):
        parts.append(_pairs(found["pairs"]))
    return "\n\n".join(parts) + "\n"


def _machine(found: dict[str, Any]) -> str:
    machine, settings = found["machine"], found["settings"]
    peaks = [case["peak_gflops"] for case in found.get("networks", ()) if case["peak_gflops"]]
    peak = f"; measured float32 peak of one core {max(peaks):.0f} GFLOP/s" if peaks else ""
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    where = machine.get("gpu", machine["processor"])
    options = ", ".join(f"{name} = {value}" for name, value in settings["options"].items())
    return (
        f"{machine['date']}, {where}, {machine['cores']} cores ({settings['threads']} used), "
        f"{machine.get('cache', 'cache unknown')}, {machine.get('memory', 'memory unknown')}{peak}. "
        f"{machine['system']}, Python {machine['python']}, {versions}; "
        f"{options + '; ' if options else ''}{'tuned' if machine['tuned malloc'] else 'default'} malloc. "
        f"The benchmark took {found['seconds'] / 60:.0f} minutes."
    )


def _networks(cases: Sequence[dict[str, Any]], workload: str) -> str:
    chosen = [case for case in cases if case["workload"] == workload]
    present = [name for name in _OTHERS if any(name in case["forms"] for case in chosen)]
    heading = ["network", "pass", "runs on", "ms per jet", "jets/s", "of peak", "deviation", "MB"]
    heading += [f"× {_OTHERS[name]}" for name in present]
    heading += [f"MB {_OTHERS[name]}" for name in present if any(_bytes(case, name) for case in chosen)]
    rows = []
    for case in chosen:
        ours = case["forms"][OURS]
        runs_on = case["kernel"] if case["precision"] == "float32" else f"{case['kernel']}, {case['precision']}"
        row = [case["model"], case["pass"], runs_on, _with_spread(ours["ms"]), f"{ours['jets_per_second']:,.0f}"]
        row += ["–" if ours["of_peak"] is None else f"{ours['of_peak']:.0%}"]
        row += ["–" if ours["differs"] is None else f"{ours['differs']:.0e}", _megabytes(case, OURS)]
        row += [_ratio(case["forms"][name]["times_ours"]) if name in case["forms"] else "–" for name in present]
        row += [_megabytes(case, name) for name in present if any(_bytes(other, name) for other in chosen)]
        rows.append(row)
    batches = ", ".join(sorted({f"{case['batch']}" for case in chosen}, key=int))
    largest = max(case["constituents"]["largest"] for case in chosen)
    return (
        f"### {WORKLOADS[workload].name}\n\nBatches of {batches} jets; the largest jet has {largest} constituents.\n\n"
        + _table(heading, rows, left=3)
    )


def _patches(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            row["model"],
            ", ".join(f"{name} {scalar}" for name, scalar in row["options"].items()) or "none",
            row["pass"],
            row["kernel"],
            _with_spread(row["ms"]),
            _ratio(row["layers_times_ours"]),
            _ratio(row["padded_times_ours"]) if "padded_times_ours" in row else "–",
            _ratio({"median": 1 / row["plain_times_ours"]["median"]}),
            row["compared"],
        ]
        for row in found
    ]
    heading = ["network", "patch", "pass", "runs on", "ms per jet", "× layers", "× padded", "time / that of", ""]
    return f"### Patches, {WORKLOADS[WORKLOAD].name}\n\n" + _table(heading, rows, left=4)


def _size(found: Sequence[dict[str, Any]]) -> str:
    sizes = [row["n"] for row in found[0]["rows"]]
    rows = [[case["model"], *(_number(row["ms"]["median"]) for row in case["rows"])] for case in found]
    rows += [
        [f"{case['model']}, ns per pair", *(_number(row["ns_per_pair"]) for row in case["rows"])]
        for case in found
        if case["sees_pairs"]
    ]
    return "### Cost against n: ms per jet, forward\n\n" + _table(["network", *map(str, sizes)], rows)


def _one_jet(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        [row["model"], str(row["n"]), *(_number(row[name]["median"]) for name in ("scores", "logits", "batch"))]
        for row in found
    ]
    heading = ["network", "n", "awkward to scores, ms", "flat jet to logits, ms", "in a batch, ms per jet"]
    return "### One jet\n\n" + _table(heading, rows)


def _throughput(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            row["model"],
            WORKLOADS[row["workload"]].name,
            f"{row['jets']:,}",
            f"{row['jets_per_second']:,.0f}",
            "–" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}",
        ]
        for row in found
    ]
    heading = ["network", "jets", "number", "jets/s", "MB besides the jets"]
    return "### Cost against the number of jets\n\n" + _table(heading, rows, left=2)


def _pipeline(found: dict[str, Any]) -> str:
    jets, taggers = found["jets"], found["taggers"]
    rows = []
    for name, what in STEPS.items():
        rows.append([name, what])
        for times in taggers.values():
            share = times["steps"][name] / sum(times["steps"].values())
            rows[-1].append(f"{_number(1e6 * times['steps'][name] / jets)} ({share:.0%})")
    for name, what in _WHOLE.items():
        rows.append([name.replace("_", " "), what])
        for times in taggers.values():
            of_engine = "" if name == "engine" else f" ({times['engine'] / times[name]:.0%})"
            rows[-1].append(f"{_number(1e6 * times[name] / jets)}{of_engine}")
    file = "the packaged events, many times over" if found["file"] is None else f"`{found['file']}`"
    words = (
        f"Microseconds per jet; {found['events']:,} events with {jets:,} jets: {file}. "
        "In brackets the share of a step, and which part of the whole the engine alone would take."
    )
    table = _table(["", "", *(f"`{name}`" for name in taggers)], rows, left=2)
    return f"### From a ROOT file to scores\n\n{words}\n\n{table}"


def _pairs(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            name,
            *(f"{case['forms'][name]['entries_per_second'] / 1e6:,.0f}" for case in found),
            *(_ratio(case["forms"][name]["times_ours"]) for case in found),
        ]
        for name in found[0]["forms"]
    ]
    names = [case["workload"] for case in found]
    heading = ["form", *(f"{name}: M pairs/s" for name in names), *(f"{name}: time / ours" for name in names)]
    return "### Pair products\n\n" + _table(heading, rows)


def _peers(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            row["peer"],
            f"{row['parameters']:,}",
            row["workload"],
            row["pass"],
            _with_spread(row["ms"]),
            f"{row['ours']} ({row['our_parameters']:,})",
            _ratio(row["times_ours"]),
            *("–" if row[key] is None else f"{row[key] / 1e6:,.1f}" for key in ("bytes", "our_bytes")),
        ]
        for row in found
    ]
    heading = ["peer", "parameters", "jets", "pass", "ms per jet", "compared with", "time / ours", "MB", "our MB"]
    return "### Other packages\n\n" + _table(heading, rows, left=1)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    rule = ["---"] * left + ["---:"] * (len(heading) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heading, rule, *rows))


def _bytes(case: dict[str, Any], name: str) -> float | None:
    """Memory for the whole batch, in proportion if fewer jets were measured."""
    form = case["forms"].get(name)
    if form is None or form["bytes"] is None:
        return None
    return float(form["bytes"] * form["scale"] * case["batch"] / form["jets"]) if name != OURS else float(form["bytes"])


def _megabytes(case: dict[str, Any], name: str) -> str:
    size = _bytes(case, name)
    if size is None:
        return "–"
    scaled = name != OURS and case["forms"][name]["jets"] < case["batch"]
    return ("≈ " if scaled else "") + f"{size / 1e6:,.{1 if size < 1e8 else 0}f}"


def _with_spread(spread: dict[str, float]) -> str:
    half = (spread["high"] - spread["low"]) / 2
    digits = max(0, 2 - len(str(int(spread["median"])))) + (2 if spread["median"] < 1 else 0)
    return f"{spread['median']:.{digits}f} ± {half:.{digits}f}"


def _ratio(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f}" if spread["median"] < 10 else f"{spread['median']:.0f}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"

"""Every network in every format: does it export, how exact is the file, how fast is it beside ours.

    python -m benchmarks.export_matrix results.jsonl [NETWORK...] [--insert docs/howto/export.md]

One line of JSON per network and format; what the file already has is not measured again. One thread. Networks that are
not of the zoo are trained for two epochs on the packaged jets.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import torch

import coffea_equitag as eqt
from coffea_equitag import models, zoo
from coffea_equitag.benchmarking.machine import describe_machine
from coffea_equitag.demo import PACKAGED_JETS
from coffea_equitag.export import FORMATS, export
from coffea_equitag.export.interface import Form, Precision
from coffea_equitag.export.onnx_file import OnnxSession
from coffea_equitag.export.pt2_file import open_pt2
from coffea_equitag.export.trial_jets import TrialJets, trial_jets
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.marked_page import between_markers

#: Name in the table -> a tagger in the zoo, or a kind of network and its options, which is trained on the packaged
#: jets: logits of fresh weights hardly depend on the jet.
NETWORKS: dict[str, str | tuple[str, dict[str, Any]]] = {
    **{name: name for name in zoo.names()},
    **{kind: (kind, {}) for kind in models.names()},
    "particlenet, mass patches": ("particlenet", {"lite": True, "pairwise": "mass", "nodewise": "mass"}),
    "lorentznet_base, mass patches": ("lorentznet_base", {"pairwise": "mass", "nodewise": "mass"}),
}

_EPOCHS = 2
#: The second one where the first deviates.
PRECISIONS: tuple[Precision, ...] = ("float32", "float64")
#: Jets that are timed, and their mean number of constituents.
_JETS, _MEAN = 64, 50

_BEGIN, _END = "<!-- made by: python -m benchmarks.export_matrix -->", "<!-- end of what export_matrix made -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, []], default=[])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--insert", type=Path, metavar="PAGE", help="write the table into this page")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    found = [json.loads(line) for line in lines]
    done = {(row["network"], row["format"]) for row in found}
    for name in arguments.networks or NETWORKS:
        wanted = [format for format in arguments.formats if (name, format) not in done]
        tagger = tagger_of(name) if wanted else None
        for format in wanted:
            for precision in PRECISIONS:
                row = {"network": name, "format": format, "precision": precision, **measured(tagger, format, precision)}
                found.append(row)
                with arguments.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
                if "deviate" not in row.get("refused", ""):
                    break
    if arguments.insert:
        page = arguments.insert.read_text()
        arguments.insert.write_text(between_markers(page, (_BEGIN, _END), f"\n{table(found)}\n"))


def tagger_of(name: str) -> eqt.Tagger:
    what = NETWORKS[name]
    if isinstance(what, str):
        return eqt.load(what, "cpu")
    kind, given = what
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = models.build(kind, **given)
    jets = eqt.read_jets(PACKAGED_JETS)
    if model.fields:  # which the packaged jets lack
        untrained = eqt.Tagger.from_model(model, name=kind, classes=("QCD", "top"))
        made_up = trial_jets(untrained, ak.to_numpy(ak.num(jets.constituents)), "ragged").jets
        for name in {field.partition(".")[0] for field in model.fields}:
            jets = ak.with_field(jets, made_up.constituents[name], ("constituents", name))
    with tempfile.TemporaryDirectory() as folder:
        return eqt.fit(
            model,
            jets,
            labels="label",
            classes=("QCD", "top"),
            out=folder,
            epochs=_EPOCHS,
            device="cpu",
            progress=False,
        )


def measured(tagger: eqt.Tagger, format: str, precision: Precision) -> dict[str, Any]:
    """What one export is like."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / {"onnx": "m.onnx", "cms": "m.onnx", "pt2": "m.pt2", "triton": "repository"}[format]
        try:
            made = export(tagger, path, format, precision=precision)
        except eqt.ExportError as error:
            return {"refused": str(error).splitlines()[0]}
        seconds = time.process_time() - start
        file = made.path / "1" / "model.onnx" if format == "triton" else made.path
        function = open_pt2(file) if format == "pt2" else OnnxSession(file)
        form: Form = {"triton": "padded", "cms": "cms"}.get(format, "ragged")
        counts = np.random.default_rng(1).poisson(_MEAN, _JETS)
        trial = trial_jets(tagger, counts, form)
        return {
            "jets": made.verification.jets,
            "deviation": made.verification.deviation,
            "from_tagger": made.verification.from_tagger,
            "tagger_deviation": made.verification.tagger_deviation,
            "us": best(lambda: function(*trial.inputs)),
            "ours_us": best(lambda: ours(tagger, trial)),
            "seconds": seconds,
            "megabytes": os.path.getsize(file) / 1e6,
            "date": dt.date.today().isoformat(),
            "machine": describe_machine().get("processor", "an unknown processor"),
        }


def ours(tagger: eqt.Tagger, trial: TrialJets) -> None:
    tagger.outputs(RaggedJets.from_awkward(trial.jets, tagger.card.contract.constituent_fields))


def best(call: Callable[[], object], times: int = 3) -> float:
    """µs per jet, the best of some times: CPU time, so that other processes do not count."""
    call()
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found) / _JETS * 1e6


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | format | deviation | the tagger's own | µs per jet | ours | ratio | export, s | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    order = {name: k for k, name in enumerate(NETWORKS)}
    for row in sorted(rows, key=lambda row: (order[row["network"]], FORMATS.index(row["format"]))):
        exact = ", float64" if row.get("precision") == "float64" else ""
        cells = [row["network"], row["format"] + exact]
        if "refused" in row:
            lines.append(f"| {' | '.join([*cells, 'refused: ' + row['refused'], *[''] * 6])} |")
            continue
        cells += [f"{row[key]:.1e}" for key in ("deviation", "tagger_deviation")]
        cells += [f"{row[key]:.0f}" for key in ("us", "ours_us")] + [f"{row['us'] / row['ours_us']:.1f}"]
        cells += [f"{row['seconds']:.0f}", f"{row['megabytes']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    dates = sorted({row["date"] for row in rows if "date" in row})
    machines = sorted({row["machine"] for row in rows if "machine" in row})
    missing = [name for name in NETWORKS if {row["format"] for row in rows if row["network"] == name} != {*FORMATS}]
    text = [f"Measured {' to '.join(sorted({dates[0], dates[-1]}))} on {'; '.join(machines)}."]
    if missing:
        text.append(f"Not measured yet, or not in all formats: {'; '.join(missing)}.")
    return "\n".join([*lines, "", *text])


if __name__ == "__main__":
    main()

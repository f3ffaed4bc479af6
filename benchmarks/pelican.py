"""Time PELICAN on one core: the fused kernel, the reference layers, and a padded stack of fifteen aggregators.

::

    python benchmarks/pelican.py
    python benchmarks/pelican.py --size 48k --rounds 3
    python benchmarks/pelican.py --mean 20 --spread 10 --train

All forms run in one process, in turn, with the same weights; a table in Markdown gives medians. malloc is tuned (see
`common`). The kernel and the layers are timed from jets to logits, invariants included; the padded form is given its
padded momenta. Times are of the processor, which other processes on the machine disturb least. Peak memory comes from
a process of its own a form, malloc as it is.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

import llvmlite
import numba
import numpy as np
import torch
from common import Form, arguments, enliven, timed, tune
from lorentznet_inference import machine, measured_peak, random_jets, resident

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.benchmarking.padded.pelican import padded
from coffea_equitag.models.pelican import Pelican

KERNEL, LAYERS, STACK = "fused kernel", "reference layers", "padded stack of 15"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--size", default="11k", help="size of the network")
    parser.set_defaults(jets=32)
    options = parser.parse_args()
    tune(options)
    model = network(options)
    if options.memory:
        print(peak_memory(model, options))
        return
    jets = random_jets(options)
    forms = {name: timed(form, options) for name, form in all_forms(model, jets).items()}
    logits = {name: form() for name, form in forms.items()}
    scale = logits[LAYERS].square().mean().sqrt()
    times: dict[str, list[float]] = {name: [] for name in forms}
    peak = 0.0
    for _ in range(options.rounds):
        peak = max(peak, measured_peak())
        for name, form in forms.items():
            start = time.process_time()
            form()
            times[name].append(time.process_time() - start)
    print(heading(options, jets, peak))
    print(f"| form | ms a jet | times faster than {STACK} | of peak | memory | logits off by (of rms) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratio = statistics.median(a / b for a, b in zip(times[STACK], seconds, strict=True))
        memory = subprocess.run(
            [sys.executable, *sys.argv, "--memory", name],
            env={key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")},
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        off = float((logits[name] - logits[LAYERS]).abs().max() / scale)
        share = f"{flops(model, jets) / median / 1e9 / peak:.0%}" if name == KERNEL and not options.train else "–"
        print(f"| {name} | {1e3 * median / options.jets:.2f} | {ratio:.1f} | {share} | {memory} MB | {off:.0e} |")


def heading(options: argparse.Namespace, jets: RaggedJets, peak: float) -> str:
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (torch, numba, llvmlite, np))
    return (
        f"PELICAN {options.size}, {'forward and backward' if options.train else 'forward'}, float32; {options.jets} "
        f"jets of n = {options.mean:g} ± {options.spread:g} (largest {int(jets.counts.max())}); one core of "
        f"{machine()}, measured fp32 peak {peak:.0f} GFLOP/s; Python {platform.python_version()}, {versions}; tuned "
        f"malloc; medians of {options.rounds} rounds in turn.\n"
    )


def network(options: argparse.Namespace) -> Pelican:
    torch.manual_seed(1)
    # without dropout, so that the forms can be compared in training too
    model = enliven(eqt.models.build("pelican", size=options.size, dropout=0.0)).train(options.train)
    assert isinstance(model, Pelican)
    return model


def all_forms(model: Pelican, jets: RaggedJets) -> dict[str, Form]:
    def of(mode: str) -> Form:
        def form() -> torch.Tensor:
            with kernels.use(mode):
                return model(jets)

        return form

    return {
        KERNEL: of("cpu"),
        LAYERS: of("reference"),
        STACK: padded(model, jets, int(jets.counts.max())),
    }


def flops(model: Pelican, jets: RaggedJets) -> float:
    """Multiplications and additions of the kernel's dense layers of pairs."""
    wide, narrow = model.messages[0].linear.in_features, model.messages[0].linear.out_features
    pairs = float(((jets.counts + model.extra_nodes).double() ** 2).sum())
    # a message, and half of a layer's two products, since even and odd parts are shared
    return pairs * 2 * wide * narrow * (2 * len(model.blocks) + 1)


def peak_memory(model: Pelican, options: argparse.Namespace) -> str:
    """Growth of the resident memory's maximum in one run, in MB; Linux only."""
    small = random_jets(argparse.Namespace(**(vars(options) | {"jets": 2})))
    timed(all_forms(model, small)[options.memory], options)()
    form = timed(all_forms(model, random_jets(options))[options.memory], options)
    try:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
        before = resident("VmRSS")
        form()
        return f"{(resident('VmHWM') - before) / 1024:.1f}"
    except OSError:
        return "–"


if __name__ == "__main__":
    main()

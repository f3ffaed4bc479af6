"""Time a training step of LorentzNet on one core: the fused kernel, the reference layers, and the official algorithm.

::

    python benchmarks/lorentznet_training.py
    python benchmarks/lorentznet_training.py --jets 32 --mean 20 --spread 10
    python benchmarks/lorentznet_training.py --checkpoint lorentznet.pt

A step is forward and backward, in training mode, with the same weights for all forms; a table in Markdown gives
medians of turns. The kernel skips what ReLUs made 0, so its time depends on the weights: new ones leave half of the
numbers, trained ones fewer; ``--checkpoint`` takes an official checkpoint of top tagging. Time is the process's own.
The kernel and the layers begin with jets, invariants included; the official algorithm (concatenated inputs of a list
of edges, see lorentznet_inference.py) is given its nodes and its list of edges for free. Gradients are compared with
those of the reference layers in double precision, on a few of the jets. Malloc is tuned and memory measured as in
lorentznet_inference.py.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import llvmlite
import numba
import numpy as np
import torch
from common import measured_peak
from lorentznet_inference import (
    LAYERS,
    OFFICIAL,
    TUNED,
    all_forms,
    machine,
    network,
    official_algorithm,
    random_jets,
    resident,
)
from torch import Tensor, nn

import coffea_equitag as eqt
from coffea_equitag import RaggedJets
from coffea_equitag.models.lorentznet import LorentzNet


def main() -> None:
    options = arguments()
    if not options.memory and any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(1)
    model, jets = trained(options), random_jets(options)
    if options.memory:
        print(peak_memory(model, options))
        return
    steps = all_steps(model, jets)
    few = random_jets(argparse.Namespace(**(vars(options) | {"jets": min(options.jets, 8)})))
    precise = gradients(copy.deepcopy(model).double(), few, LAYERS)
    off = {name: worst(gradients(model, few, name), precise) for name in steps}
    times: dict[str, list[float]] = {name: [] for name in steps}
    peak = 0.0
    for _ in range(options.rounds):
        peak = max(peak, measured_peak())
        for name, step in steps.items():
            model.zero_grad()
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    print(heading(options, jets, peak))
    print("| form | ms a jet | times faster than official | memory | worst gradient off by (rms, of its rms) |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(times[OFFICIAL], seconds, strict=True))
        memory = subprocess.run(
            [sys.executable, *sys.argv, "--memory", name],
            env={key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")},
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        cost = 1e3 * statistics.median(seconds) / options.jets
        print(f"| {name} | {cost:.1f} | {ratio:.1f} | {memory} MB | {off[name]:.0e} |")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jets", type=int, default=100, help="jets in the batch")
    parser.add_argument("--mean", type=float, default=50, help="mean number of constituents")
    parser.add_argument("--spread", type=float, default=20, help="its standard deviation")
    parser.add_argument("--hidden", type=int, default=72, help="channels")
    parser.add_argument("--rounds", type=int, default=5, help="times each form is run, in turn")
    parser.add_argument("--checkpoint", default="", help="an official checkpoint of top tagging, not new weights")
    parser.add_argument("--memory", default="", help="only print the peak memory of this form")
    return parser.parse_args()


def trained(options: argparse.Namespace) -> LorentzNet:
    if not options.checkpoint:
        model = network(options)
    else:
        model = eqt.convert.official("lorentznet", options.checkpoint, n_scalar=2, clamp=None).model
    model.head[2].p = 0.0  # dropout draws numbers, and gradients are to be compared
    return model.train()


def heading(options: argparse.Namespace, jets: RaggedJets, peak: float) -> str:
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (torch, numba, llvmlite, np))
    weights = "trained weights" if options.checkpoint else "new weights"
    return (
        f"LorentzNet, {options.hidden} channels, 6 blocks, {weights}, forward and backward, float32; {options.jets} "
        f"jets of n = {options.mean:g} ± {options.spread:g} (largest {int(jets.counts.max())}); one core of "
        f"{machine()}, measured fp32 peak {peak:.0f} GFLOP/s; {versions}; tuned malloc; medians of {options.rounds} "
        "rounds in turn.\n"
    )


def all_steps(model: LorentzNet, jets: RaggedJets) -> dict[str, Callable[[], None]]:
    forms = {name: form for name, form in all_forms(model, jets).items() if name != OFFICIAL}
    labels = torch.arange(jets.num_jets) % 2

    def step_of(form: Callable[[], Tensor]) -> Callable[[], None]:
        return lambda: nn.functional.cross_entropy(form(), labels).backward()

    return {name: step_of(form) for name, form in (forms | {OFFICIAL: official_algorithm(model, jets)}).items()}


def gradients(model: LorentzNet, jets: RaggedJets, name: str) -> dict[str, Tensor]:
    model.zero_grad()
    all_steps(model, jets)[name]()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def worst(found: dict[str, Tensor], precise: dict[str, Tensor]) -> float:
    """The largest relative error; biases before a BatchNorm have gradients of 0 and are left out."""
    return max(
        float((found[name] - gradient).square().mean().sqrt() / gradient.square().mean().sqrt())
        for name, gradient in precise.items()
        if not name.endswith("phi_h.0.bias")
    )


def peak_memory(model: LorentzNet, options: argparse.Namespace) -> str:
    """Growth of the resident memory's maximum in one step, in MB; Linux only."""
    small = random_jets(argparse.Namespace(**(vars(options) | {"jets": 2})))
    all_steps(model, small)[options.memory]()
    step = all_steps(model, random_jets(options))[options.memory]
    try:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
        before = resident("VmRSS")
        step()
        return f"{(resident('VmHWM') - before) / 1024:.1f}"
    except OSError:
        return "–"


if __name__ == "__main__":
    main()

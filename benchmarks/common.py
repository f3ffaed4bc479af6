"""What the benchmarks of single networks share: jets, padding, tuned malloc, turns, medians, memory, one table.

Time is the process's own (one thread), so that other processes disturb less. glibc's malloc is tuned (the process
starts itself again with MALLOC_MMAP_MAX_=0 and a large MALLOC_TRIM_THRESHOLD_), since page faults would double the
time of forms that make large temporaries. Peak memory comes from a process of its own a form, malloc as it is.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import llvmlite
import numba
import numpy as np
import torch
from lorentznet_inference import TUNED, machine, repeat_multiply_add, resident
from torch import Tensor, nn

from coffea_equitag import RaggedJets
from coffea_equitag.invariants import kinematic_features

Form = Callable[[], Tensor]
Jets = tuple[Tensor, Tensor]


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--jets", type=int, default=100, help="jets in the batch")
    parser.add_argument("--mean", type=float, default=50, help="mean number of constituents")
    parser.add_argument("--spread", type=float, default=20, help="its standard deviation")
    parser.add_argument("--rounds", type=int, default=7, help="times each form is run, in turn")
    parser.add_argument("--train", action="store_true", help="forward and backward, in training mode")
    parser.add_argument("--memory", default="", help="only print the peak memory of this form")
    return parser


def tune(options: argparse.Namespace) -> None:
    """Start again with tuned malloc and one thread."""
    if not options.memory and any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(1)
    torch.set_grad_enabled(options.train)


def enliven(model: nn.Module) -> nn.Module:
    """BatchNorm statistics that are not the initial ones."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return model


def random_jets(options: argparse.Namespace) -> Jets:
    """Kinematic features (N, 7) and boundaries (J + 1,)."""
    rng = np.random.default_rng(2)
    counts = np.clip(rng.normal(options.mean, options.spread, options.jets), 2, 200).astype(np.int64)
    total = int(counts.sum())
    pt, eta, phi = rng.exponential(10.0, total) + 0.5, rng.normal(0, 0.3, total), rng.normal(0, 0.3, total)
    p4 = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))
    jets = RaggedJets.from_momenta(torch.from_numpy(p4), offsets)
    return kinematic_features(jets).float(), offsets


def pad(features_NF: Tensor, offsets: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Jets as (J, F, length), and which places are real, (J, 1, length)."""
    counts = offsets.diff()
    mask = torch.arange(length) < counts[:, None]
    out = features_NF.new_zeros((len(counts), length, features_NF.shape[1]))
    out[mask] = features_NF
    return out.transpose(1, 2).contiguous(), mask[:, None].float()


def table(
    name: str,
    options: argparse.Namespace,
    forms: Callable[[Jets], dict[str, Form]],
    reference: str,
    slowest: str,
    flops: Callable[[Jets], float],
) -> None:
    """Run all forms in turn and print; ratios are medians over the rounds of time against `slowest`."""
    jets = random_jets(options)
    if options.memory:
        print(peak_memory(options, forms))
        return
    found = {form: timed(run, options) for form, run in forms(jets).items()}
    logits = {form: run() for form, run in found.items()}
    scale = logits[reference].square().mean().sqrt()
    times: dict[str, list[float]] = {form: [] for form in found}
    peak = 0.0
    for _ in range(options.rounds):
        peak = max(peak, measured_peak())
        for form, run in found.items():
            start = time.process_time()
            run()
            times[form].append(time.process_time() - start)
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (torch, numba, llvmlite, np))
    print(
        f"{name}, {'forward and backward' if options.train else 'forward'}, float32; {options.jets} jets of n = "
        f"{options.mean:g} ± {options.spread:g} (largest {int(jets[1].diff().max())}); one core of {machine()}, "
        f"measured fp32 peak {peak:.0f} GFLOP/s; Python {platform.python_version()}, {versions}; tuned malloc; "
        f"medians of {options.rounds} rounds in turn.\n"
    )
    print(f"| form | µs a jet | times faster than {slowest} | of peak | memory | logits off by (median, of rms) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    work = flops(jets) * (3 if options.train else 1)
    for form, seconds in times.items():
        median = statistics.median(seconds)
        ratio = statistics.median(a / b for a, b in zip(times[slowest], seconds, strict=True))
        memory = subprocess.run(
            [sys.executable, *sys.argv, "--memory", form],
            env={key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")},
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        off = float((logits[form] - logits[reference]).abs().amax(1).median() / scale)
        share = f"{work / median / 1e9 / peak:.0%}"
        print(f"| {form} | {1e6 * median / options.jets:.0f} | {ratio:.1f} | {share} | {memory} MB | {off:.0e} |")


def measured_peak() -> float:
    """GFLOP/s of fused multiply-adds in float32 on one core, the best of three tries, in the process's own time."""
    times, best = 1_000_000, 0.0
    repeat_multiply_add(1, np.float32(0.5))
    for _ in range(3):
        start = time.process_time()
        _, flops = repeat_multiply_add(times, np.float32(0.5))
        best = max(best, times * flops / (time.process_time() - start) / 1e9)
    return best


def timed(run: Form, options: argparse.Namespace) -> Form:
    """The form, and its backward pass if that is asked for."""
    if not options.train:
        return run

    def both() -> Tensor:
        logits = run()
        nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 2).backward()
        return logits.detach()

    return both


def peak_memory(options: argparse.Namespace, forms: Callable[[Jets], dict[str, Any]]) -> str:
    """Growth of the resident memory's maximum in one run, in MB; Linux only."""
    small = random_jets(argparse.Namespace(**(vars(options) | {"jets": 2})))
    timed(forms(small)[next(name for name in forms(small) if name == options.memory)], options)()
    form = timed(forms(random_jets(options))[options.memory], options)
    try:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
        before = resident("VmRSS")
        form()
        return f"{(resident('VmHWM') - before) / 1024:.1f}"
    except OSError:
        return "–"

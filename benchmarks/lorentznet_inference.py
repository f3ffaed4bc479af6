"""Time LorentzNet's inference on one core: the fused kernel, the reference layers, and the official algorithm.

::

    python benchmarks/lorentznet_inference.py
    python benchmarks/lorentznet_inference.py --mean 20 --spread 10

All forms run in one process, in turn, with the same weights; a table in Markdown gives medians. glibc's malloc is
tuned (the process starts itself again with MALLOC_MMAP_MAX_=0 and a large MALLOC_TRIM_THRESHOLD_), since page faults
would double the time of the forms that make large temporaries. The kernel and the layers are timed from jets to
logits, invariants included; the official algorithm is given its nodes and its list of edges for free. Peak memory
comes from a process of its own a form, malloc as it is.
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

import awkward as ak
import llvmlite
import llvmlite.binding
import numba
import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from torch import Tensor

import coffea_equitag as eqt
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.layers.psi import psi
from coffea_equitag.models.beams import BEAMS
from coffea_equitag.models.lorentznet import LorentzNet

TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "OMP_NUM_THREADS": "1"}
KERNEL, LAYERS, OFFICIAL = "fused kernel", "reference layers", "official algorithm"


def main() -> None:
    options = arguments()
    if not options.memory and any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    model, jets = network(options), random_jets(options)
    forms = all_forms(model, jets)
    if options.memory:
        print(peak_memory(model, options, options.memory))
        return
    logits = {name: form() for name, form in forms.items()}
    scale = logits[LAYERS].square().mean().sqrt()
    times: dict[str, list[float]] = {name: [] for name in forms}
    peak = 0.0
    for _ in range(options.rounds):
        peak = max(peak, measured_peak())
        for name, form in forms.items():
            start = time.perf_counter()
            form()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratios = {
        name: statistics.median(a / b for a, b in zip(times[OFFICIAL], found, strict=True))
        for name, found in times.items()
    }
    flops = edge_flops(model, jets)
    print(heading(options, jets, peak))
    print("| form | ms a jet | times faster than official | GFLOP/s | of peak | memory | logits off by (of rms) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, seconds in medians.items():
        rate = flops / seconds / 1e9
        memory = subprocess.run(
            [sys.executable, *sys.argv, "--memory", name],
            env={key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")},
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        off = float((logits[name] - logits[LAYERS]).abs().max() / scale)
        counted = f"{rate:.0f} | {rate / peak:.0%}" if name != OFFICIAL else "– | –"
        cost = 1e3 * seconds / options.jets
        print(f"| {name} | {cost:.2f} | {ratios[name]:.1f} | {counted} | {memory} MB | {off:.0e} |")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jets", type=int, default=100, help="jets in the batch")
    parser.add_argument("--mean", type=float, default=50, help="mean number of constituents")
    parser.add_argument("--spread", type=float, default=20, help="its standard deviation")
    parser.add_argument("--hidden", type=int, default=72, help="channels")
    parser.add_argument("--rounds", type=int, default=7, help="times each form is run, in turn")
    parser.add_argument("--memory", default="", help="only print the peak memory of this form")
    return parser.parse_args()


def heading(options: argparse.Namespace, jets: RaggedJets, peak: float) -> str:
    versions = ", ".join(f"{m.__name__} {m.__version__}" for m in (torch, numba, llvmlite, np))
    return (
        f"LorentzNet, {options.hidden} channels, 6 blocks, float32; {options.jets} jets of n = {options.mean:g} ± "
        f"{options.spread:g} (largest {int(jets.counts.max())}); one core of {machine()}, measured fp32 peak "
        f"{peak:.0f} GFLOP/s; Python {platform.python_version()}, {versions}; tuned malloc; medians of "
        f"{options.rounds} rounds in turn. GFLOP/s count the dense layers of edges only.\n"
    )


def machine() -> str:
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as info:
            name = next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name} ({llvmlite.binding.get_host_cpu_name()})"


def network(options: argparse.Namespace) -> LorentzNet:
    torch.manual_seed(1)
    model = eqt.models.build("lorentznet", hidden=options.hidden)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return model.eval()


def random_jets(options: argparse.Namespace) -> RaggedJets:
    rng = np.random.default_rng(2)
    counts = np.clip(rng.normal(options.mean, options.spread, options.jets), 2, 200).astype(np.int64)
    total = int(counts.sum())
    columns = {
        "pt": rng.exponential(10.0, total) + 0.5,
        "eta": np.repeat(rng.uniform(-1.5, 1.5, options.jets), counts) + rng.normal(0, 0.3, total),
        "phi": rng.normal(0, 0.3, total),
        "mass": np.where(rng.random(total) < 0.6, 0.13957, 0.0),
    }
    return RaggedJets.from_awkward(eqt.make_jets(ak.unflatten(ak.zip(columns), counts)))


def all_forms(model: LorentzNet, jets: RaggedJets) -> dict[str, Callable[[], Tensor]]:
    def kernel() -> Tensor:
        with kernels.use("cpu"):
            return model(jets)

    def layers() -> Tensor:
        with kernels.use("reference"):
            return model(jets)

    return {KERNEL: kernel, LAYERS: layers, OFFICIAL: official_algorithm(model, jets)}


def official_algorithm(model: LorentzNet, jets: RaggedJets) -> Callable[[], Tensor]:
    """The network as its paper writes it: a list of edges, their inputs side by side in one array, in float32."""
    nodes = jets.prepend(jets.p4.new_tensor(BEAMS), jets.p4.new_ones(2))
    scalars, start, counts = model.scalars(nodes), nodes.offsets[:-1].tolist(), nodes.counts.tolist()
    first, jet = nodes.p4.float(), torch.repeat_interleave(torch.arange(nodes.num_jets), nodes.counts)
    pairs = [(~torch.eye(n, dtype=torch.bool)).nonzero() + at for at, n in zip(start, counts, strict=True)]
    i, j = torch.cat(pairs).T.contiguous()
    metric = first.new_tensor([1.0, -1.0, -1.0, -1.0])

    def over_edges(values: Tensor) -> Tensor:
        return values.new_zeros((len(first), values.shape[1])).index_add_(0, i, values)

    def run() -> Tensor:
        h, x = model.embedding(scalars), first
        for block in model.blocks:
            difference = x[i] - x[j]
            norm = psi((difference * difference * metric).sum(1, keepdim=True))
            product = psi((x[i] * x[j] * metric).sum(1, keepdim=True))
            message = block.phi_e(torch.cat([h[i], h[j], norm, product], dim=1))
            message = message * block.phi_m(message)
            if block.phi_x is not None:
                degree = over_edges(torch.ones_like(norm)).clamp(min=1)
                x = x + block.c_weight * over_edges(difference * block.phi_x(message)) / degree
            h = h + block.phi_h(torch.cat([h, over_edges(message), scalars], dim=1))
        mean = h.new_zeros((len(counts), h.shape[1])).index_add_(0, jet, h) / nodes.counts[:, None]
        return model.head(mean)

    return run


def edge_flops(model: LorentzNet, jets: RaggedJets) -> float:
    """Multiplications and additions of the kernel's dense layers of edges: φ_e's second, and φ_x's first."""
    hidden, blocks = model.options["hidden"], model.options["n_layers"]
    n = (jets.counts + 2).double()
    return float((n * (n - 1)).sum()) * (2 * blocks - 1) * 2 * hidden**2


def peak_memory(model: LorentzNet, options: argparse.Namespace, name: str) -> str:
    """Growth of the resident memory's maximum in one run, in MB; Linux only."""
    small = random_jets(argparse.Namespace(**(vars(options) | {"jets": 2})))
    all_forms(model, small)[name]()
    form = all_forms(model, random_jets(options))[name]
    try:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
        before = resident("VmRSS")
        form()
        return f"{(resident('VmHWM') - before) / 1024:.1f}"
    except OSError:
        return "–"


def resident(field: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


#: Independent sums, enough to hide the latency of a fused multiply-add.
SUMS = 12


@intrinsic
def multiply_add(typing_context: Any, times: Any, number: Any) -> Any:
    """Nothing but fused multiply-adds on registers."""
    width = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        times, number = arguments
        vector, lane = ir.VectorType(ir.FloatType(), width), ir.IntType(32)
        name = f"llvm.fma.v{width}f32"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        empty = ir.Constant(vector, ir.Undefined)
        spread = builder.insert_element(empty, number, lane(0))
        spread = builder.shuffle_vector(spread, empty, ir.Constant(ir.VectorType(lane, width), [0] * width))
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(times.type)
        sums = [builder.phi(vector) for _ in range(SUMS)]
        found = [builder.call(fma, [value, spread, spread]) for value in sums]
        following = builder.add(k, times.type(1))
        k.add_incoming(times.type(0), before)
        k.add_incoming(following, loop)
        for s, (phi, value) in enumerate(zip(sums, found, strict=True)):
            phi.add_incoming(ir.Constant(vector, [float(s)] * width), before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, times), loop, after)
        builder.position_at_end(after)
        total = found[0]
        for value in found[1:]:
            total = builder.fadd(total, value)
        # what is returned keeps the loop alive
        return context.make_tuple(
            builder,
            signature.return_type,
            [builder.extract_element(total, lane(0)), ir.FloatType()(float(2 * SUMS * width))],
        )

    return types.UniTuple(types.float32, 2)(types.intp, types.float32), generate


@numba.njit
def repeat_multiply_add(times: int, number: np.float32) -> tuple[float, float]:
    return multiply_add(times, number)


def measured_peak() -> float:
    """GFLOP/s of fused multiply-adds in float32 on one core, the best of three tries."""
    times, best = 2_000_000, 0.0
    repeat_multiply_add(1, np.float32(0.5))
    for _ in range(3):
        start = time.perf_counter()
        _, flops = repeat_multiply_add(times, np.float32(0.5))
        best = max(best, times * flops / (time.perf_counter() - start) / 1e9)
    return best


if __name__ == "__main__":
    main()

"""Time networks on a CUDA GPU: the Triton kernels against the same networks in plain torch.

::

    python benchmarks/gpu.py
    python benchmarks/gpu.py --models lorentznet --workloads top --jets 2000
    python benchmarks/gpu.py --training
    python benchmarks/gpu.py --tune
    python benchmarks/gpu.py --tune --training

For each network and workload: every precision of the kernels (``EQUITAG_PRECISION``), the reference layers, the
official algorithm with its list of edges, and the padded form, as far as they exist. Jets are on the GPU before the
clock starts; kernels and layers are timed from ragged momenta to logits, invariants included, the plain forms from
their padded inputs or edges. Jets per second are from medians over rounds in turn; memory is the peak beyond that of
the jets; deviations of the logits are from the float64 layers, as a fraction of their rms. ``--training`` measures
forward and backward passes of the networks that have kernels for training, in training mode but without dropout; the
deviation is then that of all gradients together. ``--tune`` times other tile shapes of the pair kernels of LorentzNet
and PELICAN.

On a machine with an NVIDIA GPU, run the tests of the GPU kernels first::

    pip install -e ".[test]"
    pytest tests/kernels -m gpu
    python benchmarks/gpu.py | tee gpu.md
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coffea_equitag import kernels
from coffea_equitag.benchmarking.clock import Spread, in_turn
from coffea_equitag.benchmarking.forms import OURS, REFERENCE, forms_of
from coffea_equitag.benchmarking.memory import growth
from coffea_equitag.benchmarking.networks import build, one_pass
from coffea_equitag.benchmarking.workloads import WORKLOADS, random_jets, representative
from coffea_equitag.jet_model import JetModel
from coffea_equitag.jets.ragged import RaggedJets

Task = Callable[[], Tensor]

ATTENTION = ("particle_transformer", "lgatr_slim", "lloca_transformer")
#: Networks with GPU kernels, those with GPU kernels for training, and those whose tile shapes can be tuned.
KERNELS = ("lorentznet", "pelican", "particlenet", "pfn", "lgn", "tensor_pfn", "vector_pfn", *ATTENTION)
TRAINED = ("lorentznet", "pelican", *ATTENTION)
TUNED = ("lorentznet", "pelican")
#: Other shapes of a tile of pairs: receivers, senders, warps.
SHAPES = ((4, 16, 4), (8, 8, 4), (2, 32, 4), (16, 4, 4), (8, 16, 8), (16, 8, 8), (1, 64, 4))
#: The same for LorentzNet's backward pass, with the rows of its sums before the warps.
LORENTZNET_BACKWARD = ((4, 16, 64, 4), (8, 8, 64, 4), (2, 32, 64, 4), (16, 4, 64, 4), (8, 16, 64, 8), (16, 8, 64, 8))
#: Senders and warps of PELICAN's backward pass.
PELICAN_BACKWARD = ((4, 4), (4, 8), (2, 4), (2, 2), (8, 8))
#: Number of jets whose logits are compared.
COMPARED = 64


def main() -> None:
    options = arguments()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py needs a CUDA GPU, but torch finds none. Nothing was measured.")
    print(heading(), flush=True)
    for kind in options.models:
        model = build(kind, "cuda", {"dropout": 0.0} if options.training else None)
        for workload in options.workloads:
            jets = random_jets(WORKLOADS[workload], options.jets, model.fields).to("cuda")
            print(f"\n{kind}, {WORKLOADS[workload].name}, {options.jets} jets\n", flush=True)
            (tune if options.tune else compare)(model, jets, options.seconds, options.training)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", nargs="+", choices=KERNELS, help="default: all that apply")
    parser.add_argument("--workloads", nargs="+", default=["ak4", "top"], choices=list(WORKLOADS))
    parser.add_argument("--jets", type=int, default=1000, help="jets per batch for the kernels (default: 1000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="time per table (default: 10)")
    parser.add_argument("--tune", action="store_true", help="time tile shapes instead")
    parser.add_argument("--training", action="store_true", help="time forward and backward passes")
    options = parser.parse_args()
    measured = TRAINED if options.training else TUNED if options.tune else KERNELS
    if refused := set(options.models or ()) - set(measured):
        parser.error(f"nothing to measure for {', '.join(sorted(refused))}: only for {', '.join(measured)}")
    options.models = options.models or list(measured)
    return options


def heading() -> str:
    import triton

    gpu = torch.cuda.get_device_properties(0)
    return (
        f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, {gpu.multi_processor_count} multiprocessors; Python "
        f"{platform.python_version()}, torch {torch.__version__}, Triton {triton.__version__}; torch's own matrix "
        f"products in {'TF32' if torch.backends.cuda.matmul.allow_tf32 else 'float32'}"
    )


def with_kernels(model: JetModel, jets: RaggedJets, precision: str) -> Task:
    def run() -> Tensor:
        with kernels.use("gpu", precision=precision):
            out: Tensor = model(jets)
        choice = kernels.last_choice(model.kind)
        if choice is None or choice.kernel != "gpu":
            raise SystemExit(f"{model.kind} did not run on its GPU kernels: {choice}")
        return out

    return run


def compare(model: JetModel, jets: RaggedJets, seconds: float, training: bool) -> None:
    from coffea_equitag.kernels.precision import PRECISIONS

    few = representative(jets, COMPARED)
    expected = exact(model, few, training)
    tasks: dict[str, tuple[int, Task]] = {}
    checks: dict[str, Task] = {}
    for precision in PRECISIONS[1:]:
        name = f"kernels, {precision}"
        tasks[name] = jets.num_jets, one_pass(model, with_kernels(model, jets, precision), training)
        checks[name] = with_kernels(model, few, precision)
    plain, plain_few = forms_of(model, jets), forms_of(model, few)
    for name, prepare in plain.items():
        if name == OURS:
            continue
        number = jets.num_jets
        while number:
            part = representative(jets, number)
            try:
                task = one_pass(model, prepare(part), training)
                task()
                tasks[name] = number, task
                break
            except torch.cuda.OutOfMemoryError:
                number //= 2
            task = None
            torch.cuda.empty_cache()
        if name in plain_few:
            checks[name] = plain_few[name](few)
    for _, task in tasks.values():
        task()
    memory = {name: growth(task, "cuda") / number for name, (number, task) in tasks.items()}
    off = {name: deviation(compared(model, check, training), expected) for name, check in checks.items()}
    found = in_turn({name: task for name, (_, task) in tasks.items()}, seconds, "cuda")
    cost = {name: Spread.of(found[name]).median / tasks[name][0] for name in tasks}
    what = "gradients" if training else "logits"
    print(f"| form | jets per batch | jets/s | µs per jet | speed / layers | kB per jet | deviation of {what} / rms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (number, _) in tasks.items():
        print(
            f"| {name} | {number} | {1 / cost[name]:,.0f} | {1e6 * cost[name]:.2f} | "
            f"{cost[REFERENCE] / cost[name]:.1f} | {memory[name] / 1e3:,.0f} | "
            f"{off.get(name, float('nan')):.0e} |",
            flush=True,
        )


def exact(model: JetModel, jets: RaggedJets, training: bool) -> Tensor:
    """The result of the layers in float64."""
    with kernels.use("reference"):
        found = compared(model.double(), lambda: model(jets), training)
    model.float()
    return found


def compared(model: JetModel, logits: Task, training: bool) -> Tensor:
    """The logits, or all gradients in one vector; running statistics are restored afterwards."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    found = one_pass(model, logits, training)()
    for name, buffer in model.named_buffers():
        buffer.copy_(before[name])
    if not training:
        return found
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def deviation(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.square().mean().sqrt())


def tune(model: JetModel, jets: RaggedJets, seconds: float, training: bool) -> None:
    from coffea_equitag.kernels.lorentznet.gpu import backward as lorentznet_backward
    from coffea_equitag.kernels.lorentznet.gpu import forward as lorentznet_forward
    from coffea_equitag.kernels.pelican.gpu import backward as pelican_backward
    from coffea_equitag.kernels.pelican.gpu import forward as pelican_forward
    from coffea_equitag.kernels.precision import PRECISIONS

    tiles: dict[str, Any] = {"lorentznet": lorentznet_forward.TILES, "pelican": pelican_forward.TILES}[model.kind]
    shapes: tuple[tuple[int, ...], ...] = SHAPES
    names = "receivers, senders, warps"
    if training and model.kind == "pelican":
        tiles, shapes, names = pelican_backward.TILES, PELICAN_BACKWARD, "senders, warps"
    elif training:
        tiles, shapes, names = lorentznet_backward.TILES, LORENTZNET_BACKWARD, "receivers, senders, sums, warps"
    print(f"| precision | {names} | µs per jet |")
    print("| --- | --- | ---: |")
    for precision in PRECISIONS[2:]:
        ours = tiles[precision]
        for shape in shapes:
            tiles[precision] = shape
            task = one_pass(model, with_kernels(model, jets, precision), training)
            try:
                task()
                median = Spread.of(in_turn({"": task}, seconds / len(shapes), "cuda")[""]).median
                found = f"{1e6 * median / jets.num_jets:.2f}"
            except Exception as error:  # not enough registers or shared memory on this GPU
                found = f"– ({type(error).__name__})"
            print(f"| {precision} | {', '.join(map(str, shape))} | {found} |", flush=True)
        tiles[precision] = ours


if __name__ == "__main__":
    main()

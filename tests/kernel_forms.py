"""What all tests of kernels do with a network."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import kernels
from coffea_equitag.kernels.check_jets import in_bf16
from coffea_equitag.kernels.common.cpu.shapes import HAS_BF16, SUPPORTED
from gpu import INTERPRETED, interpreted

#: Marks a test of CPU kernels.
needs_vectors = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

#: Marks a test of CPU kernels in bf16.
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="this CPU lacks AVX512-BF16: nothing in bf16 is run")

#: Marks one case of a test as too slow for Triton's interpreter.
on_hardware = pytest.mark.skipif(INTERPRETED, reason="too slow in the interpreter")


def cases(cpu=(), gpu=(), large=()):
    """Cases (backend, values) of a test: for CPU kernels, for GPU kernels, and for GPU kernels on a GPU only."""
    return [
        *(pytest.param("cpu", values, marks=needs_vectors) for values in cpu),
        *(pytest.param("gpu", values, marks=pytest.mark.gpu) for values in gpu),
        *(pytest.param("gpu", values, marks=[pytest.mark.gpu, on_hardware]) for values in large),
    ]


def skip_interpreter(backend):
    """Skip what takes too long in Triton's interpreter, where a pair takes a millisecond."""
    if interpreted(backend):
        pytest.skip("too slow in the interpreter")


def run(model, jets, mode="cpu"):
    """Outputs without gradients, on the CPU, by the form that was asked for and by no other."""
    with torch.no_grad(), kernels.use(mode):
        outputs = model(jets)
    assert kernels.last_choice(model.kind).kernel == mode
    return outputs.cpu()


def assert_agrees(found, model, jets, allowed=None):
    """Outputs of a kernel are those of the layers, in single and in double precision, but for rounding.

    What rounding may do is measured on the same jets unless it is given.
    """
    allowed = rounding(model, jets) if allowed is None else allowed
    with torch.no_grad(), kernels.use("reference"):
        single, double = model(jets).cpu(), copy.deepcopy(model).double()(jets).cpu()
    assert found.dtype == single.dtype
    assert found.shape == single.shape
    assert deviation(found, single) <= allowed
    assert deviation(found.double(), double) <= allowed


def run_in_bf16(model, jets):
    """Outputs by the CPU's kernel in bf16."""
    with kernels.use(precision="bf16"):
        found = run(model, jets)
    assert kernels.last_choice(model.kind).precision == "bf16"
    return found


def assert_agrees_in_bf16(model, jets, linears):
    """Outputs in bf16 are those of layers that round what goes into these linear ones, and their matrices, to bf16.

    They agree but for rounding of float32, which decides what becomes of a number near the middle between two of bf16.
    Returns what that may do, and what bf16 does itself.
    """
    found, coarse = run_in_bf16(model, jets), copy.deepcopy(model)
    names = [name for name, module in model.named_modules() if any(module is linear for linear in linears)]
    in_bf16(torch.nn.ModuleList([coarse.get_submodule(name) for name in names]))
    with torch.no_grad(), kernels.use("reference"):
        expected, exact = coarse(jets), copy.deepcopy(model).double()(jets)
    allowed = rounding(coarse, jets)
    assert deviation(found, expected) <= allowed
    return allowed, deviation(expected.double(), exact)


def assert_own_jet_alone(model, jets, mode="cpu"):
    """Scores are the same to the last bit alone, in any batch and order, with any threads and pieces."""
    together = run(model, jets, mode)
    alone = torch.cat([run(model, jets.slice(j, j + 1), mode) for j in range(jets.num_jets)])
    assert torch.equal(together, alone)
    order = torch.randperm(jets.num_jets, generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order), mode), together[order])
    if mode != "cpu":
        return
    before = torch.get_num_threads()
    try:
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(run(model, jets), together)
    finally:
        torch.set_num_threads(before)
    classes = ("a", "b") if model.output == "classes" else ()
    tagger = eqt.Tagger.from_model(model, name="t", classes=classes)
    for budget in (1, 2_000, 10_000_000):
        assert np.array_equal(tagger.outputs(jets, pair_budget=budget), together.double().numpy())


def assert_changes_noticed(model, jets, statistic=None, weight=None, mode="cpu"):
    """No parameter or statistic is remembered longer than it lasts, in whatever way it is changed.

    `statistic` and `weight` are tensors of the network to change in place, the latter behind autograd's back.
    """
    for change in ("statistic", "weight", "state"):
        before = run(model, jets, mode)
        if change == "statistic" and statistic is not None:
            statistic += 1
        elif change == "weight" and weight is not None:
            weight.data *= 1.5
        elif change == "state":
            model.load_state_dict({name: value * 0.9 for name, value in model.state_dict().items()})
        else:
            continue
        assert not torch.equal(run(model, jets, mode), before)
        assert_agrees(run(model, jets, mode), model, jets)


def with_avx2(code):
    """Run code in a process of its own that compiles for a CPU with AVX2 alone."""
    features = {name for name, present in llvmlite.binding.get_host_cpu_features().items() if present}
    if "avx2" not in features:
        pytest.skip("no AVX2 here: its tiles are not run")
    settings = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+sse4.2"}
    # for arithmetic.py
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | settings | {"PYTHONPATH": path})

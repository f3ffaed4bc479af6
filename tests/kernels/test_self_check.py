"""Kernels are checked against the layers before their first use, and switched off if they are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.kernels import self_check
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from coffea_equitag.kernels.lorentznet.cpu import inference, training

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")

LORENTZNET, PFN = {"hidden": 8, "n_layers": 2, "beams": False}, {"phi": [8], "f": [8]}


@pytest.fixture(autouse=True)
def nothing_checked(tmp_path, monkeypatch):
    """As in a new process on a new machine."""
    monkeypatch.setattr(self_check, "_outcomes", {})
    monkeypatch.setattr(self_check, "_failures", {})
    monkeypatch.setattr(self_check, "folders", lambda function: [tmp_path])
    return tmp_path


def build(kind="lorentznet", **options):
    torch.manual_seed(0)
    return eqt.models.build(kind, **((LORENTZNET if kind == "lorentznet" else PFN) | options)).eval()


def scores(model, jets):
    with torch.no_grad():
        return model(jets)


def test_a_right_kernel_runs_and_is_remembered(random_jets, nothing_checked, monkeypatch):
    jets, model = random_jets([4, 2]), build()
    scores(model, jets)
    assert kernels.last_choice("lorentznet").kernel == "cpu"
    assert self_check.outcome("lorentznet", "cpu", "inference").startswith("passed: ")
    assert len(list(nothing_checked.iterdir())) == 1

    # a later process reads that; another architecture or form is another check
    monkeypatch.setattr(self_check, "_outcomes", {})

    def compare(*_):
        raise RuntimeError("checked again")

    monkeypatch.setattr(self_check, "_compare", compare)
    scores(model, jets)
    assert self_check.outcome("lorentznet", "cpu", "inference").startswith("passed earlier: ")
    with pytest.warns(eqt.KernelWarning, match="checked again"):
        scores(build(hidden=16), jets)


def test_other_code_versions_and_devices_are_checked_again(monkeypatch):
    key = ("lorentznet", "cpu", "inference", "lorentznet", "{}", "")
    found = [self_check._digest(key), self_check._digest((*key[:4], "{'hidden': 8}", ""))]
    for name in ("_cpu", "_versions", "_sources"):
        with monkeypatch.context() as changed:
            changed.setattr(self_check, name, lambda *_: ("another",))
            found.append(self_check._digest(key))
    assert len(set(found)) == 5


@pytest.mark.parametrize("fault", ["scaled", "nan", "one weight", "raises"])
def test_a_wrong_kernel_is_switched_off(random_jets, monkeypatch, nothing_checked, fault):
    right, jets, model = inference.logits, random_jets([4, 2, 9]), build()

    def wrong(model, *inputs):
        if fault == "raises":
            raise RuntimeError("no compiler")
        if fault == "one weight":
            with torch.no_grad():
                model.blocks[0].phi_e[3].weight[0, 0] += 0.01
        return right(model, *inputs) * {"scaled": 1.001, "nan": np.nan}.get(fault, 1.0)

    monkeypatch.setattr(inference, "logits", wrong)
    with pytest.warns(eqt.KernelWarning, match=r"(?s)lorentznet.*inference.*to fix: report it") as caught:
        found = scores(model, jets)
    assert len(caught) == 1
    assert ("no compiler" if fault == "raises" else "allowed") in str(caught[0].message)
    with kernels.use("reference"):
        assert torch.equal(found, scores(model, jets))
    assert not list(nothing_checked.iterdir())
    # once is enough; the tower stays off, training included, others run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(scores(build(), jets), found)
        assert model(jets).requires_grad
        assert "failed their self-check" in kernels.last_choice("lorentznet").reason
        scores(build("pfn"), jets)
    assert kernels.last_choice("pfn").kernel == "cpu"


def test_wrong_gradients_are_noticed(random_jets, monkeypatch):
    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, values):
            return values.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 0.9

    right = training.logits
    monkeypatch.setattr(training, "logits", lambda *inputs: Halved.apply(right(*inputs)))
    with pytest.warns(eqt.KernelWarning, match="training"):
        build()(random_jets([4]))
    assert kernels.last_choice("lorentznet").kernel == "reference"


@pytest.mark.parametrize("form", ["inference", "training"])
def test_a_clamp_that_does_not_clamp_is_noticed(random_jets, monkeypatch, form):
    module = {"inference": inference, "training": training}[form]
    right = module.logits

    def free(model, *inputs):
        other = eqt.models.build("lorentznet", **model.options | {"clamp": 1e9}).train(model.training)
        other.load_state_dict(model.state_dict())
        return right(other, *inputs)

    monkeypatch.setattr(module, "logits", free)
    with torch.set_grad_enabled(form == "training"), pytest.warns(eqt.KernelWarning, match=f"{form}.*failed"):
        build(clamp=100.0)(random_jets([4, 3]))
    assert kernels.last_choice("lorentznet").kernel == "reference"


def test_what_was_remembered_may_be_lost(random_jets, nothing_checked, monkeypatch):
    jets, model = random_jets([4]), build()
    scores(model, jets)
    (path,) = nothing_checked.iterdir()
    for content in ("", "{", "[]", '{"kernel": 1.0, "layers": 0.0, "allowed": 0.1}'):
        path.write_text(content)
        monkeypatch.setattr(self_check, "_outcomes", {})
        scores(model, jets)
        assert self_check.outcome("lorentznet", "cpu", "inference").startswith("passed: ")
    # a place where nothing can be written
    monkeypatch.setattr(self_check, "_outcomes", {})
    monkeypatch.setattr(self_check, "folders", lambda function: [path / "below a file"])
    scores(model, jets)
    assert kernels.last_choice("lorentznet").kernel == "cpu"


def test_the_check_leaves_no_trace(random_jets):
    """Neither in random numbers, nor in the network, nor in what other threads run."""
    jets, model = random_jets([4, 2]), build()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with torch.inference_mode():
        model(jets)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())

    seen = []
    token = self_check._current.set(self_check._Check("reference"))
    try:
        thread = threading.Thread(target=lambda: seen.append(self_check.forced_mode()))
        thread.start()
        thread.join()
    finally:
        self_check._current.reset(token)
    assert seen == [None]


@pytest.mark.parametrize("kind", eqt.models.names())
def test_every_network_passes(kind, random_jets, track_jets):
    model = eqt.models.build(kind).eval()
    jets = track_jets([3, 5]) if model.fields else random_jets([3, 5])
    for learns, form in ((False, "inference"), (True, "training")):
        with torch.set_grad_enabled(learns):
            model(jets)
        if kernels.last_choice(kind).kernel == "cpu":
            assert self_check.outcome(kind, "cpu", form).startswith("passed: ")
    assert self_check.outcome(kind, "cpu", "inference").startswith("passed: ")


def test_remembered_between_processes(tmp_path):
    code = (
        "import torch, coffea_equitag as eqt\n"
        "from coffea_equitag.kernels import self_check\n"
        "from coffea_equitag.kernels.check_jets import check_jets\n"
        "torch.set_grad_enabled(False); eqt.models.build('pfn', phi=[8], f=[8]).eval()(check_jets(()))\n"
        "print(self_check.outcome('pfn', 'cpu', 'inference'))"
    )
    settings = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    found = [
        subprocess.run([sys.executable, "-c", code], check=True, env=settings, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert found[0].startswith("passed: ")
    assert found[1].startswith("passed earlier: ")

"""In which precision kernels multiply, and what is said about it."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.benchmarking import explain_choices
from coffea_equitag.kernels import precision, self_check
from coffea_equitag.kernels.common.cpu import shapes
from coffea_equitag.kernels.lorentznet.cpu import inference
from kernel_forms import needs_bf16, needs_vectors

OPTIONS = {"lorentznet": {"hidden": 16, "n_layers": 2}, "pfn": {"phi": [8], "f": [8]}}


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    monkeypatch.delenv("EQUITAG_PRECISION", raising=False)


def build(kind="lorentznet"):
    torch.manual_seed(0)
    return eqt.models.build(kind, **OPTIONS[kind]).eval()


def score(model, jets):
    with torch.no_grad():
        outputs = model(jets)
    return outputs, kernels.last_choice(model.kind)


def test_what_is_asked_for(monkeypatch):
    assert precision.asked() == "float32"
    monkeypatch.setenv("EQUITAG_PRECISION", "tf32")
    assert precision.asked() == "tf32"
    with kernels.use("cpu", precision="bf16"):
        assert precision.asked() == "bf16"
        with kernels.use("auto"):
            assert precision.asked() == "bf16"
        with kernels.use(precision="float32"):
            assert precision.asked() == "float32"
        assert precision.asked() == "bf16"
    assert precision.asked() == "tf32"


def test_a_precision_leaves_the_form_as_it_is(random_jets, monkeypatch):
    model, jets = build(), random_jets([3])
    with kernels.use("reference"), kernels.use(precision="bf16"):
        assert score(model, jets)[1] == kernels.Choice("reference", "asked for")
    monkeypatch.setenv("EQUITAG_KERNELS", "reference")
    with kernels.use(precision="bf16"):
        assert score(model, jets)[1] == kernels.Choice("reference", "asked for")


def test_other_precisions_are_refused(random_jets, monkeypatch):
    with (
        pytest.raises(eqt.TaggerError, match=r"precision = 'half'\n.*one of float32, ieee"),
        kernels.use(precision="half"),
    ):
        pass
    assert precision.asked() == "float32"
    monkeypatch.setenv("EQUITAG_PRECISION", "double")
    with pytest.raises(eqt.TaggerError, match="EQUITAG_PRECISION = 'double'"):
        score(build(), random_jets([3]))


@needs_vectors
@pytest.mark.parametrize(
    ("kind", "asked", "reason"),
    [
        ("lorentznet", "tf32", "float32 on a CPU; tf32 asked for, but CPUs have bf16 only"),
        ("pfn", "bf16", "float32 on a CPU; bf16 asked for, but these kernels have none on CPUs"),
        ("lorentznet", "bf16", "float32 on a CPU; bf16 asked for, but this processor lacks AVX512-BF16"),
        ("lorentznet", "ieee", "float32 on a CPU"),
    ],
)
def test_float32_where_there_is_nothing_else(random_jets, monkeypatch, kind, asked, reason):
    model, jets = build(kind), random_jets([4, 2])
    expected, plain = score(model, jets)
    assert plain == kernels.Choice("cpu", "float32 on a CPU")
    monkeypatch.setattr(shapes, "HAS_BF16", False)
    monkeypatch.setenv("EQUITAG_PRECISION", asked)
    found, choice = score(model, jets)
    assert choice == kernels.Choice("cpu", reason)
    assert torch.equal(found, expected)


@needs_vectors
def test_training_is_in_float32(random_jets):
    model, jets = build().train(), random_jets([4, 2])
    with kernels.use("cpu", precision="bf16"):
        model(jets)
    reason = "asked for; bf16 asked for, but training on CPUs is in float32"
    assert kernels.last_choice("lorentznet") == kernels.Choice("cpu", reason)


@needs_bf16
def test_bf16_is_told(random_jets, monkeypatch):
    monkeypatch.setenv("EQUITAG_PRECISION", "bf16")
    _, choice = score(build(), random_jets([4, 2]))
    assert choice == kernels.Choice("cpu", "bf16 on a CPU", "bf16")
    rows = list(explain_choices(("lorentznet",), OPTIONS["lorentznet"]))
    scoring = next(row for row in rows if (row.mode, row.dtype, row.device) == ("scoring", "float32", "cpu"))
    assert scoring.reason == "bf16 on a CPU"
    assert "bf16 layers" in scoring.self_check


@needs_bf16
@pytest.mark.parametrize("fault", ["pairs exchanged", "nan"])
def test_a_wrong_kernel_in_bf16_is_switched_off_alone(random_jets, monkeypatch, tmp_path, fault):
    monkeypatch.setattr(self_check, "_outcomes", {})
    monkeypatch.setattr(self_check, "_failures", {})
    monkeypatch.setattr(self_check, "folders", lambda function: [tmp_path])
    right, jets, model = inference.logits, random_jets([4, 2, 9]), build()

    def wrong(model, *inputs, bf16=False):
        if bf16 and fault == "pairs exchanged":
            for part in model.blocks:
                part.phi_e[3].weight.data = part.phi_e[3].weight.data.unflatten(1, (-1, 2)).flip(2).flatten(1)
        return right(model, *inputs, bf16=bf16) * (torch.nan if bf16 and fault == "nan" else 1.0)

    monkeypatch.setattr(inference, "logits", wrong)
    with kernels.use(precision="bf16"):
        with pytest.warns(eqt.KernelWarning, match="inference, bf16"):
            _, choice = score(model, jets)
        assert choice.kernel == "reference"
        assert "failed their self-check" in choice.reason
    assert score(model, jets)[1] == kernels.Choice("cpu", "float32 on a CPU")
    assert self_check.outcome("lorentznet", "cpu", "inference").startswith("passed")
    assert self_check.outcome("lorentznet", "cpu", "inference", "bf16").startswith("failed")

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED, shapes_for
from coffea_equitag.kernels.dispatch import choose
from coffea_equitag.kernels.support import Support
from coffea_equitag.layers.batch_norm import RowBatchNorm

needs_vectors = pytest.mark.skipif(not SUPPORTED, reason="this CPU has no vector unit known to the kernels")


@pytest.fixture
def model():
    return eqt.models.build("lorentznet", hidden=8, n_layers=2).eval()


def ran(model, jets):
    model(jets)
    return kernels.last_choice(model.kind)


@needs_vectors
def test_kernel_without_gradients(model, random_jets):
    jets = random_jets([4, 2])
    with torch.no_grad():
        assert ran(model, jets) == kernels.Choice("cpu", "float32 on a CPU")
    assert ran(model.requires_grad_(False), jets).kernel == "cpu"
    with torch.inference_mode():
        assert ran(model, jets).kernel == "cpu"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model: model.blocks[0].phi_e.__setitem__(1, RowBatchNorm(8, affine=False)), "BatchNorm"),
        (lambda model: model.double(), "float32"),
        (lambda model: setattr(model.head, "1", torch.nn.Tanh()), "replaced"),
        (lambda model: model.blocks[0].phi_h.register_forward_hook(lambda *_: None), "hooks"),
    ],
)
def test_reference_for_what_kernels_cannot_do(model, random_jets, change, words):
    change(model)
    with torch.no_grad(), kernels.use("cpu"):
        choice = ran(model, random_jets([4, 2]))
    assert choice.kernel == "reference"
    assert words in choice.reason


def test_reference_for_training_without_a_kernel(model, random_jets):
    without, jets = Support(None, learns=True, trains=False), eqt.RaggedJets.from_awkward(random_jets([4]))
    assert choose(model.eval(), "cpu", without, jets.p4) == kernels.Choice("reference", "gradients are recorded")
    in_training = kernels.Choice("reference", "the network is in training mode")
    assert choose(model.train(), "cpu", without, jets.p4) == in_training
    assert str(in_training) == "its layers (the network is in training mode)"


@needs_vectors
def test_kernel_for_training(model, random_jets):
    jets = random_jets([4, 2])
    assert ran(model, jets).kernel == "cpu"
    assert model(jets).requires_grad
    assert ran(model.train(), jets).kernel == "cpu"
    with torch.no_grad():
        assert ran(model, jets).kernel == "cpu"


def test_gpu_kernel_for_training(model, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    trains, given = Support(None, learns=True, trains=True), torch.zeros(1)
    with kernels.use("gpu"):
        assert choose(model, "gpu", Support(None), given).kernel == "reference"
        assert choose(model, "gpu", trains, given).kernel == "gpu"
        assert choose(model.train(), "gpu", trains, given).kernel == "gpu"
        assert choose(model, "gpu", Support(None), given) == kernels.Choice(
            "reference", "the network is in training mode"
        )
    with kernels.use("cpu"):
        assert choose(model, "gpu", trains, given).kernel == "reference"


def test_a_subclass_runs_on_the_layers(random_jets):
    class Changed(eqt.models.LorentzNet):
        def scalars(self, nodes):
            return 2 * super().scalars(nodes)

    with torch.no_grad():
        assert ran(Changed(hidden=8, n_layers=2).eval(), random_jets([4])).reason == "layers were replaced"


def test_reference_for_momenta(random_jets):
    model = eqt.models.build("lorentznet", hidden=8, n_layers=2, output="momentum").eval()
    with torch.no_grad():
        assert ran(model, random_jets([4])) == kernels.Choice("reference", "it gives momenta")


@needs_vectors
def test_asked_for(model, random_jets, monkeypatch):
    jets = random_jets([4, 2])
    with torch.no_grad():
        monkeypatch.setenv("EQUITAG_KERNELS", "reference")
        assert ran(model, jets) == kernels.Choice("reference", "asked for")
        with kernels.use("cpu"):
            assert ran(model, jets) == kernels.Choice("cpu", "asked for")
            with kernels.use("reference"):
                assert ran(model, jets).kernel == "reference"
            assert ran(model, jets).kernel == "cpu"
        assert ran(model, jets).kernel == "reference"
        monkeypatch.setenv("EQUITAG_KERNELS", "fast")
        with pytest.raises(eqt.TaggerError, match="EQUITAG_KERNELS = 'fast'"):
            model(jets)
    with pytest.raises(eqt.TaggerError, match="one of auto, reference, cpu, gpu"), kernels.use("tpu"):
        pass


def test_nothing_ran_yet():
    assert kernels.last_choice("a network nobody called") is None


def test_tiles_fit_the_registers():
    assert shapes_for({"avx2"}) is None
    for features, registers in (({"avx512f", "avx2", "fma"}, 32), ({"avx2", "fma"}, 16), ({"neon"}, 32)):
        wide, narrow = shapes_for(features)
        for shape in (wide, narrow):
            assert shape.rows * len(shape.widths) + 1 < registers
            assert 60 % shape.rows == 0
        assert 72 % wide.block == 0
        assert narrow.block == 16

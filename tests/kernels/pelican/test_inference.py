from __future__ import annotations

import numpy as np
import pytest
import torch

from arithmetic import rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.convert.pelican import infer_options, translate
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.models.pelican import PELICAN
from coffea_equitag.testing import assert_lorentz_invariant, assert_permutation_invariant
from gpu import device_of, interpreted, needs_gpu
from kernel_forms import (
    assert_agrees,
    assert_changes_noticed,
    assert_own_jet_alone,
    cases,
    deviation,
    needs_vectors,
    on_hardware,
    run,
    skip_interpreter,
    with_avx2,
)
from networks import enliven


def build(backend="cpu", **options):
    """A network as after training: statistics and the weights of broken symmetries are not the initial ones."""
    torch.manual_seed(3)
    model = enliven(PELICAN(**({"size": (12, 8, 4) if backend == "cpu" else "6k"} | options)))
    if backend == "cpu":
        for parameter in model.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model.to(device_of(backend))


@pytest.mark.parametrize(
    ("backend", "options"),
    cases(
        cpu=[
            {},
            {"size": "11k"},
            {"method": "input"},
            {"symmetry": "so13"},
            {"symmetry": "1", "factorize": False, "n_classes": 5},
            {"symmetry": "so2_0", "fields": ["pdgId"], "aggregation": "sum", "mean_count": 20.0},
            {"method": "input", "fields": ["pdgId"], "diagonal": False},
            {"irc_safe": True},
            {"irc_safe": True, "symmetry": "so13", "diagonal": True},
            {"size": (100, 11, 40)},
            {"symmetry": "R", "method": "input"},
            {"symmetry": "1_0", "method": "input"},
            {"symmetry": "11_0", "method": "input"},
            {"symmetry": "11_0"},
            {"output": "momentum"},
            {"output": "momentum", "method": "input", "fields": ["pdgId"], "aggregation": "sum"},
            {"output": "momentum", "symmetry": "so13", "factorize": False, "diagonal": False},
            {"output": "momentum", "irc_safe": True},
        ],
        gpu=[
            {},
            {"size": "48k", "fields": ("pdgId",), "n_classes": 5},
            {"size": (70, 20, 3), "factorize": False, "diagonal": False},
            {"symmetry": "1", "method": "input", "aggregation": "sum"},
            {"symmetry": "11_0", "method": "input"},
        ],
        large=[{"size": "208k"}],
    ),
)
def test_agrees_with_the_layers(random_jets, backend, options):
    counts = [20, 1, 0, 7, 90, 2, 7, 31, 3]
    if backend == "gpu":
        counts = [14, 0, 1] if interpreted(backend) else [20, 1, 0, 7, 150, 2, 7, 61, 3]
    model, jets = build(backend, **options), RaggedJets.from_awkward(random_jets(counts), ("pdgId",))
    found = run(model, jets, backend)
    assert found.shape == (len(counts), model.n_classes if model.output == "classes" else 4)
    assert_agrees(found, model, jets)


@needs_vectors
@pytest.mark.parametrize("options", [{}, {"method": "input"}])
def test_weights_of_nodes_agree_with_the_layers(random_jets, options):
    """A momentum is their sum, in which small weights of soft constituents would not be seen."""
    model = build(output="momentum", **options)
    jets = RaggedJets.from_awkward(random_jets([20, 1, 0, 7, 2]))
    jets = jets.select(torch.argsort(jets.counts))
    with torch.no_grad():
        with kernels.use("cpu"):
            found = model.weights(jets)
        assert kernels.last_choice("pelican").kernel == "cpu"
        with kernels.use("reference"):
            expected = model.weights(jets)
    assert found.shape == expected.shape
    assert deviation(found, expected) <= rounding(model.weights, jets)


@pytest.mark.parametrize(
    ("backend", "options"),
    cases(
        cpu=[{}, {"symmetry": "so13"}, {"irc_safe": True}, {"output": "momentum"}],
        gpu=[{"symmetry": "so2"}, {"symmetry": "so13"}],
    ),
)
@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 1], [0, 1]])
def test_few_constituents(random_jets, counts, backend, options):
    if counts not in ([], [0], [0, 1]):
        skip_interpreter(backend)
    model, jets = build(backend, **options), random_jets(counts)
    assert_agrees(run(model, jets, backend), model, jets)


@needs_vectors
@pytest.mark.parametrize("output", ["classes", "momentum"])
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit(random_jets, output):
    counts = np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build(output=output), RaggedJets.from_awkward(random_jets(counts))
    assert_own_jet_alone(model, jets)


@needs_gpu
def test_a_score_depends_on_its_own_jet_alone_to_the_last_bit_on_a_gpu(random_jets):
    counts = [14, 0, 1] if interpreted("gpu") else np.random.default_rng(5).integers(0, 90, 40).tolist()
    model, jets = build("gpu"), RaggedJets.from_awkward(random_jets(counts))
    together = run(model, jets, "gpu")
    assert torch.equal(together, torch.cat([run(model, jets.slice(j, j + 1), "gpu") for j in range(len(counts))]))
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(model, jets.select(order), "gpu"), together[order])


def test_permutation_invariance(random_jets, backend):
    skip_interpreter(backend)
    model, jets = build(backend, **({"symmetry": "so13"} if backend == "cpu" else {})), random_jets([20, 1, 7, 35, 2])
    assert_permutation_invariant(lambda jets: run(model, jets, backend), jets, tolerance=rounding(model, jets))


@needs_vectors
def test_lorentz_invariance(random_jets):
    model, jets = build(symmetry="so13"), random_jets([20, 1, 7, 35, 2])
    assert_lorentz_invariant(lambda jets: run(model, jets), jets, tolerance=rounding(model, jets))


@needs_vectors
def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    assert_changes_noticed(model, jets, model.messages[0].norm.running_mean, model.head[1].weight)


@needs_gpu
@on_hardware
def test_changed_weights_are_noticed_on_a_gpu(random_jets):
    model, jets = build("gpu"), random_jets([5, 4])
    before = run(model, jets, "gpu")
    model.messages[1].norm.running_mean += 1
    model.blocks[0].bias.data += 0.5
    assert not torch.equal(run(model, jets, "gpu"), before)
    assert_agrees(run(model, jets, "gpu"), model, jets)


def test_another_eps_of_batch_norm(random_jets, backend):
    model, jets = build(backend, symmetry="so13"), random_jets([5, 2])
    before = run(model, jets, backend)
    for message in model.messages:
        message.norm.eps = 0.3
        message.norm.weight.data *= 1.5  # weights are folded again
    found = run(model, jets, backend)
    assert deviation(found, before) > 1e-2
    assert_agrees(found, model, jets)


@needs_vectors
@pytest.mark.parametrize("at", [0, 5, 40, 52])
@pytest.mark.parametrize("options", [{}, {"irc_safe": True}, {"output": "momentum"}])
def test_nan_stays_in_its_jet(random_jets, at, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets([4, 6, 3]))
    products, scalars, offsets = model.products(jets), model.scalars(jets), boundaries(jets.counts + 2)
    with torch.no_grad():
        clean = model.network(products, scalars, offsets)
        products[at] = torch.nan
        spoilt = model.network(products, scalars, offsets)
    assert kernels.last_choice("pelican").kernel == "cpu"
    which = torch.arange(3) if model.output == "classes" else torch.repeat_interleave(torch.arange(3), offsets.diff())
    spoilt_jet = which == int(at >= 36)
    assert spoilt[spoilt_jet].isnan().all()
    assert torch.equal(spoilt[~spoilt_jet], clean[~spoilt_jet])


@needs_gpu
def test_nan_stays_in_its_jet_on_a_gpu(random_jets):
    model, jets = build("gpu", symmetry="so13"), RaggedJets.from_awkward(random_jets([4, 3])).to(device_of("gpu"))
    products = model.products(jets)
    products[5] = torch.nan
    with torch.no_grad(), kernels.use("gpu"):
        logits = model.network(products, model.scalars(jets), jets.offsets)
    assert kernels.last_choice("pelican").kernel == "gpu"
    assert logits.isnan().tolist() == [[True, True], [False, False]]


@needs_vectors
def test_products_that_are_not_symmetric(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([4, 6]))
    products = model.products(jets)
    products += torch.rand_like(products)
    arguments = products, model.scalars(jets), boundaries(jets.counts + 2)
    with torch.no_grad():
        found = model.network(*arguments)
        with kernels.use("reference"):
            expected = model.network(*arguments)
    assert deviation(found, expected) <= rounding(model.network, *arguments)


@needs_gpu
@on_hardware
@pytest.mark.parametrize("precision", ["ieee", "bf16", "tf32"])
def test_precision_of_choice(random_jets, monkeypatch, precision):
    model, jets = build("gpu"), random_jets([9, 70])
    expected = run(model, jets, "reference")
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    allowed = {"ieee": rounding(model, jets), "tf32": 1e-2, "bf16": 1e-1}[precision]
    assert deviation(run(model, jets, "gpu"), expected) <= allowed


@needs_vectors
def test_falls_back(random_jets):
    model = build()
    model.head[1] = torch.nn.Sequential(torch.nn.Identity(), model.head[1])
    with torch.no_grad():
        model(random_jets([4]))
    assert kernels.last_choice("pelican").reason == "layers were replaced"


@needs_gpu
def test_reference_for_what_the_gpu_kernel_cannot_do(random_jets):
    for options in ({"irc_safe": True}, {"size": (140, 129, 10)}, {"output": "momentum"}):
        model = build("gpu", **options)
        with torch.no_grad(), kernels.use("gpu"):
            model(random_jets([3]))
        assert kernels.last_choice("pelican").kernel == "reference"
    assert kernels.last_choice("pelican").reason == "no GPU kernel for momenta"


@needs_vectors
@pytest.mark.parametrize(
    ("key", "symmetry"),
    [("cls_11k_so2_0_spurions", "so2_0"), ("cls_11k_so13_input", "so13"), ("cls_11k_so2_input", "so2")],
)
def test_official_checkpoints(shared_data, key, symmetry):
    with np.load(shared_data / "parity" / "pelican.npz") as arrays:
        jets = RaggedJets.from_momenta(torch.from_numpy(arrays["p4"]), torch.from_numpy(arrays["offsets"]))
        expected = torch.from_numpy(arrays[f"{key}__predict"])
    state = torch.load(shared_data / "parity" / "pelican_official.pt", weights_only=True)[key]
    model = PELICAN(**({"symmetry": symmetry} | infer_options(state))).eval()
    model.load_state_dict(translate(state))
    assert deviation(run(model, jets).double(), expected) <= rounding(model, jets.slice(0, 8))


@needs_vectors
def test_other_registers_give_the_same_scores():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import os; import torch; from arithmetic import deviation, rounding;"
        "from coffea_equitag import models, RaggedJets, kernels;"
        "from coffea_equitag.kernels.pelican.cpu import channel_blocks as s;"
        "assert (s.HALF, s.blocks_for(25)) == (4, ((0,) * 4,) * 2);"
        "torch.manual_seed(0); model = models.build('pelican', size='11k').eval();"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "torch.set_grad_enabled(False); a = model(jets); assert kernels.last_choice('pelican').kernel == 'cpu';"
        "os.environ['EQUITAG_KERNELS'] = 'reference'; b = model(jets);"
        "assert deviation(a, b) <= rounding(model, jets), (a, b)"
    )
    with_avx2(code)

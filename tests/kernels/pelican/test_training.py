from __future__ import annotations

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import training_steps
from arithmetic import assert_step_agrees, deviation, largest, rounding, rounding_of_step
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.jet_groups import JetGroups
from gpu import device_of, interpreted, needs_gpu
from kernel_forms import cases, needs_vectors, on_hardware, skip_interpreter, with_avx2
from pelican_steps import build
from training_steps import results, rms

COUNTS = [7, 1, 0, 4, 2, 12, 9, 3]


def counts_for(backend):
    if backend == "cpu":
        return COUNTS
    return [6, 0, 1, 3] if interpreted(backend) else [7, 1, 0, 4, 2, 12, 40, 3]


def step(model, jets, mode="cpu"):
    return training_steps.step(model, jets, mode)


def assert_agrees(model, jets_of, backend="cpu", step=step, **more):
    assert_step_agrees(step, model, jets_of, backend, zeros_for_none=backend == "cpu", **more)


_OPTIONS = [
    {},
    {"method": "input"},
    {"symmetry": "so13"},
    {"symmetry": "so3", "mean_count": 20.0, "diagonal": False},
    {"symmetry": "so12", "method": "input", "fields": ["pdgId"]},
    {"symmetry": "se2", "aggregation": "sum"},
    {"symmetry": "1", "factorize": False, "n_classes": 5},
    {"symmetry": "so2_0", "fields": ["pdgId"], "aggregation": "sum", "mean_count": 20.0},
    {"size": (34, 20, 10), "symmetry": "1", "method": "input"},
    {"symmetry": "11_0", "method": "input"},
    {"output": "momentum"},
    {"output": "momentum", "method": "input", "fields": ["pdgId"], "aggregation": "sum"},
]


@pytest.mark.parametrize(
    ("backend", "case"),
    cases(
        cpu=[(options, training) for options in _OPTIONS for training in (True, False)],
        gpu=[
            ({}, True),
            ({}, False),
            ({"symmetry": "so13", "aggregation": "sum", "diagonal": False}, True),
            ({"size": (40, 20, 10), "symmetry": "1", "method": "input", "fields": ["pdgId"], "n_classes": 5}, True),
        ],
        large=[
            ({"symmetry": "so3", "mean_count": 20.0, "factorize": False}, True),
            ({"size": "48k", "fields": ["pdgId"]}, True),
            ({"size": "208k"}, True),
        ],
    ),
)
def test_agrees_with_the_layers_in_double_precision(random_jets, backend, case):
    options, training = case

    def jets(seed):
        return RaggedJets.from_awkward(random_jets(counts_for(backend), seed=seed), ("pdgId",))

    assert_agrees(build(training, backend, **options), jets, backend)


@needs_vectors
@pytest.mark.parametrize(
    ("counts", "options"), [([60, 30], {}), ([4, 1, 0, 5], {"size": (84, 84, 4)})], ids=["constituents", "channels"]
)
def test_more_than_fits_a_chunk_or_the_registers(random_jets, counts, options):
    assert_agrees(build(**options), lambda seed: random_jets(counts, seed=seed))


@needs_gpu
def test_more_tiles_than_programs(random_jets, monkeypatch):
    monkeypatch.setattr("coffea_equitag.kernels.pelican.gpu.layer.PROGRAMS", 1)
    assert_agrees(build(backend="gpu", symmetry="so13"), lambda seed: random_jets([18], seed=seed), "gpu")


@needs_gpu
@on_hardware
def test_many_constituents(random_jets):
    """More tiles than programs."""
    # a LeakyReLU or two falls on the other side of 0
    jets = random_jets([130, 50, 20] * 100)
    assert_agrees(build(backend="gpu", size="24k"), lambda seed: jets, "gpu", edges=2e-2)


@needs_vectors
def test_products_that_are_not_symmetric(random_jets):
    def unequal_step(model, jets, mode):
        products = model.products(jets)
        products += torch.rand(products.shape, generator=torch.Generator().manual_seed(1))
        with kernels.use(mode):
            return results(model, model.network(products, model.scalars(jets), model._offsets(jets)))

    def jets(seed):
        return RaggedJets.from_awkward(random_jets([4, 9], seed=seed))

    assert_agrees(build(), jets, step=unequal_step)


@needs_gpu
@on_hardware
def test_ieee_products(random_jets, monkeypatch):
    monkeypatch.setenv("EQUITAG_PRECISION", "ieee")
    assert_agrees(build(backend="gpu", size="24k"), lambda seed: random_jets([20, 30, 9], seed=seed), "gpu")


@needs_gpu
@on_hardware
@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 0.3), ("bf16", 1.0)])
def test_coarser_products(random_jets, monkeypatch, precision, tolerance):
    model, jets = build(backend="gpu", size="24k"), random_jets([20, 30, 9])
    expected = step(copy.deepcopy(model).double(), jets, "reference")[1]
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    found, largest = step(model, jets, "gpu")[1], max(map(rms, expected.values()))
    for name, gradient in expected.items():
        assert rms(found[name] - gradient) <= tolerance * max(rms(gradient), 3e-2 * largest), name


@needs_gpu
def test_products_without_matrix_units(random_jets, monkeypatch):
    monkeypatch.setenv("EQUITAG_PRECISION", "ieee")
    assert_agrees(build(backend="gpu", symmetry="so13"), lambda seed: random_jets([3, 4], seed=seed), "gpu")


_FEW = [{"symmetry": "so13"}, {}]


@pytest.mark.parametrize(("backend", "options"), cases(cpu=_FEW, gpu=_FEW[:1], large=_FEW[1:]))
@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 0], [1, 1], [3, 0], [0, 2, 1]])
def test_few_constituents(random_jets, counts, backend, options):
    if len(counts) > 1 or counts == [2]:
        skip_interpreter(backend)
    assert_agrees(build(backend=backend, **options), lambda seed: random_jets(counts, seed=seed), backend)


@needs_vectors
def test_statistics_follow_without_gradients(random_jets):
    assert_agrees(build(), lambda seed: random_jets(COUNTS, seed=seed), step=training_steps.forward)


@needs_gpu
def test_statistics_follow_without_gradients_on_a_gpu(random_jets):
    model, jets = build(backend="gpu", symmetry="so13"), random_jets([3])
    model.messages[1].norm.momentum = None
    assert_agrees(model, lambda seed: jets, "gpu", training_steps.forward)


@needs_vectors
@pytest.mark.parametrize("momentum", [None, 0.3])
def test_momentum_of_the_statistics(random_jets, momentum):
    model, jets = build(), random_jets([9, 4])
    for message in model.messages:
        message.norm.momentum = momentum
    assert_agrees(model, lambda seed: jets, step=training_steps.two_steps)


def test_frozen_batch_norm_and_parameters(random_jets, backend):
    model, counts = build(backend=backend), COUNTS if backend == "cpu" else [4, 2]
    model.messages[1].norm.eval()
    for part in (model.embedding, model.encoder, model.messages[0], model.messages[2], model.blocks[0]):
        part.requires_grad_(False)
    found, expected = (step(copy.deepcopy(model), random_jets(counts), mode)[1] for mode in (backend, "reference"))
    assert [name for name in found if found[name] is None] == [name for name in expected if expected[name] is None]
    assert found["messages.0.linear.weight"] is None
    assert_agrees(model, lambda seed: random_jets(counts, seed=seed), backend)


def test_gradients_of_the_scalars(random_jets, backend):
    jets = RaggedJets.from_awkward(random_jets([9, 1, 5] if backend == "cpu" else [4, 1])).to(device_of(backend))

    def gradient(network, jets, mode):
        scalars = network.scalars(jets).requires_grad_()
        with kernels.use(mode):
            logits = network.network(network.products(jets), scalars, network._offsets(jets))
        assert kernels.last_choice("pelican").kernel == mode
        logits[:, 0].square().sum().backward()
        return logits, {"scalars": scalars.grad}

    assert_agrees(build(backend=backend), lambda seed: jets, backend, gradient)


@needs_vectors
def test_changed_weights_are_noticed(random_jets):
    model, jets = build(), random_jets([9, 4])
    before = model(jets)
    model.blocks[2].mixing.channels_by_input.data *= 1.5
    found = model(jets)
    assert not torch.equal(found, before)
    with kernels.use("reference"):
        assert deviation(found, model(jets)) <= rounding(lambda: copy.deepcopy(model)(jets))


@needs_vectors
def test_bit_identical_with_any_number_of_threads(random_jets):
    """All but the products of nodes' matrices, which are torch's."""
    model, jets = build(dropout=0.1), RaggedJets.from_awkward(random_jets([40] * 30 + [2, 0, 90]))
    assert JetGroups.of(jets.offsets).num_groups > 3
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(2)
            found.append(step(copy.deepcopy(model), jets))
    finally:
        torch.set_num_threads(before)
    for logits, gradients, statistics in found[1:]:
        assert torch.equal(logits, found[0][0])
        assert all(torch.equal(gradients[name], found[0][1][name]) for name in gradients)
        assert all(torch.equal(statistics[name], found[0][2][name]) for name in statistics)


@needs_gpu
def test_the_same_bits_again(random_jets):
    model, jets = build(backend="gpu", dropout=0.1), random_jets([3, 2] if interpreted("gpu") else [3, 40] * 300)
    found = []
    for _ in range(2):
        torch.manual_seed(2)
        one = step(copy.deepcopy(model), jets, "gpu")
        found.append([one[0], *one[1].values(), *one[2].values()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_nan_stays_in_its_jet_without_statistics(random_jets, backend):
    skip_interpreter(backend)
    model = build(False, backend)
    jets = RaggedJets.from_awkward(random_jets([4, 6, 3])).to(device_of(backend))
    products, scalars, offsets = model.products(jets), model.scalars(jets), model._offsets(jets)
    with kernels.use(backend):
        clean = model.network(products, scalars, offsets)
        products[40] = torch.nan
        spoilt = model.network(products, scalars, offsets)
        assert kernels.last_choice("pelican").kernel == backend
        assert spoilt[1].isnan().all()
        assert torch.equal(spoilt[[0, 2]], clean[[0, 2]])
        assert model.train().network(products, scalars, offsets).isnan().all()


def test_same_training_as_the_layers(random_jets, backend):
    skip_interpreter(backend)
    jets = [random_jets([12, 30, 1, 8, 20, 16], seed=seed) for seed in range(4)]

    def losses(mode, dtype=torch.float32):
        model = build(backend=backend).to(dtype)
        optimizer, found = torch.optim.SGD(model.parameters(), lr=1e-3), []
        for batch in jets:
            with kernels.use(mode):
                logits = model(batch)
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(6, device=logits.device) % 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.detach().cpu())
        return torch.stack(found)

    found, allowed = losses(backend), rounding_of_step(lambda: (losses("reference"), {}))["logits"]
    assert largest(found - losses("reference", torch.float64)) <= allowed < 0.1 * float(found.max() - found.min())


def test_falls_back(random_jets, backend):
    jets = RaggedJets.from_awkward(random_jets([4, 3] if backend == "cpu" else [3])).to(device_of(backend))
    for options in ({"irc_safe": True}, *([{"size": (140, 129, 10)}] if backend == "gpu" else [])):
        model = build(backend=backend, **options)
        with kernels.use(backend):
            model(jets)
        assert kernels.last_choice("pelican").kernel == "reference"
    model = build(backend=backend)
    with kernels.use(backend):
        model.network(model.products(jets).requires_grad_(), model.scalars(jets), model._offsets(jets)).sum().backward()
    assert kernels.last_choice("pelican").kernel == "reference"


def test_no_double_backward(random_jets, backend):
    model = build(backend=backend, **({"symmetry": "so13"} if backend == "gpu" else {}))
    with kernels.use(backend):
        logits = model(random_jets([5] if backend == "cpu" else [2]))
    gradient = torch.autograd.grad(logits.sum(), model.embedding.weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@needs_vectors
def test_keeps_little(random_jets):
    """Messages and their bits, not T."""
    model, jets = build(dropout=0.1, size=(34, 20, 10)), random_jets([30, 40])
    model(jets)  # the kernels' self-check, at their first use, keeps tensors too
    kept = {}

    def count(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model(jets)
    pairs = 32**2 + 42**2
    assert 6 * (20 * 4 + 3) <= sum(kept.values()) / pairs <= 6 * 250


@needs_gpu
def test_keeps_messages_alone(random_jets):
    """4 bytes per pair and channel of each message, a multiple of 4, and no larger array of pairs at any time."""
    n = 24
    model, jets = build(backend="gpu", dropout=0.1, size=(16, 10, 4), symmetry="so13"), random_jets([n])
    sizes, kept, pairs = [], {}, n**2
    if not interpreted("gpu"):
        step(copy.deepcopy(model), jets, "gpu")  # the kernels' self-check, at their first use, keeps tensors too

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            found = function(*arguments, **(keywords or {}))
            sizes.extend(tensor.untyped_storage().nbytes() for tensor in tree_leaves(found) if torch.is_tensor(tensor))
            return found

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with Sizes(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(model, jets, "gpu")
    assert max(sizes) == 4 * 12 * pairs
    of_pairs = [size for size in kept.values() if size >= 4 * 12 * pairs]
    assert sum(of_pairs) == 6 * 4 * 12 * pairs
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert sum(kept.values()) - sum(of_pairs) <= 8 * pairs + 6 * n * (36 * 12 + 12 * 16) + 100 * weights


@needs_vectors
def test_other_registers_give_the_same_gradients():
    """The vectors of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import assert_step_agrees; from training_steps import step;"
        "from coffea_equitag import models, RaggedJets;"
        "from coffea_equitag.kernels.pelican.cpu import channel_blocks as s; assert s.HALF == 4;"
        "torch.manual_seed(0); model = models.build('pelican', size=(34, 20, 10), dropout=0.0);"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "assert_step_agrees(step, model, lambda seed: jets, zeros_for_none=True)"
    )
    with_avx2(code)

from __future__ import annotations

import copy

import awkward as ak
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import coffea_equitag as eqt
from arithmetic import assert_same_step, assert_step_agrees, largest, rounding_of_step
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.jet_groups import JetGroups
from gpu import device_of, interpreted, needs_gpu
from kernel_forms import cases, needs_vectors, with_avx2
from networks import enliven
from training_steps import forward, losses_of_training, rms, step, two_steps


def counts_for(backend):
    """Few enough that no ReLU's input is nearer to 0 than rounding: gradients jump there."""
    return [12, 1, 0, 4, 2, 9, 3] if backend == "cpu" else [9, 1, 0, 2, 5, 17]


def build(backend="cpu", training=True, **options):
    """A network whose vectors really move, without dropout."""
    torch.manual_seed(3)
    given = {"n_layers": 3} if backend == "cpu" else {"n_layers": 2, "hidden": 8}
    model = eqt.models.build("lorentznet", **(given | {"dropout": 0.0} | options))
    return enliven(model, gain=100).train(training).to(device_of(backend))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("backend", "options"),
    cases(
        cpu=[
            {},
            {"beams": False},
            {"n_layers": 1, "hidden": 1},
            {"hidden": 16, "beams": False},
            {"hidden": 100, "n_scalar": 5, "n_layers": 2},
            {"pid": True, "n_classes": 5, "hidden": 64},
            {"clamp": 100.0, "pid": True, "beams": False},
            {"clamp": 0.1, "c_weight": 0.1},
        ],
        gpu=[{}, {"hidden": 16, "beams": False}, {"clamp": 0.1, "c_weight": 0.1}],
        large=[
            {"hidden": 72, "n_layers": 6, "clamp": 100.0},
            {"hidden": 72, "n_layers": 6},
            {"hidden": 95, "n_scalar": 5},
            {"pid": True, "n_classes": 5, "hidden": 64},
        ],
    ),
)
def test_agrees_with_the_layers_in_double_precision(random_jets, backend, options, training):
    def jets(seed):
        return RaggedJets.from_awkward(random_jets(counts_for(backend), seed=seed), ("pdgId",))

    assert_step_agrees(step, build(backend, training, **options), jets, backend)


@needs_gpu
def test_ieee_products(random_jets, monkeypatch):
    monkeypatch.setenv("EQUITAG_PRECISION", "ieee")
    assert_step_agrees(step, build("gpu", hidden=16, n_layers=1), lambda seed: random_jets([5, 3], seed=seed), "gpu")


@needs_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 5e-2), ("bf16", 0.5)])
def test_coarser_products(random_jets, monkeypatch, precision, tolerance):
    model, jets = build("gpu", hidden=16, n_layers=1), random_jets([5, 3])
    precise = copy.deepcopy(model).double()
    monkeypatch.setenv("EQUITAG_PRECISION", precision)
    found, expected = step(model, jets, "gpu")[1], step(precise, jets, "reference")[1]
    largest = max(map(rms, expected.values()))
    for name, gradient in expected.items():
        assert rms(found[name] - gradient) <= tolerance * max(rms(gradient), 3e-3 * largest), name


@needs_gpu
def test_other_channels(random_jets):
    model = build("gpu", hidden=72, n_layers=1, beams=False)
    assert_step_agrees(step, model, lambda seed: random_jets([7, 3], seed=seed), "gpu")


@pytest.mark.parametrize(("backend", "training"), cases(cpu=[True, False], large=[True]))
def test_many_constituents(random_jets, backend, training):
    options, times = ({"n_layers": 2}, 1) if backend == "cpu" else ({"hidden": 72}, 100)
    jets = random_jets([130, 50, 20] * times)
    # a ReLU or two falls on the other side of 0
    assert_step_agrees(step, build(backend, training, **options), lambda seed: jets, backend, edges=2e-2)


@pytest.mark.parametrize(("backend", "eps"), cases(cpu=[0.5], gpu=[0.5]))
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_another_eps(random_jets, backend, eps, training):
    model = build(backend, training, hidden=8)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eps = eps
    assert_step_agrees(step, model, lambda seed: random_jets(counts_for(backend), seed=seed), backend)


@pytest.mark.parametrize(("backend", "counts"), cases(cpu=[[2], [0, 2, 1], [3]], gpu=[[2], [0, 2, 1]]))
def test_a_single_pair(random_jets, backend, counts):
    model, jets = build(backend, beams=False, hidden=8), random_jets(counts)
    assert_step_agrees(step, model, lambda seed: jets, backend)


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 1]])
def test_without_pairs_statistics_stay(random_jets, backend, counts):
    model = build(backend, beams=False, hidden=8)
    before, initial = (
        copy.deepcopy(model),
        dict(build(beams=False, hidden=8, n_layers=len(model.blocks)).named_buffers()),
    )
    allowed = rounding_of_step(lambda: step(copy.deepcopy(model), random_jets(counts), "reference"))
    *found, statistics = step(model, random_jets(counts), backend)
    *expected, same = step(before, random_jets(counts), "reference")
    assert_same_step(tuple(found), tuple(expected), allowed, zeros_for_none=True)
    for name, statistic in statistics.items():
        torch.testing.assert_close(statistic, same[name], rtol=0, atol=0, equal_nan=backend == "gpu")
        if ".phi_e." in name:
            assert torch.equal(statistic, initial[name])


@pytest.mark.parametrize(("backend", "momentum"), cases(cpu=[0.1], gpu=[None]))
def test_statistics_follow_without_gradients(random_jets, backend, momentum):
    model, jets = build(backend, hidden=8), random_jets(counts_for(backend) if backend == "cpu" else [5, 3])
    model.blocks[0].phi_e[1].momentum = momentum
    assert_step_agrees(forward, model, lambda seed: jets, backend)


@needs_vectors
@pytest.mark.parametrize("momentum", [None, 0.3])
def test_momentum_of_the_statistics(random_jets, momentum):
    model, jets = build(hidden=8, n_layers=1), random_jets([9, 4])
    model.blocks[0].phi_e[1].momentum = momentum
    assert_step_agrees(two_steps, model, lambda seed: jets)


def test_frozen_batch_norm_and_parameters(random_jets, backend):
    model, jets = build(backend, hidden=8), random_jets(counts_for(backend) if backend == "cpu" else [5, 1, 4])
    model.blocks[1].phi_e[1].eval()
    model.blocks[0].requires_grad_(False)
    for mode in (backend, "reference"):
        gradients = step(copy.deepcopy(model), jets, mode)[1]
        assert all((gradient is None) == name.startswith("blocks.0.") for name, gradient in gradients.items())
    assert_step_agrees(step, model, lambda seed: jets, backend)


@pytest.mark.parametrize(("training", "clamp"), [(True, None), (False, None), (True, 0.1)])
def test_gradients_of_the_inputs(random_jets, backend, training, clamp):
    model = build(backend, training, hidden=8, beams=False, clamp=clamp, c_weight=0.1, n_layers=3)
    jets = RaggedJets.from_awkward(random_jets([9, 1, 5])).to(device_of(backend))

    def gradients(network, jets, mode):
        scalars = network.scalars(jets).requires_grad_()
        products = eqt.invariants.gram(jets).requires_grad_()
        p4 = jets.p4.clone().requires_grad_()
        with kernels.use(mode):
            logits = network.network(p4, scalars, jets.offsets, products)
        assert kernels.last_choice("lorentznet").kernel == mode
        logits[:, 0].square().sum().backward()
        vectors = {} if clamp is None else {"vectors": p4.grad}
        return logits, {"scalars": scalars.grad, "products": products.grad} | vectors

    assert_step_agrees(gradients, model, lambda seed: jets, backend)


@needs_gpu
def test_the_same_bits_again(random_jets):
    """More tiles than programs on a GPU, so that each of these adds up several."""
    from coffea_equitag.kernels.lorentznet.gpu.backward import PROGRAMS

    model, jets = build("gpu", hidden=16), random_jets([3, 18] * (1 if interpreted("gpu") else PROGRAMS))
    results = []
    for _ in range(2):
        found = step(copy.deepcopy(model), jets, "gpu")
        results.append([found[0], *found[1].values(), *found[2].values()])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@needs_gpu
def test_no_array_of_pairs_has_channels(random_jets):
    """Two scalars per pair at most; what tiles of receivers give the senders is a sixteenth of the channels."""
    n, hidden = 40, 24
    model, jets = build("gpu", hidden=hidden, n_layers=1, beams=False), random_jets([n])
    sizes, kept = [], {}

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
    assert max(sizes) < 4 * n * n * hidden / 2
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert sum(kept.values()) <= 12 * n * n + 4 * n * 20 * hidden + 8 * weights


@needs_vectors
@pytest.mark.parametrize("clamp", [None, 0.1])
def test_bit_identical_with_any_number_of_threads(random_jets, monkeypatch, clamp):
    """Of the edges; how torch multiplies the nodes' matrices is torch's affair."""
    from coffea_equitag.kernels.lorentznet.cpu.training import edges

    jets = RaggedJets.from_awkward(random_jets([40] * 30 + [2, 0, 90]))
    model = build(hidden=24, n_layers=2, beams=False, clamp=clamp)
    block, results = model.blocks[0], []
    h, before = model.embedding(model.scalars(jets)).detach(), torch.get_num_threads()
    products = eqt.invariants.gram(jets)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            u, v = h.clone().requires_grad_(), (2 * h).requires_grad_()
            gram, x = products.clone().requires_grad_(), jets.p4.clone().requires_grad_()
            model.zero_grad()
            monkeypatch.setattr(block.phi_e[1], "momentum", 1.0)
            sums, stepped, moved = edges(block, u, v, gram, x, JetGroups.of(jets.offsets))
            (sums.square().sum() + stepped.abs().log1p().sum() + moved.abs().log1p().sum()).backward()
            gradients = [p.grad for n, p in block.named_parameters() if not n.startswith("phi_h")]
            inputs = [u.grad, v.grad, gram.grad, x.grad]
            results.append([sums, stepped, moved, *inputs, *gradients, block.phi_e[1].running_var.clone()])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_same_training_as_the_layers(random_jets, backend):
    cpu = backend == "cpu"
    counts, seeds, times = ([12, 30, 1, 8, 20, 16], 4, 3) if cpu else ([4, 5, 1, 3], 3, 1)
    jets = [random_jets(counts, seed=seed) for seed in range(seeds)]
    options = {"hidden": 16} if cpu else {"beams": False}

    def losses(mode):
        # a GPU draws its dropout with a generator of its own
        model = build(backend, dropout=0.2 if device_of(backend) == "cpu" else 0.0, **options)
        return losses_of_training(model, jets * times, mode)

    found, allowed = losses(backend), rounding_of_step(lambda: (losses("reference"), {}))["logits"]
    assert largest(found - losses("reference")) <= allowed < 0.1 * float(found.max() - found.min())


@needs_gpu
def test_reference_for_what_the_gpu_cannot_do(random_jets):
    model = build("gpu", hidden=96)
    with kernels.use("gpu"):
        model(random_jets([3]))
    assert kernels.last_choice("lorentznet").kernel == "reference"


def test_no_double_backward(random_jets, backend):
    model, jets = build(backend, hidden=8), random_jets([5] if backend == "cpu" else [3])
    with kernels.use(backend):
        of_head = torch.autograd.grad(model(jets).sum(), model.head[0].weight, create_graph=True)[0]
        logits = model(jets)
    assert of_head.requires_grad
    gradient = torch.autograd.grad(logits.sum(), model.embedding.weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@needs_vectors
@pytest.mark.parametrize("clamp", [None, 100.0])
def test_official_checkpoint_on_real_jets(shared_data, clamp):
    columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")[:20]
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
    path = shared_data / "parity" / "lorentznet_top_official.pt"
    model = eqt.convert.official("lorentznet", path, n_scalar=2, clamp=clamp).model.eval()
    # a ReLU or two falls on the other side of 0
    assert_step_agrees(step, model, lambda seed: jets, edges=2e-2)


@needs_vectors
def test_other_registers_give_the_same_gradients():
    """The vectors of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import assert_step_agrees; from training_steps import step;"
        "from coffea_equitag import models, RaggedJets;"
        "torch.manual_seed(0); model = models.build('lorentznet', hidden=72, n_layers=2, dropout=0.0);"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "assert_step_agrees(step, model, lambda seed: jets)"
    )
    with_avx2(code)

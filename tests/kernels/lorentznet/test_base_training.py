"""LorentzNet_base and its patches with gradients, on LorentzNet's kernels with other edge scalars."""

from __future__ import annotations

import copy

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_same_step, assert_step_agrees, largest, rounding_of_step
from base_networks import PAIRWISE, directions, inputs
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.jet_groups import JetGroups
from gpu import device_of, needs_gpu
from kernel_forms import cases, needs_vectors, on_hardware, skip_interpreter, with_avx2
from networks import enliven
from training_steps import forward, losses_of_training, step


def counts_for(backend):
    """Few enough that no ReLU's input is nearer to 0 than rounding: gradients jump there."""
    return [12, 1, 0, 4, 2, 9, 3] if backend == "cpu" else [5, 1, 0, 2]


def build(backend="cpu", training=True, **options):
    """A network whose vectors really move, without dropout."""
    torch.manual_seed(3)
    given = {"n_layers": 2, "hidden": 24} if backend == "cpu" else {"n_layers": 2, "hidden": 8}
    model = eqt.models.build("lorentznet_base", **(given | {"dropout": 0.0, "c_weight": 1.0} | options))
    return enliven(model, gain=1e4).train(training).to(device_of(backend))


@pytest.mark.parametrize(
    ("backend", "options"),
    cases(
        cpu=[
            {"hidden": 72},
            *({"pairwise": scalar} for scalar in PAIRWISE),
            {"nodewise": "mass", "n_layers": 3},
            {"nodewise": "energy", "pairwise": "delta_r_pt", "hidden": 72},
            {"pairwise": "delta_r", "n_layers": 1, "hidden": 1},
        ],
        gpu=[{}, {"pairwise": "mass"}, {"nodewise": "mass", "pairwise": "delta_r_pt"}],
        large=[
            *({"hidden": 72, "n_layers": 6, "pairwise": scalar} for scalar in PAIRWISE),
            {"hidden": 95, "pairwise": "energy", "nodewise": "energy"},
        ],
    ),
)
def test_agrees_with_the_layers_in_double_precision(random_jets, backend, options):
    model = build(backend, **options)
    assert_step_agrees(step, model, lambda seed: random_jets(counts_for(backend), seed=seed), backend)


@pytest.mark.parametrize("pairwise", [None, "mass", "delta_r_pt"])
def test_running_statistics(random_jets, backend, pairwise):
    skip_interpreter(backend)
    model = build(backend, training=False, pairwise=pairwise, nodewise="mass")
    assert_step_agrees(step, model, lambda seed: random_jets(counts_for(backend), seed=seed), backend)


@pytest.mark.parametrize("pairwise", [None, "mass"])
def test_what_has_no_effect_has_no_gradient(random_jets, backend, pairwise):
    """Without edge scalars φ_x is there, since the paper counts its parameters, but nothing depends on it."""
    model = build(backend, pairwise=pairwise)
    gradients = step(model, random_jets([5, 3]), backend)[1]
    without = {name for name, gradient in gradients.items() if gradient is None}
    assert without == {name for name in gradients if ".phi_x." in name and pairwise is None}


@pytest.mark.parametrize(("backend", "counts"), cases(cpu=[[0, 2, 1], [3]], large=[[0, 2, 1]]))
@pytest.mark.parametrize("pairwise", [None, "energy", "delta_r"])
def test_a_single_pair(random_jets, backend, counts, pairwise):
    jets = random_jets(counts)
    assert_step_agrees(step, build(backend, pairwise=pairwise, hidden=8), lambda seed: jets, backend)


@pytest.mark.parametrize("counts", [[], [0], [0, 1, 1]])
@pytest.mark.parametrize("pairwise", [None, "mass", "delta_r"])
def test_without_pairs_statistics_stay(random_jets, backend, counts, pairwise):
    if pairwise is None or counts == []:
        skip_interpreter(backend)
    model = build(backend, pairwise=pairwise, hidden=8)
    before, jets = copy.deepcopy(model), random_jets(counts)
    allowed = rounding_of_step(lambda: step(copy.deepcopy(model), jets, "reference"))
    *found, statistics = step(model, jets, backend)
    *expected, same = step(before, jets, "reference")
    assert_same_step(tuple(found), tuple(expected), allowed, zeros_for_none=True)
    for name, statistic in statistics.items():
        torch.testing.assert_close(statistic, same[name], rtol=0, atol=0, equal_nan=backend == "gpu")


@pytest.mark.parametrize("pairwise", [None, "delta_r"])
def test_statistics_follow_without_gradients(random_jets, backend, pairwise):
    if pairwise is None:
        skip_interpreter(backend)
    model, jets = build(backend, pairwise=pairwise, hidden=8), random_jets([5, 3])
    assert_step_agrees(forward, model, lambda seed: jets, backend)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_gradients_of_the_inputs(random_jets, backend, pairwise, training):
    if not training or pairwise in ("delta_r", "energy"):
        skip_interpreter(backend)
    model = build(backend, training, pairwise=pairwise, nodewise="energy", hidden=8)
    jets = RaggedJets.from_awkward(random_jets([5, 1, 4])).to(device_of(backend))
    name = "products" if pairwise == "mass" else "vectors"

    def gradients(network, jets, mode):
        given = inputs(network, jets)
        given["scalars"] = given["scalars"].to(network.dtype)
        wanted = {key: given[key].clone().requires_grad_() for key in ("scalars", "groups", name)}
        with kernels.use(mode):
            logits = network.network(*(given | wanted).values())
        assert kernels.last_choice("lorentznet_base").kernel == mode
        logits[:, 0].square().sum().backward()
        return logits, {key: tensor.grad for key, tensor in wanted.items()}

    assert_step_agrees(gradients, model, lambda seed: jets, backend)


@pytest.mark.parametrize("pairwise", ["delta_r", "delta_r_pt"])
def test_extreme_directions(backend, pairwise):
    """One direction, where ΔR has no derivative, and both sides of φ = ±π; the vectors then stay where they are."""
    if pairwise == "delta_r":
        skip_interpreter(backend)
    model, jets = build(backend, pairwise=pairwise, c_weight=0.0, hidden=8), directions(backend)
    jets = RaggedJets.from_momenta(jets.p4[:6], torch.tensor([0, 6])).to(device_of(backend))  # not along the beam

    def gradients(network, jets, mode):
        given = inputs(network, jets)
        given["scalars"] = given["scalars"].to(network.dtype)
        given["vectors"] = vectors = given["vectors"].clone().requires_grad_()
        with kernels.use(mode):
            logits = network.network(*given.values())
        logits[:, 0].square().sum().backward()
        return logits, {"vectors": vectors.grad}

    assert_step_agrees(gradients, model, lambda seed: jets, backend)


@needs_gpu
@on_hardware
def test_the_same_bits_again(random_jets):
    model, jets = build("gpu", pairwise="delta_r"), random_jets([3, 18])
    results = []
    for _ in range(2):
        found = step(copy.deepcopy(model), jets, "gpu")
        results.append([found[0], *found[1].values(), *found[2].values()])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@needs_vectors
@pytest.mark.parametrize("pairwise", [None, "mass", "delta_r_pt"])
def test_bit_identical_with_any_number_of_threads(random_jets, monkeypatch, pairwise):
    """Of the edges; how torch multiplies the nodes' matrices is torch's affair."""
    from coffea_equitag.kernels.lorentznet.cpu.training import edges

    jets = RaggedJets.from_awkward(random_jets([40] * 30 + [2, 0, 90]))
    model = build(n_layers=2, pairwise=pairwise)
    block, results, before = model.blocks[0], [], torch.get_num_threads()
    given = inputs(model, jets)
    h = model.embedding(given["scalars"]).detach()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            leaves = [h.clone(), 2 * h, given["products"].clone(), jets.p4.clone()]
            u, v, gram, x = (leaf.requires_grad_() for leaf in leaves)
            model.zero_grad()
            monkeypatch.setattr(block.phi_e[1], "momentum", 1.0)
            sums, stepped, moved = edges(block, u, v, gram, x, JetGroups.of(jets.offsets))
            (sums.square().sum() + stepped.abs().log1p().sum() + moved.abs().log1p().sum()).backward()
            gradients = [p.grad for n, p in block.named_parameters() if not n.startswith("phi_h")]
            gradients += [leaf.grad for leaf in (u, v, gram, x)]
            results.append([sums, stepped, moved, *gradients, block.phi_e[1].running_var.clone()])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            assert one is other if one is None else torch.equal(one, other)


def test_same_training_as_the_layers(random_jets, backend):
    skip_interpreter(backend)
    cpu = backend == "cpu"
    counts, seeds, times = ([12, 8, 1, 5], 4, 1) if cpu else ([4, 5, 1, 3], 3, 1)
    jets = [random_jets(counts, seed=seed) for seed in range(seeds)]

    def losses(mode):
        # a GPU draws its dropout with a generator of its own
        model = build(backend, pairwise="delta_r", nodewise="mass", dropout=0.2 if device_of(backend) == "cpu" else 0.0)
        return losses_of_training(model, jets * times, mode)

    found, allowed = losses(backend), rounding_of_step(lambda: (losses("reference"), {}))["logits"]
    assert largest(found - losses("reference")) <= allowed < 0.1 * float(found.max() - found.min())


@needs_vectors
def test_other_registers_give_the_same_scores_and_gradients():
    """The vectors of an AVX2 machine, where this one can run them, in a process of their own."""
    code = (
        "import torch; from arithmetic import assert_step_agrees, rounding;"
        "from coffea_equitag import models, RaggedJets; from kernel_forms import assert_agrees, run;"
        "from training_steps import step; torch.manual_seed(0);"
        "model = models.build('lorentznet_base', pairwise='delta_r_pt', nodewise='mass', n_layers=2, dropout=0.0);"
        "p = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p.norm(dim=1, keepdim=True) * 1.01, p], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "assert_step_agrees(step, model, lambda seed: jets);"
        "model.eval(); assert_agrees(run(model, jets), model, jets)"
    )
    with_avx2(code)

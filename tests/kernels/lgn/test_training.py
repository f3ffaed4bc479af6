from __future__ import annotations

import numpy as np
import pytest
import torch

from arithmetic import assert_same_step, assert_step_agrees, deviation, rounding, rounding_of_step
from coffea_equitag import RaggedJets, kernels
from kernel_forms import needs_vectors, run, with_avx2

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 40, 2, 7, 31, 3]


def step(model, jets, mode="cpu"):
    """Logits and gradients of one forward and backward pass."""
    model.zero_grad()
    with kernels.use(mode):
        logits = model(jets)
    assert kernels.last_choice("lgn").kernel == mode
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).reshape(logits.shape)
    (torch.log_softmax(logits, 1) * weights).sum().backward()
    return logits.detach(), {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"beams": False},
        {"scale": 0.005},
        {"maxdim": 2},
        {"n_classes": 5, "mlp_depth": 0, "n_bells": 3},
        {"channels": (1, 5, 2, 6), "mlp_width": 1},
    ],
)
def test_gradients_are_those_of_the_layers_in_double_precision(random_jets, given, build):
    assert_step_agrees(step, build(**given), lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed=seed)))


@pytest.mark.parametrize("counts", [[1], [2], [0, 0], [0, 2, 0], [1, 16], [17, 33]])
@pytest.mark.parametrize("beams", [False, True])
def test_few_constituents(random_jets, counts, beams, build):
    assert_step_agrees(step, build(beams=beams), lambda seed: random_jets(counts, seed=seed))


@pytest.mark.parametrize("beams", [False, True])
def test_no_jets(random_jets, beams, build):
    logits, gradients = step(build(beams=beams), random_jets([]))
    assert logits.shape == (0, 2)
    assert all(not gradient.any() for gradient in gradients.values())


def test_same_bits_with_any_threads(random_jets, build):
    counts = np.random.default_rng(5).integers(0, 70, 40).tolist()
    model, jets = build(), RaggedJets.from_awkward(random_jets(counts))
    logits, gradients = step(model, jets)
    before = torch.get_num_threads()
    try:
        for threads in (2, 3, 5):
            torch.set_num_threads(threads)
            again, found = step(model, jets)
            assert torch.equal(again, logits)
            assert all(torch.equal(found[name], gradients[name]) for name in gradients)
    finally:
        torch.set_num_threads(before)


def test_training_and_evaluation_agree(random_jets, build):
    model, jets = build(), random_jets(COUNTS)
    assert deviation(step(model, jets)[0], run(model.eval(), jets)) <= rounding(model, jets)


def test_a_step_changes_the_next(random_jets, build):
    model, jets = build(), RaggedJets.from_awkward(random_jets([9, 4, 30]))
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(3):
        assert_step_agrees(step, model, lambda seed: jets)
        step(model, jets)
        optimiser.step()


def test_frozen_parameters_have_no_gradients(random_jets, build):
    model, jets = build(), random_jets([5, 9])
    _, expected = step(model, jets)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bells" in name)
    model.zero_grad()
    model(jets).sum().backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == {
        name for name in expected if "bells" in name
    }


def test_nan_stays_in_its_jet(random_jets, build):
    model, jets = build(), RaggedJets.from_awkward(random_jets([5, 5, 3, 0]))
    clean = model(jets)
    jets.p4[6] = torch.nan
    found = model(jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])
    expected = torch.autograd.grad(clean[[0, 2, 3]].sum(), model.levels[0].bells.b)[0]
    assert torch.isfinite(expected).all()


def test_changed_parameters_are_noticed_between_passes(random_jets, build):
    model = build()
    logits = model(random_jets([5]))
    with torch.no_grad():
        model.levels[0].bells.c.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logits.sum().backward()


def test_backward_twice(random_jets, build):
    model = build()
    total = model(random_jets([5, 8])).sum()
    first, second = (torch.autograd.grad(total, model.levels[1].bells.b, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def network_inputs(model, n=6):
    generator = torch.Generator().manual_seed(0)
    p4 = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    squares = torch.randn(n, n, generator=generator, dtype=torch.float64)
    squares = (squares + squares.T).fill_diagonal_(0.0).flatten()
    scalars = torch.randn(n, model.input.in_features, generator=generator)
    return p4, scalars, torch.tensor([0, n - 2, n]), squares[: (n - 2) ** 2 + 4]


def test_scalars_have_gradients(build):
    model = build()
    p4, scalars, offsets, squares = network_inputs(model)
    squares[:16] = (squares[:16].reshape(4, 4) + squares[:16].reshape(4, 4).T).fill_diagonal_(0.0).flatten()
    squares[16:] = torch.tensor([0.0, 0.3, 0.3, 0.0])

    def gradient(mode):
        leaf = scalars.clone().requires_grad_()
        with kernels.use(mode):
            logits = model.network(p4, leaf, offsets, squares)
        assert kernels.last_choice("lgn").kernel == mode
        return logits, {"scalars": torch.autograd.grad(logits.square().sum(), leaf)[0]}

    allowed = rounding_of_step(lambda: gradient("reference"))
    assert_same_step(gradient("cpu"), gradient("reference"), allowed)


@pytest.mark.parametrize("place", [0, 3])
def test_gradients_of_momenta_are_left_to_the_layers(place, build):
    model = build()
    inputs = list(network_inputs(model))
    inputs[place].requires_grad_()
    model.network(*inputs).sum().backward()
    assert kernels.last_choice("lgn").reason == "gradients of momenta are recorded"
    assert inputs[place].grad.any()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: model.double(), "the network is not in float32"),
        (lambda model: model.head.register_forward_hook(lambda *_: None), "hooks want to see the layers' values"),
        (lambda model: model.levels[0].mlp.append(torch.nn.Tanh()), "layers were replaced"),
    ],
)
def test_what_is_not_supported_runs_on_the_layers(random_jets, change, reason, build):
    model = build()
    change(model)
    model(random_jets([5])).sum().backward()
    assert kernels.last_choice("lgn").reason == reason
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_momenta_are_learnt_on_the_layers(random_jets, build):
    model = build(output="momentum")
    model(random_jets([5])).sum().backward()
    assert kernels.last_choice("lgn").reason == "it gives momenta"


def test_other_registers_give_the_same_gradients():
    """The tiles of an AVX2 machine, where this one can run them, in a process of their own; two levels, as CLARIANT."""
    code = (
        "import torch; from arithmetic import assert_same_step, rounding_of_step;"
        "from coffea_equitag import models, RaggedJets, kernels;"
        "torch.manual_seed(0); p3 = torch.randn(30, 3, dtype=torch.float64);"
        "p4 = torch.cat([p3.norm(dim=1, keepdim=True) * 1.01, p3], dim=1);"
        "jets = RaggedJets.from_momenta(p4, torch.tensor([0, 17, 18, 30]));"
        "model = models.build('lgn', scale=1.0, levels=2, channels=(2, 3, 2))\n"
        "def step(mode):\n"
        "    with kernels.use(mode): logits = model(jets)\n"
        "    assert kernels.last_choice('lgn').kernel == mode\n"
        "    return logits, dict(enumerate(torch.autograd.grad(logits.square().sum(), list(model.parameters()))))\n"
        "assert_same_step(step('cpu'), step('reference'), rounding_of_step(lambda: step('reference')))\n"
    )
    with_avx2(code)

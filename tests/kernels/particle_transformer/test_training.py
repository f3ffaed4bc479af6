from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import coffea_equitag as eqt
from arithmetic import assert_step_agrees
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.activations import GELU, RELU
from coffea_equitag.kernels.common.cpu.dropout_row import NO_DROP, drop_of_probability
from coffea_equitag.kernels.common.dropout import kept_channels, threshold_of
from coffea_equitag.kernels.particle_transformer.cpu import row_functions
from coffea_equitag.kernels.particle_transformer.cpu.row_sums import LANE
from coffea_equitag.kernels.particle_transformer.cpu.square_bias import square_bias
from kernel_forms import needs_vectors
from training_steps import step, two_steps

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 31, 2]
SMALL = {
    "embed_widths": (24, 40, 32),
    "pair_widths": (8, 24, 6),
    "heads": 4,
    "layers": 2,
    "class_layers": 1,
    "ratio": 2,
    "dropout": 0.0,
}


def build(**options):
    torch.manual_seed(3)
    model = eqt.models.build("particle_transformer", **SMALL | options).train()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"self_pairs": False, "activation": "relu", "pair_activation": False},
        {"pair_widths": None, "heads": 1, "embed_widths": (9,), "units": (7,), "n_classes": 3},
    ],
)
def test_agrees_with_the_layers(random_jets, options, training):
    jets_of = lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed=seed))  # noqa: E731
    assert_step_agrees(step, build(**options).train(training), jets_of)


def test_running_statistics_follow(random_jets):
    assert_step_agrees(two_steps, build(), lambda seed: random_jets([20, 0, 9, 1], seed=seed))


@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 0, 2]])
def test_few_constituents(random_jets, counts):
    assert_step_agrees(step, build(), lambda seed: random_jets(counts, seed=seed), zeros_for_none=True)


def test_gradients_of_the_momenta(random_jets):
    jets = RaggedJets.from_awkward(random_jets([9, 4, 1]))

    def step_of(model, scale, mode):
        given = scale.clone().requires_grad_()
        with kernels.use(mode):
            logits = model(jets.scaled(given, jets_too=True))
        assert kernels.last_choice("particle_transformer").kernel == mode
        logits.square().mean().backward()
        return logits.detach(), {"scale": given.grad}

    def scale_of(seed):
        return 0.1 * torch.randn(14, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    assert_step_agrees(step_of, build(), scale_of)


def test_a_second_backward_through_a_retained_graph(random_jets):
    model = build(dropout=0.3)
    with kernels.use("cpu"):
        loss = model(random_jets([9, 4, 30])).square().sum()
    loss.backward(retain_graph=True)
    once = [parameter.grad.clone() for parameter in model.parameters()]
    loss.backward()
    assert all(torch.allclose(p.grad, 2 * g, rtol=1e-5) for p, g in zip(model.parameters(), once, strict=True))


def test_dropout_is_drawn_from_torch_s_generator(random_jets):
    model, jets, found = build(dropout=0.3), random_jets([9, 4, 30]), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(step(model, jets, "cpu"))
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.equal(found[0][0], found[2][0])
    assert torch.equal(step(model.eval(), jets, "cpu")[0], step(model, jets, "cpu")[0])


@pytest.mark.parametrize("width", [32, 21])
@pytest.mark.parametrize("probability", [0.0, 0.3])
@pytest.mark.parametrize("kind", [GELU, RELU])
def test_rows_between_dense_layers(width, probability, kind):
    """As torch's layers, with the mask that `common.dropout` defines."""
    rows, key = 90, 12345
    drop = drop_of_probability(probability, key) if probability else NO_DROP
    padded = -(-width // LANE) * LANE
    numbers = np.arange(rows * padded)
    kept = kept_channels(key, numbers, 1, threshold_of(probability)).reshape(rows, padded)[:, :width]
    mask = torch.from_numpy(kept) / (1 - probability)
    generator = torch.Generator().manual_seed(1)
    x, y, arriving = (torch.randn(rows, width, generator=generator, dtype=torch.float64) for _ in range(3))
    scale, shift, factors = (torch.randn(width, generator=generator, dtype=torch.float64) for _ in range(3))

    def normed(x):
        active = functional.gelu(x) if kind == GELU else functional.relu(x)
        return functional.layer_norm(active * mask, (width,))

    def summed(x, y, scale, shift):
        return x + mask * functional.layer_norm(y, (width,), scale, shift)

    def scaled(x, y, factors):
        return factors * x + mask * y

    pairs = [
        (normed, lambda x: row_functions.normalised(x, kind, drop), (x,)),
        (summed, lambda x, y, a, b: row_functions.dropped_sum(x, y, drop, scale_C=a, shift_C=b), (x, y, scale, shift)),
        (scaled, lambda x, y, a: row_functions.dropped_sum(x, y, drop, factors_C=a), (x, y, factors)),
    ]
    for layers, kernel, arguments in pairs:
        expected, found = (
            gradients(function, [argument.to(dtype) for argument in arguments], arriving.to(dtype))
            for function, dtype in ((layers, torch.float64), (kernel, torch.float32))
        )
        for one, other in zip(found, expected, strict=True):
            assert torch.allclose(one.double(), other, rtol=1e-4, atol=1e-4)


def gradients(function, arguments, arriving):
    """What a function gives, and its gradients."""
    arguments = [argument.clone().requires_grad_() for argument in arguments]
    out = function(*arguments)
    out.backward(arriving)
    return [out.detach(), *(argument.grad for argument in arguments)]


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(row_functions, "_GROUP", 16)
    x, y, factors, arriving = (torch.randn(shape) for shape in ((90, 32), (90, 32), (32,), (90, 32)))
    drop, real, found = drop_of_probability(0.2, 7), row_functions.over_jets, []
    for threads in (1, 2, 3):
        monkeypatch.setattr(row_functions, "over_jets", lambda run, work, _, n=threads: real(run, work * 1000, n))
        function = lambda x, y, a: row_functions.dropped_sum(x, y, drop, factors_C=a)  # noqa: E731
        found.append(gradients(function, (x, y, factors), arriving))
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


@pytest.mark.parametrize("with_self", [True, False])
def test_square_bias(with_self):
    counts = torch.tensor([3, 0, 1, 5])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    pairs = [(j, a, b) for j, n in enumerate(counts) for a in range(n) for b in range(a + (1 if with_self else 0))]
    values = torch.randn(len(pairs), 2, requires_grad=True)
    found, at = square_bias(values, offsets, with_self), 0
    for jet, n in enumerate(counts.tolist()):
        matrix = torch.zeros(n, n, 2)
        for (j, a, b), row in zip(pairs, values.detach(), strict=True):
            if j == jet:
                matrix[a, b] = matrix[b, a] = row
        assert torch.equal(found[at : at + n * n], matrix.view(-1, 2))
        at += n * n
    found.sum().backward()
    assert torch.equal(values.grad[:, 0], torch.tensor([1.0 if a == b else 2.0 for _, a, b in pairs]))

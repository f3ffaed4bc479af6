from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

import coffea_equitag as eqt
from arithmetic import assert_same_step, assert_step_agrees, rounding_of_step
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.compiled import over_jets
from coffea_equitag.kernels.common.cpu import dense_function
from coffea_equitag.kernels.common.cpu.activations import GELU, RELU
from coffea_equitag.kernels.common.cpu.dense_function import dense
from coffea_equitag.kernels.common.cpu.dropout_row import NO_DROP, drop_of_probability
from coffea_equitag.kernels.common.dropout import kept_channels, threshold_of
from coffea_equitag.kernels.particle_transformer.cpu import row_groups
from coffea_equitag.kernels.particle_transformer.cpu.feed_forward import feed_forward
from coffea_equitag.kernels.particle_transformer.cpu.normed_sum import normed_sum
from coffea_equitag.kernels.particle_transformer.cpu.row_sums import LANE
from coffea_equitag.kernels.particle_transformer.cpu.square_bias import square_bias
from kernel_forms import needs_vectors
from networks import SMALL_TRANSFORMER
from training_steps import step, two_steps

pytestmark = needs_vectors

COUNTS = [20, 1, 0, 7, 31, 2]
SMALL = SMALL_TRANSFORMER | {"dropout": 0.0}


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


def kept_of(rows, width, probability, key):
    """What dropout multiplies rows by, as `common.dropout` defines it."""
    padded = -(-width // LANE) * LANE
    kept = kept_channels(key, np.arange(rows * padded), 1, threshold_of(probability)).reshape(rows, padded)
    factor = np.float32(1 / (1 - probability))
    return torch.from_numpy(kept[:, :width] * factor)


@pytest.mark.parametrize(("width", "hidden"), [(32, 80), (5, 21)])
@pytest.mark.parametrize("probability", [0.0, 0.3])
@pytest.mark.parametrize("kind", [GELU, RELU])
def test_functions_of_rows(width, hidden, probability, kind):
    """As torch's layers."""
    generator, rows = torch.Generator().manual_seed(1), 150
    drops = [drop_of_probability(probability, key) if probability else NO_DROP for key in (5, 2**61)]
    inner, outer = kept_of(rows, hidden, probability, 5), kept_of(rows, width, probability, 2**61)
    activation = functional.gelu if kind == GELU else functional.relu

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    def normed(rows):
        return functional.layer_norm(rows, rows.shape[1:])

    def network(x, w1, b1, w2, b2, factors):
        units = inner.to(x) * activation(functional.linear(normed(x), w1, b1))
        return factors * x + outer.to(x) * functional.linear(normed(units), w2, b2)

    def fused(x, w1, b1, w2, b2, factors):
        return feed_forward(x, (w1, b1), (w2, b2), factors, kind, *drops)

    layers = draw(rows, width), draw(hidden, width), draw(hidden), draw(width, hidden), draw(width), draw(width)
    cases = [
        (network, fused, layers),
        (
            lambda x, y, a, b: x + outer.to(x) * (a * normed(y) + b),
            lambda x, y, a, b: normed_sum(x, y, a, b, drops[1]),
            (draw(rows, width), draw(rows, width), draw(width), draw(width)),
        ),
        (functional.linear, dense, layers[:3]),
    ]
    for reference, kernel, arguments in cases:
        allowed = rounding_of_step(lambda given=arguments, layers=reference: gradients(layers, given))
        exact = gradients(reference, arguments, torch.float64)
        assert_same_step(gradients(kernel, arguments), exact, allowed)


def gradients(function, arguments, dtype=torch.float32):
    """What a function gives, and its gradients, by numbers."""
    given = [argument.to(dtype, copy=True).requires_grad_() for argument in arguments]
    out = function(*given)
    out.backward(torch.linspace(-1, 2, out.numel(), dtype=dtype).view(out.shape))
    return out.detach(), {str(k): argument.grad for k, argument in enumerate(given)}


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(row_groups, "_GROUP", 40)
    monkeypatch.setattr(dense_function, "_GROUP", 40)
    x, y, one, two, w, v = (torch.randn(s) for s in ((300, 32), (300, 32), (32,), (32,), (64, 32), (32, 64)))
    drop, found = drop_of_probability(0.2, 7), []

    def run(x, y, one, two, w, v):
        x = dense(normed_sum(x, y, one, two, drop), v[:, :32], two)
        return feed_forward(x, (w, one.new_zeros(64)), (v, two), one, GELU, drop, drop)

    for threads in (1, 2, 3):
        for module in (row_groups, dense_function):
            function = partial(_on_threads, threads)
            monkeypatch.setattr(module, "over_jets", function)
        found.append(gradients(run, (x, y, one, two, w, v)))
    for out, grads in found[1:]:
        assert torch.equal(out, found[0][0])
        assert all(torch.equal(grad, found[0][1][name]) for name, grad in grads.items())


def _on_threads(threads, run, work, _):
    over_jets(run, work * 1000, threads)


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

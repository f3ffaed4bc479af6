from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import assert_step_agrees, deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu import jet_groups
from coffea_equitag.kernels.lloca_transformer.cpu import frame_network
from coffea_equitag.kernels.lloca_transformer.cpu.carried import carried
from kernel_forms import needs_vectors, run
from training_steps import step

pytestmark = needs_vectors

KIND = "lloca_transformer"
COUNTS = [12, 1, 0, 7, 2, 30]
LORENTZ = {"beams": False, "laboratory": False}


def build(**options):
    torch.manual_seed(3)
    model = eqt.models.build(KIND, **({"heads": 2, "blocks": 1, "frame_width": 24} | options)).train()
    model.frames.rest[-1].weight.data *= 5
    return model


def jets_of(model):
    """Jets by their seed, in more than one group."""
    return lambda random_jets: lambda seed: RaggedJets.from_awkward(random_jets(COUNTS, seed=seed), fields=model.fields)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tensors": 1, "scalars": 3, "preserve_variance": False, "fields": ["pdgId", "mass"], "frame_width": 32},
        {"vectors": 0, "frame_layers": 3, "least_mass": 5e-3},
    ],
)
def test_agrees_with_the_layers(random_jets, monkeypatch, options):
    monkeypatch.setattr(jet_groups, "_GROUP", 100)
    model = build(**options)
    assert_step_agrees(step, model, jets_of(model)(random_jets))


def test_momenta(random_jets):
    def step_of(model, jets, mode):
        model.zero_grad()
        with kernels.use(mode):
            momenta = model(jets)
        assert kernels.last_choice(KIND).kernel == mode
        momenta.square().mean().backward()
        return momenta.detach(), {name: p.grad for name, p in model.named_parameters()}

    model = build(output="momentum", **LORENTZ)
    assert_step_agrees(step_of, model, jets_of(model)(random_jets))


def test_logits_with_gradients_are_those_without(random_jets):
    model, jets = build().eval(), random_jets(COUNTS)
    with kernels.use("cpu"):
        assert deviation(model(jets), run(model, jets)) <= rounding(model, jets)


def test_threads_change_nothing(random_jets, monkeypatch):
    monkeypatch.setattr(jet_groups, "_GROUP", 100)
    model, jets = build().frames, RaggedJets.from_awkward(random_jets([12, 0, 30, 1, 25, 40]))
    scalars = torch.randn(len(jets.p4), 7, generator=torch.Generator().manual_seed(1))
    real, own = jet_groups.over_jets, torch.ones(len(jets.p4), dtype=torch.bool)
    found = []
    for threads in (1, 2, 3):
        # torch's own sums depend on its threads, so that these are left alone
        monkeypatch.setattr(jet_groups, "over_jets", lambda run, work, _, n=threads: real(run, work, n))
        monkeypatch.setattr("coffea_equitag.compiled._SERIAL_WORK", 0)
        outputs = frame_network.frame_vectors(
            model, jets.p4, eqt.invariants.gram(jets), jets.offsets, 0, scalars, own
        )  # fmt: skip
        loss = outputs[0].sum() + outputs[1].sum()
        found.append([*outputs, *torch.autograd.grad(loss, list(model.parameters()))])
    for one, two, three in zip(*found, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_jets_alone_have_the_same_vectors_and_gradients(random_jets):
    """To the last bit: those of what the first layer makes of scalars."""
    frames, jets = build().frames, RaggedJets.from_awkward(random_jets([12, 1, 0, 7]))
    tensors = [
        torch.randn(shape, generator=torch.Generator().manual_seed(1))
        for shape in ((20, 32), (20, 32), (32,), (32, 32), (32,), (3, 32), (3,))
    ]

    def vectors_and_gradients(first, last):
        some = jets.slice(first, last)
        rows = slice(jets.offsets[first], jets.offsets[last])
        parts = [tensors[0][rows].clone().requires_grad_(), tensors[1][rows].clone().requires_grad_()]
        given = frame_network.nodes_of(frames, some.p4, eqt.invariants.gram(some), some.offsets, 0)
        vectors, squares = frame_network.vectors_of(given, *parts, *tensors[2:])
        (vectors.sum() + squares.sum()).backward()
        return [vectors.detach().movedim(1, 0), squares.detach().movedim(1, 0), *(part.grad for part in parts)]

    together = vectors_and_gradients(0, jets.num_jets)
    alone = [vectors_and_gradients(j, j + 1) for j in range(jets.num_jets)]
    for value, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(value, torch.cat(parts))


@pytest.mark.parametrize("ranks", [(2, 2, 0), (5, 1, 2), (0, 1, 0), (3, 0, 0)])
def test_carried_between_frames(ranks):
    heads, size = 3, ranks[0] + 4 * ranks[1] + 16 * ranks[2]
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(7, 3, heads * size, generator=generator).requires_grad_()
    matrices = torch.randn(7, 4, 4, generator=generator).requires_grad_()
    lower = torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)[:, None]

    def by_einsum(values, matrices, lower):
        parts = []
        for part in range(3):
            m = matrices * lower if part == 1 else matrices
            s, v, t = torch.split(values[:, part].view(7, heads, size), [ranks[0], 4 * ranks[1], 16 * ranks[2]], dim=2)
            v = torch.einsum("nab,nhvb->nhva", m, v.reshape(7, heads, -1, 4)).flatten(2)
            t = torch.einsum("nab,ncd,nhtbd->nhtac", m, m, t.reshape(7, heads, -1, 4, 4)).flatten(2)
            parts.append(torch.cat([s, v, t], dim=2).flatten(1))
        return torch.stack(parts, dim=1)

    weights = torch.randn(7, 3, heads * size, generator=generator)
    given = [values, matrices]

    def gradients(x, given, weights):
        found = torch.autograd.grad((x * weights).sum(), given, allow_unused=True)
        return [torch.zeros_like(g) if one is None else one for one, g in zip(found, given, strict=True)]

    def exact(given, weights, lower):
        given = [one.detach().double().requires_grad_() for one in given]
        x = by_einsum(*given, lower)
        return x, *gradients(x, given, weights.double())

    x = carried(*given, ranks, heads)
    # a sum of products is off by at most ε per term and factor, of the sum of the products' sizes; a tensor's component
    # has 16 terms, and a matrix sees all channels
    terms = [16 + 4, 16 + 4, 16 * 3 * heads * size + 4]
    sizes = exact([one.abs() for one in given], weights.abs(), lower.abs())
    found = x, *gradients(x, given, weights)
    for a, b, most, count in zip(found, exact(given, weights, lower), sizes, terms, strict=True):
        assert ((a - b).abs() <= count * torch.finfo(torch.float32).eps * most).all()


@pytest.mark.parametrize("counts", [[], [0], [1], [2], [0, 1, 3]])
@pytest.mark.parametrize("options", [{}, LORENTZ])
def test_few_constituents(random_jets, counts, options):
    model = build(**options)
    with kernels.use("cpu"):
        logits = model(random_jets(counts))
    assert kernels.last_choice(KIND).kernel == "cpu"
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    def layers():
        return model(random_jets(counts))

    with kernels.use("reference"):
        assert deviation(logits, layers()) <= rounding(layers)


def test_nan_stays_in_its_jet(random_jets):
    jets = RaggedJets.from_awkward(random_jets([9, 4]))
    jets.p4[2] = torch.nan
    with kernels.use("cpu"):
        assert build()(jets).isnan().tolist() == [[True, True], [False, False]]
    assert kernels.last_choice(KIND).kernel == "cpu"


def test_dropout_is_torchs(random_jets):
    model, jets, found = build(dropout=0.3), random_jets([9, 4]), []
    for mode in ("cpu", "reference"):
        torch.manual_seed(1)
        with kernels.use(mode):
            found.append(model(jets))
        assert kernels.last_choice(KIND).kernel == mode
    assert deviation(*found) < 1e-4


def test_gradients_of_momenta_are_left_to_the_layers(random_jets):
    jets = RaggedJets.from_awkward(random_jets([5, 3]))
    scale = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    build()(jets.scaled(scale, jets_too=False)).sum().backward()
    assert kernels.last_choice(KIND).reason == "gradients of momenta are recorded"
    assert scale.grad.isfinite().all()

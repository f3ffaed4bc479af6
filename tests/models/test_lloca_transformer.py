from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.layers.polar_frame import boost_to_rest, polar_frames
from coffea_equitag.models.lloca_inputs import reference_vectors, with_least_mass
from coffea_equitag.testing import assert_lorentz_invariant, assert_so2_invariant, boost, transform
from networks import run

METRIC = torch.diag(torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64))
SMALL = {"heads": 2, "blocks": 2, "frame_width": 16}
LORENTZ = {"beams": False, "laboratory": False}


def build(seed=0, **options):
    """A small network whose frames really depend on the weights."""
    torch.manual_seed(seed)
    model = eqt.models.build("lloca_transformer", **(SMALL | options)).eval()
    model.frames.rest[-1].weight.data *= 5
    return model


def test_published_size():
    assert eqt.models.build("lloca_transformer").num_parameters() == 1_997_829


@pytest.mark.parametrize("options", [LORENTZ, LORENTZ | {"tensors": 1, "preserve_variance": False}])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-6), (torch.float32, 2e-5)])
def test_lorentz_invariance(random_jets, options, dtype, tolerance):
    """Of the layers; kernels are held to them at large boosts in tests of their own."""
    jets, function = random_jets([20, 1, 4, 2, 3, 4]), run(build(**options).to(dtype))
    with kernels.use("reference"):
        assert_lorentz_invariant(function, jets, gammas=(100, 1e4), tolerance=tolerance)


def test_small_boosts_lose_nothing(random_jets):
    jets = random_jets([20, 1, 4, 2, 3, 4])
    assert_lorentz_invariant(run(build(**LORENTZ).double()), jets, gammas=(1, 10), tolerance=1e-9)


def test_lorentz_invariance_with_references(random_jets):
    jets, references = random_jets([20, 1, 2]), reference_vectors(0.0)[0].numpy()
    function = run(build(laboratory=False).double())
    assert_lorentz_invariant(function, jets, gammas=(10, 1e4), tolerance=1e-6, references=references)
    assert not torch.allclose(function(transform(jets, boost(2.0, (1, 0, 0)))), function(jets), atol=1e-5)


def test_rotations_about_the_beam_remain(random_jets):
    assert_so2_invariant(run(build().double()), random_jets([20, 1, 7]), (0, 0, 1), tolerance=1e-9)


def test_momenta_are_covariant(random_jets):
    jets, matrix = random_jets([20, 5, 2]), boost(10.0, (1, 2, 3))
    function = run(build(output="momentum", **LORENTZ).double())
    expected = function(jets) @ torch.as_tensor(matrix.astype(float)).T
    assert deviation(function(transform(jets, matrix)), expected) < 1e-9


def timelike(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    three = 3 * torch.randn(n, 3, generator=generator, dtype=torch.float64)
    mass = 0.1 + torch.rand(n, generator=generator, dtype=torch.float64)
    return torch.cat([(three.square().sum(1) + mass.square()).sqrt()[:, None], three], 1), mass


def test_frames_are_proper_lorentz_transformations():
    vectors = torch.stack([timelike(50, seed)[0] for seed in range(3)])
    mass, own = timelike(50)[1], timelike(50, 4)[0]
    for given in (vectors, vectors[:1].repeat(3, 1, 1), torch.zeros_like(vectors)):
        frames = polar_frames(given, mass if given.any() else 0 * mass, own)
        assert torch.allclose(frames @ METRIC @ frames.mT, METRIC.expand(50, 4, 4), atol=1e-8)
        assert torch.allclose(torch.linalg.det(frames), torch.ones(50, dtype=torch.float64), atol=1e-8)
        assert (frames[:, 0, 0] >= 1).all()


def test_vectors_lie_along_the_axes():
    vectors = torch.stack([timelike(50, seed)[0] for seed in range(3)])
    frames = polar_frames(vectors, timelike(50)[1], timelike(50, 4)[0])
    first, second, third = (frames @ vectors[..., None]).squeeze(-1)
    assert torch.allclose(first[:, 1:], torch.zeros(50, 3, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(second[:, 2:], torch.zeros(50, 2, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(third[:, 3], torch.zeros(50, dtype=torch.float64), atol=1e-9)
    assert (second[:, 1] > 0).all()
    assert (third[:, 2] > 0).all()


def test_boosts_of_any_speed():
    vector = torch.tensor([[1e3, 0.0, 0.0, 1e3], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    boosts = boost_to_rest(vector, torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert boosts[0, 0, 0] == pytest.approx(1e3, rel=1e-6)
    assert torch.equal(boosts[1], torch.eye(4, dtype=torch.float64))


def test_every_parameter_has_a_gradient(random_jets):
    for counts in ([5, 9, 4], [1, 0, 2, 3]):
        model = build(**LORENTZ).train()
        model(random_jets(counts)).square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.frames.first.weight.grad.abs().sum() > 0


def test_gradients_are_those_of_differences(random_jets):
    """Without `preserve_variance`, whose factor is a constant in training."""
    model, jets = build(preserve_variance=False, **LORENTZ).double(), random_jets([9, 12])
    weight = model.frames.rest[-1].weight
    model(jets).sum().backward()
    step = torch.randn_like(weight) * 1e-4
    found = []
    for sign in (1, -2):
        weight.data.add_(sign * step)
        with torch.no_grad():
            found.append(float(model(jets).sum()))
    assert float((weight.grad * step).sum()) == pytest.approx((found[0] - found[1]) / 2, rel=1e-4)


def test_least_mass_is_given_to_lighter_constituents(random_jets):
    jets = RaggedJets.from_awkward(random_jets([6, 4]))
    heavy = with_least_mass(jets, 0.2)
    assert torch.equal(heavy.mass, jets.mass.clamp(min=0.2))
    square = heavy.p4[:, 0].square() - heavy.p4[:, 1:].square().sum(1)
    assert torch.allclose(square, heavy.mass.square(), atol=1e-9)
    assert torch.equal(heavy.p4[:, 1:], jets.p4[:, 1:])


def test_columns_are_seen(random_jets):
    model = build(fields=["pdgId", "mass"])
    assert model.fields == ("pdgId", "mass")
    assert model(random_jets([5, 0, 1])).isfinite().all()


@pytest.mark.parametrize(
    "options", [{"heads": 0}, {"blocks": 0}, {"scalars": 0, "vectors": 0}, {"vectors": -1}, {"least_mass": -1.0}]
)
def test_what_makes_no_network(options):
    with pytest.raises(eqt.TaggerError, match="="):
        eqt.models.build("lloca_transformer", **options)

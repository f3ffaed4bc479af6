from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.convert.lgn import _FACTOR, translate
from coffea_equitag.convert.lgn_options import options
from coffea_equitag.layers.lorentz_tensors import DIMENSION, LorentzTensors, dual_components
from coffea_equitag.layers.node_readout import real_parts_first
from coffea_equitag.layers.tensor_product import TensorProduct
from coffea_equitag.models.beams import BEAMS
from coffea_equitag.models.lgn import LGN
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
    assert_so3_equivariant,
    boost,
    transform,
)
from lgn_weights import momenta, state_of
from networks import run

OFFICIAL = json.loads(Path(__file__).with_name("lgn_official.json").read_text())


def build(**given):
    """A network in which the tensors matter as much as the scalars."""
    torch.manual_seed(3)
    model = LGN(**({"scale": 0.05} | given))
    for level in model.levels:
        for name, factor in (("v", 3.0), ("F", 2.0), ("dual", 2.0), ("S", 10.0)):
            if name in level.mixing.weight:
                level.mixing.weight[name].data *= factor
    return model.eval()


@pytest.mark.parametrize(
    ("given", "parameters"), [({}, 4646), ({"levels": 4}, 6482), ({"levels": 2, "channels": 2}, 1134)]
)
def test_published_sizes(given, parameters):
    assert LGN(**given).num_parameters() == parameters


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lorentz_invariance(random_jets, beams, dtype):
    jets, model = random_jets([20, 1, 7, 35, 2]), build(beams=beams).to(dtype)
    tolerance = rounding(model, jets) if dtype == torch.float32 else 1e-10
    assert_lorentz_invariant(run(model), jets, tolerance=tolerance, references=BEAMS if beams else None)


#: Options of the official command besides the published ones.
OPTIONS = [
    {"pmu_in": True},
    {"max_zf": 2},
    {"max_zf": 2, "pmu_in": True, "maxdim": (3, 2)},
    {"mlp": False},
    {"activation": "atan", "full_scalars": False},
    {"top": "pmlp", "pmu_in": True, "beams": False},
    {"maxdim": 1},
]


@pytest.mark.parametrize("given", OPTIONS)
def test_every_option_is_lorentz_invariant(random_jets, given):
    beams = given.get("beams", True)
    model, jets = build(**given, levels=2).double(), random_jets([9, 1, 4])
    assert_lorentz_invariant(run(model), jets, tolerance=1e-10, references=BEAMS if beams else None)
    for counts in ([], [0], [1], [0, 2]):
        assert torch.isfinite(run(model)(random_jets(counts))).all()


def test_interleaved_readout_depends_on_the_order_and_no_other_does(random_jets):
    jets = RaggedJets.from_awkward(random_jets([5, 3]))
    model = build(top="pmlp", interleaved=True, levels=1, beams=False).double()
    together, order = run(model)(jets), torch.tensor([4, 3, 2, 1, 0, 5, 6, 7])
    alone = torch.cat([run(model)(jets.slice(j, j + 1)) for j in range(2)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    turned = RaggedJets.from_momenta(jets.p4[order], jets.offsets)
    # far more than the rounding in which every other readout differs
    assert (run(model)(turned)[0] - together[0]).abs().max() > 1e-6 * together.abs().max()


def test_rows_of_real_parts_then_imaginary_ones():
    values = torch.arange(2 * 5 * 3).view(2, 5, 3)
    found = real_parts_first(values, torch.tensor([0, 3, 3, 5]))
    expected = [values[:, a:b].reshape(b - a, 6) for a, b in ((0, 3), (3, 5))]
    assert torch.equal(found, torch.cat(expected))


def test_every_kind_of_tensor_is_seen(random_jets):
    jets, model = random_jets([20, 7]), build()
    reference = run(model)(jets)
    for name in ("v", "F", "S"):
        weight = model.levels[1].mixing.weight[name]
        kept, weight.data = weight.data, weight.data * 0
        assert (run(model)(jets) - reference).abs().max() > 1e-3 * reference.abs().max()
        weight.data = kept


def test_beams_break_what_they_should(random_jets):
    jets, function = random_jets([20, 7]), run(build())
    assert_so2_invariant(function, jets, (0, 0, 1), tolerance=rounding(function, jets))
    with pytest.raises(AssertionError, match="outputs moved"):
        assert_so2_invariant(function, jets, (1, 0, 0))
    reference = function(jets)
    for axis in ((1, 0, 0), (0, 0, 1)):
        assert (function(transform(jets, boost(2.0, axis))) - reference).abs().max() > 1e-3 * reference.abs().max()


@pytest.mark.parametrize(
    "given",
    [{}, {"beams": False}, {"maxdim": 2}, {"levels": 1, "channels": (2, 2)}, *(o | {"levels": 2} for o in OPTIONS)],
)
def test_permutations_and_batches(random_jets, given):
    jets, model = random_jets([20, 1, 0, 7, 35, 2, 7]), build(**given)
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("output", ["classes", "momentum"])
def test_empty_and_single_constituents_are_finite_and_train(random_jets, beams, output):
    model = build(beams=beams, output=output).train()
    for counts in ([], [0], [1], [0, 1, 0, 3]):
        result = model(random_jets(counts))
        assert result.shape == (len(counts), 2 if output == "classes" else 4)
        assert torch.isfinite(result).all()
        result.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_scoring_first_does_not_stand_in_the_way_of_training(random_jets):
    model = build()
    with torch.inference_mode():
        model(random_jets([3]))
    model(random_jets([3])).sum().backward()


def test_every_parameter_has_a_gradient(random_jets):
    model = build().train()
    torch.nn.functional.cross_entropy(model(random_jets([5, 9, 4])), torch.tensor([0, 1, 1])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_nan_of_one_jet_stays_there(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([5, 5, 3, 0]))
    clean = run(model)(jets)
    jets.p4[6] = torch.nan
    found = run(model)(jets)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


@pytest.mark.parametrize("beams", [False, True])
def test_momentum_output_is_covariant(random_jets, beams):
    jets, model = random_jets([20, 1, 7, 2]), build(output="momentum", beams=beams).double()
    reference = run(model)(jets).numpy()
    if not beams:

        def representation(three):
            return np.block([[np.ones((1, 1)), np.zeros((1, 3))], [np.zeros((3, 1)), three]])

        assert_so3_equivariant(run(model), jets, representation=representation, tolerance=1e-10)
    for gamma in (2.0, 100.0):
        matrix = boost(gamma, [1, -2, 0.5])
        found = run(model)(
            transform(jets, matrix), (np.asarray(BEAMS) @ matrix.T).astype(np.float64) if beams else None
        )
        expected = reference @ matrix.T.astype(np.float64)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"levels": 0}, "at least one level"),
        ({"channels": (2, 0)}, "positive channels"),
        ({"maxdim": 4}, r"or 3 \(and tensors of rank 2\)"),
        ({"maxdim": []}, "for each level"),
        ({"maxdim": 1, "output": "momentum", "pmu_in": False}, "without any vector"),
        ({"max_zf": 3}, "expected: 1 or 2"),
        ({"activation": "gelu"}, "'leakyrelu', 'relu'"),
        ({"top": "mlp"}, "'linear' or 'pmlp'"),
        ({"output": "mass"}, "'classes' or 'momentum'"),
    ],
)
def test_wrong_options(given, words):
    with pytest.raises(eqt.TaggerError, match=words):
        LGN(**given)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: the CUDA path of LGN is not run here")
def test_gpu_agrees_with_cpu(random_jets):
    jets, model = random_jets([20, 1, 0, 7, 35]), build().double()
    expected = run(model)(jets)
    torch.testing.assert_close(run(model.cuda())(jets).cpu(), expected, rtol=1e-9, atol=1e-9)


def test_signs_of_products_follow_from_their_exchange(random_jets):
    """C(a, b → c) = (−1)^((k_a + k_b − k_c + n_a + n_b − n_c) / 2) C(b, a → c) for irreps (k, n)."""
    generator = torch.Generator().manual_seed(1)
    tensors = {name: torch.randn(1, DIMENSION[name], dtype=torch.float64, generator=generator) for name in "vS"}
    plain = torch.randn(1, 6, dtype=torch.float64, generator=generator)
    tensors["F"] = torch.complex(plain, -plain @ dual_components())  # (2, 0)
    label = {"v": (1, 1), "F": (2, 0), "S": (2, 2)}
    for (a, b, c), factor in _FACTOR.items():
        out = (0, 0) if c == "s" else (0, 2) if c == "F" and {a, b} == {"F", "S"} else label[c]
        twice = sum(label[a][q] + label[b][q] - out[q] for q in (0, 1))
        here, there = (
            TensorProduct((x,), (y,), (c,))(
                LorentzTensors(**{x: tensors[x].to(torch.complex128)}),
                LorentzTensors(**{y: tensors[y].to(torch.complex128)}),
            ).parts()[c][0]
            for x, y in ((a, b), (b, a))
        )
        torch.testing.assert_close(factor * here, (-1) ** (twice // 2) * _FACTOR[b, a, c] * there)


@pytest.mark.parametrize("case", OFFICIAL["cases"])
def test_official_code_with_any_option(case):
    """Logits that the official code gives for weights by formula, jet by jet, at rest, where nothing cancels."""
    given = OFFICIAL["cases"][case]
    state = state_of({OFFICIAL["keys"][key]: tuple(shape) for key, *shape in given["shapes"]})
    tagger = eqt.convert.official("lgn", state, activation=given["activation"])
    jets = RaggedJets.from_momenta(*momenta())
    assert deviation(run(tagger.model)(jets), torch.tensor(given["logits"], dtype=torch.float64)) <= 1e-12


def test_what_leaves_no_trace_is_read_from_the_trainers_arguments(tmp_path):
    shapes = OFFICIAL["cases"]["pmu-in"]["shapes"]
    state = state_of({OFFICIAL["keys"][key]: tuple(shape) for key, *shape in shapes})
    told = argparse.Namespace(scale=0.25, activation="elu", batch_size=10)
    torch.save({"args": told, "model_state": state}, tmp_path / "best.pt")
    options = eqt.convert.official("lgn", tmp_path / "best.pt").card.options
    assert (options["scale"], options["activation"]) == (0.25, "elu")
    assert eqt.convert.official("lgn", tmp_path / "best.pt", scale=2.0).card.options["scale"] == 2.0


def test_tensors_of_higher_rank_are_refused():
    case = OFFICIAL["cases"]["pmu-in"]
    state = state_of({OFFICIAL["keys"][key]: tuple(shape) for key, *shape in case["shapes"]})
    beyond = state | {"lgn_cg.atom_levels.1.cat_mix.mix_reps.weights.(3, 1)": torch.zeros(2, 1, 4)}
    with pytest.raises(eqt.CheckpointError, match=r"irreps \(3, 1\)"):
        eqt.convert.official("lgn", beyond)


@pytest.fixture(scope="module")
def fixtures(shared_data):
    found = {}
    for name in ("lgn", "lgn_pmuin"):
        with np.load(shared_data / "parity" / f"{name}.npz") as arrays:
            found |= {key: dict(arrays) for key in arrays if key.endswith("__logits")}
    return found


@pytest.fixture
def fixture(fixtures, key):
    return fixtures[f"{key}__logits"]


@pytest.fixture(scope="module")
def official(shared_data):
    names = ("lgn_official.pt", "lgn_pmuin_official.pt")
    files = [torch.load(shared_data / "parity" / name, weights_only=True) for name in names]
    return files[0] | files[1]


@pytest.mark.parametrize(
    ("key", "levels", "channels", "pmu_in"),
    [
        ("ncg3_2343", 3, (2, 3, 4, 3), False),
        ("clariant_like_1ch", 2, (2, 2, 2), False),
        ("pmuin_2343", 3, (2, 3, 4, 3), True),
    ],
)
class TestOfficial:
    """The official code's outputs, with its weights."""

    def model(self, official, key):
        model = LGN(**options(official[key])).double()
        model.load_state_dict(translate(official[key]))
        return model

    def test_options(self, official, key, levels, channels, pmu_in):
        found = options(official[key])
        assert LGN(**found).options == LGN(levels=levels, channels=channels, pmu_in=pmu_in).options

    def test_network(self, fixture, official, key, levels, channels, pmu_in):
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture["p4"]), torch.from_numpy(fixture["offsets"]))
        nodes = jets.prepend(jets.p4.new_tensor(BEAMS), torch.ones(2, dtype=torch.float64))
        p4, metric = float(fixture["scale"]) * nodes.p4, nodes.p4.new_tensor([1.0, -1.0, -1.0, -1.0])
        blocks = [p4[a:b] for a, b in itertools.pairwise(nodes.offsets)]
        squares = torch.cat([((p[:, None] - p).square() * metric).sum(-1).flatten() for p in blocks])
        masses = (p4.square() * metric).sum(1).abs().sqrt()
        scalars = torch.stack([masses, 2.0 * nodes.columns["reference"] - 1.0], dim=1)
        with torch.no_grad():
            logits = self.model(official, key).network(p4, scalars, nodes.offsets, squares)
        assert deviation(logits, fixture[f"{key}__logits"]) <= 1e-9

    def test_from_jets(self, fixture, official, key, levels, channels, pmu_in):
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture["p4"]), torch.from_numpy(fixture["offsets"]))
        model = self.model(official, key)
        assert deviation(run(model)(jets), fixture[f"{key}__logits"]) <= 1e-8
        assert deviation(run(model.float())(jets), fixture[f"{key}__logits"]) <= rounding(model, jets)

    def test_wrong_checkpoints(self, official, key, levels, channels, pmu_in):
        for missing in ("lgn_cg.atom_levels.0.cat_mix.mix_reps.weights.(0, 0)", "output_layer_atom.lin.weight"):
            part = {name: value for name, value in official[key].items() if name != missing}
            with pytest.raises(eqt.CheckpointError, match="a part of one"):
                translate(part)
        with pytest.raises(eqt.CheckpointError, match="LGNTopTag"):
            translate({"weight": torch.zeros(2)})
        with pytest.raises(eqt.CheckpointError, match="without"):
            options({"weight": torch.zeros(2)})

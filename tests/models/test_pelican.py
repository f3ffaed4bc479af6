from __future__ import annotations

import argparse
import itertools

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.convert.pelican import infer_options, translate
from coffea_equitag.jets.ragged import boundaries
from coffea_equitag.layers.broken_symmetry import SYMMETRIES
from coffea_equitag.models.pelican import PELICAN
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    assert_so2_invariant,
    assert_so3_equivariant,
    boost,
    rotation,
    transform,
)
from networks import run
from official_names import pelican

METRIC = np.diag([1.0, -1.0, -1.0, -1.0])


def build(seed=3, **options):
    """A network as after training: running statistics and weights of broken symmetries are not the initial ones."""
    torch.manual_seed(seed)
    model = PELICAN(**({"size": (12, 8, 4)} | options))
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    model.embedding.weight.data += 0.1 * torch.randn_like(model.embedding.weight)
    return model.eval()


def null_rotation(a, sign):
    """Transformations other than rotations about z that leave (1, 0, 0, sign) unchanged."""
    h = a * a / 2
    return np.array(
        [[1 + h, a, 0, -sign * h], [a, 1, 0, -sign * a], [0, 0, 1, 0], [sign * h, sign * a, 0, 1 - h]],
        dtype=np.longdouble,
    )


#: Transformations that a symmetry keeps, and some that it breaks.
GROUPS = {
    "so13": ([boost(100.0, (1, 2, 3)), rotation(1.0, (1, 0, 1))], []),
    "so3": ([rotation(1.0, (1, 0, 1)), rotation(2.0, (1, 3, 1))], [boost(1.5, (0, 0, 1)), boost(1.5, (1, 0, 0))]),
    "so12": (
        [rotation(1.0, (0, 0, 1)), boost(50.0, (1, 0, 0)), boost(50.0, (1, 2, 0))],
        [boost(1.5, (0, 0, 1)), rotation(0.5, (1, 0, 0))],
    ),
    "so2": ([rotation(1.0, (0, 0, 1))], [boost(1.5, (0, 0, 1)), boost(1.5, (1, 0, 0)), rotation(0.5, (1, 0, 0))]),
    "so2_0": ([rotation(1.0, (0, 0, 1))], [boost(1.5, (0, 0, 1)), boost(1.5, (1, 0, 0)), rotation(0.5, (1, 0, 0))]),
    "se2": ([rotation(1.0, (0, 0, 1))], [boost(1.5, (0, 0, 1)), boost(1.5, (1, 0, 0)), rotation(0.5, (1, 0, 0))]),
    "R": (
        [boost(1.5, (0, 0, 1)), boost(50.0, (0, 0, -1))],
        [rotation(0.5, (0, 0, 1)), rotation(0.5, (1, 0, 0)), boost(1.5, (1, 0, 0)), boost(1.5, (0, 1, 0))],
    ),
} | dict.fromkeys(
    ("1", "11", "1_0", "11_0"),
    ([], [boost(1.5, axis) for axis in np.eye(3)] + [rotation(0.5, axis) for axis in np.eye(3)]),
)


def group(symmetry, method):
    kept, broken = GROUPS[symmetry]
    if symmetry == "se2":
        kept = [*kept, null_rotation(0.7, -1 if method == "spurions" else 1)]
    return kept, broken


@pytest.mark.parametrize(
    ("size", "parameters"),
    [("3k", 3_510), ("6k", 5_933), ("11k", 11_347), ("24k", 26_494), ("48k", 48_482), ("208k", 208_797)],
)
def test_published_sizes(size, parameters):
    # counted with two spurions and factorised coefficients
    assert PELICAN(size=size).num_parameters() == parameters


def test_lorentz_invariance_in_single_precision(random_jets):
    jets = random_jets([20, 1, 7, 35, 2])
    for options in ({"method": "spurions"}, {"method": "input"}, {"irc_safe": True}):
        model = build(symmetry="so13", **options)
        assert_lorentz_invariant(run(model), jets, tolerance=rounding(model, jets))
    assert_lorentz_invariant(run(build(symmetry="so13").double()), jets, gammas=(1, 2, 10), tolerance=1e-11)


@pytest.mark.parametrize("method", ["spurions", "input"])
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_what_is_left_of_the_symmetry(random_jets, symmetry, method):
    jets = random_jets([20, 1, 7, 12])
    function = run(build(symmetry=symmetry, method=method))
    allowed = rounding(function, jets)
    kept, broken = group(symmetry, method)
    reference = function(transform(jets, np.eye(4, dtype=np.longdouble)))
    for matrix in kept:
        assert deviation(function(transform(jets, matrix)), reference) <= allowed
    for matrix in broken:
        assert deviation(function(transform(jets, matrix)), reference) >= 1e-4


def test_the_public_assertions(random_jets):
    jets = random_jets([20, 1, 7])
    for method in ("spurions", "input"):
        model = build(symmetry="so3", method=method)
        assert_so3_equivariant(run(model), jets, tolerance=rounding(model, jets))
        model = build(symmetry="so2", method=method)
        assert_so2_invariant(run(model), jets, (0, 0, 1), tolerance=rounding(model, jets))
        with pytest.raises(AssertionError, match="Lorentz symmetry: outputs moved by"):
            assert_lorentz_invariant(run(build(symmetry="so2", method=method)), jets, gammas=(10,))


@pytest.mark.parametrize("method", ["spurions", "input"])
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_momentum_is_covariant_under_what_is_left(random_jets, symmetry, method):
    jets = random_jets([20, 0, 1, 7])
    model = build(symmetry=symmetry, method=method, output="momentum")
    reference = run(model)(transform(jets, np.eye(4, dtype=np.longdouble)))
    assert reference.shape == (4, 4)
    assert reference.dtype == torch.float64
    for matrix in group(symmetry, method)[0]:
        moved = transform(jets, matrix)
        expected = reference @ torch.from_numpy(matrix.astype(np.float64)).T
        assert deviation(run(model)(moved), expected) <= rounding(model, moved)
    weights = model.weights(jets)
    blocks = len(SYMMETRIES[symmetry].blocks) if method == "input" else 1
    assert weights.shape == (28, blocks)
    assert model.weights(jets, references=True).shape == (28 + 4 * model.extra_nodes, blocks)


def test_momentum_is_the_weighted_sum(random_jets):
    jets = random_jets([5, 3])
    ragged = RaggedJets.from_awkward(jets)
    model = build(symmetry="so13", output="momentum").double()
    weighted = ragged.p4 * model.weights(jets)
    torch.testing.assert_close(model(jets), torch.stack([weighted[:5].sum(0), weighted[5:].sum(0)]))
    spurions = build(symmetry="so2", output="momentum").double()
    nodes = ragged.prepend(torch.tensor(SYMMETRIES["so2"].spurions, dtype=torch.float64), torch.zeros(2))
    weighted = nodes.p4 * spurions.weights(jets, references=True)
    torch.testing.assert_close(spurions(jets), torch.stack([weighted[:7].sum(0), weighted[7:].sum(0)]))
    with pytest.raises(eqt.TaggerError, match="weights of a network for classes"):
        build().weights(jets)


def test_input_networks_are_identical_at_initialisation(random_jets):
    jets, outputs = random_jets([20, 1, 7]), {}
    for symmetry in set(SYMMETRIES) - {"1_0"}:
        torch.manual_seed(0)
        outputs[symmetry] = run(PELICAN(symmetry=symmetry, method="input").eval())(jets)
    torch.manual_seed(0)
    outputs["so13 without spurions"] = run(PELICAN(symmetry="so13", method="spurions").eval())(jets)
    for output in outputs.values():
        assert torch.equal(output, outputs["so13"])
    assert outputs["so13"].std() > 0


def test_spurions_and_inputs_start_from_the_same_weights():
    states = []
    for symmetry, method in itertools.product(SYMMETRIES, ("spurions", "input")):
        torch.manual_seed(0)
        states.append(PELICAN(symmetry=symmetry, method=method).state_dict())
    for state in states:
        for name in states[0]:
            if not name.startswith(("embedding.", "encoder.", "scalars_to_pairs.")):
                assert torch.equal(state[name], states[0][name]), name


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "input"}, {"symmetry": "so13"}, {"factorize": False}, {"fields": ["pdgId"]}, {"irc_safe": True}],
)
def test_permutations_and_batches(random_jets, options):
    jets, model = random_jets([20, 1, 0, 7, 35, 2, 7]), build(**options)
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)


@pytest.mark.parametrize("output", ["classes", "momentum"])
@pytest.mark.parametrize(
    "options", [{}, {"symmetry": "so13"}, {"method": "input"}, {"symmetry": "so13", "irc_safe": True}]
)
@pytest.mark.parametrize("training", [False, True])
def test_empty_and_single_constituents_are_finite_and_train(random_jets, options, training, output):
    model = build(output=output, **options).train(training)
    for counts in ([], [0], [1], [0, 1, 0, 3]):
        out = model(random_jets(counts))
        assert out.shape == (len(counts), 2 if output == "classes" else 4)
        assert torch.isfinite(out).all()
        out.sum().backward()


@pytest.mark.parametrize("options", [{"fields": ["charge"]}, {"method": "input"}, {"output": "momentum"}])
def test_every_parameter_has_a_gradient(random_jets, options):
    jets = random_jets([5, 9, 4])
    jets = ak.with_field(
        jets, ak.with_field(jets.constituents, jets.constituents.pdgId / 211, "charge"), "constituents"
    )
    model = build(dropout=0.0, **options).train()
    model(jets).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_nan_stays_in_its_jet(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([4, 4, 6]))
    products, scalars, offsets = model.products(jets), model.scalars(jets), boundaries(jets.counts + 2)
    clean = model.network(products, scalars, offsets)
    products[40] = torch.nan
    spoilt = model.network(products, scalars, offsets)
    assert torch.isnan(spoilt[1]).all()
    assert torch.equal(spoilt[[0, 2]], clean[[0, 2]])


def test_scalars_of_constituents(random_jets):
    jets = RaggedJets.from_awkward(random_jets([3, 2]), ("pdgId",))
    scalars = build(fields=["pdgId"], symmetry="so2").scalars(jets)
    assert scalars.shape == (9, 8 + 3)
    label = torch.tensor([1, 2, 0, 0, 0, 1, 2, 0, 0])
    assert torch.equal(scalars[:, 8:], torch.nn.functional.one_hot(label, 3).float())
    charged = jets.columns["pdgId"] == 211
    assert torch.equal(scalars[label == 0][:, 4], charged.float())
    assert torch.equal(scalars[label > 0][:, :8], torch.zeros(4, 8))
    assert build(fields=["pdgId"], method="input").scalars(jets).shape == (5, 8)
    assert build(symmetry="so13").scalars(jets) is None
    with pytest.raises(eqt.JetError, match="without 'pdgId'"):
        build(fields=["pdgId"])(eqt.make_jets(random_jets([3]).constituents[["pt", "eta", "phi", "mass"]]))


class TestSafety:
    """Infrared and collinear safety."""

    def jets(self):
        rng = np.random.default_rng(5)
        return rng.normal(0, 20, (8, 3))

    def output(self, model, momenta):
        constituents = ak.zip(
            {k: momenta[:, i] for i, k in enumerate(("px", "py", "pz"))} | {"mass": np.zeros(len(momenta))}
        )
        return run(model)(eqt.make_jets(constituents[np.newaxis]))

    def changes(self, model):
        p = self.jets()
        whole = self.output(model, p)
        split = self.output(model, np.concatenate([0.3 * p[:1], 0.7 * p[:1], p[1:]]))
        soft = self.output(model, np.concatenate([p, [[1e-8, 0, 2e-8]]]))
        return deviation(split, whole), deviation(soft, whole)

    @pytest.mark.parametrize("options", [{"symmetry": "so13"}, {"symmetry": "so2"}])
    def test_safe(self, options):
        collinear, soft = self.changes(build(irc_safe=True, **options).double())
        assert collinear <= 1e-9
        assert soft <= 1e-6

    def test_others_are_not(self):
        assert min(self.changes(build(symmetry="so13").double())) > 1e-3
        # the operations on the diagonal, as the official code keeps them
        collinear, soft = self.changes(build(symmetry="so13", irc_safe=True, diagonal=True).double())
        assert collinear > 1e-7
        assert soft <= 1e-6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symmetry": "so4"}, "'so13', 'so3'"),
        ({"method": "beams"}, "'spurions' or 'input'"),
        ({"output": "mass"}, "'classes' or 'momentum'"),
        ({"size": "1M"}, "'3k', '6k'"),
        ({"size": (5, 4, 5)}, "the first above the third"),
        ({"irc_safe": True, "method": "input"}, "inputs that are angles only"),
        ({"irc_safe": True, "aggregation": "mean"}, "multiplicity is not safe"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(eqt.TaggerError, match=words):
        PELICAN(**options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: the CUDA path of PELICAN is not run here")
def test_gpu_agrees_with_cpu(random_jets):
    jets, model = random_jets([20, 1, 0, 7, 35]), build().double()
    expected = run(model)(jets)
    torch.testing.assert_close(run(model.cuda())(jets).cpu(), expected, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def fixture(shared_data):
    with np.load(shared_data / "parity" / "pelican.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def checkpoints(shared_data):
    return torch.load(shared_data / "parity" / "pelican_official.pt", weights_only=True)


def naive_channels(model, jets):
    """Products and inputs as the official code forms them."""
    if model.extra_nodes:
        q = jets.p4.new_tensor(model.broken.spurions)
        jets = jets.prepend(q, torch.zeros(len(q)))
    inputs = OFFICIAL_INPUTS.get(model.options["symmetry"], []) if model.options["method"] == "input" else []
    out = []
    for j in range(jets.num_jets):
        p = jets.slice(j, j + 1).p4
        r, product = p @ p.new_tensor(inputs).view(-1, 4).T, p[:, None] * p
        dot = 2 * product[..., :1] - product.sum(2, keepdim=True)
        out.append(torch.cat([r[:, None] * r, dot[..., : model.options["symmetry"] != "1_0"]], 2).flatten(0, 1))
    return torch.cat(out), jets.offsets


#: Coefficients of (E, px, py, pz) in the inputs of the official code.
OFFICIAL_INPUTS = {
    "so2": [[1, 0, 0, 0], [0, 0, 0, 1]],
    "R": [[0, 1, 0, 0], [0, 0, 1, 0]],
    "11": np.eye(4).tolist(),
    "1_0": [[1, 0, 0, 1], [1, -1, 0, 0], [1, 0, -1, 0], [1, 0, 0, -1]],
    "11_0": [[1, 0, 0, 1], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, -1]],
}


@pytest.mark.parametrize("symmetry", OFFICIAL_INPUTS)
def test_pair_channels_are_those_of_the_official_code(random_jets, symmetry):
    jets = RaggedJets.from_awkward(random_jets([7, 0, 1, 3]))
    model = build(symmetry=symmetry, method="input")
    found, expected = model.products(jets), naive_channels(model, jets)[0]
    assert found.shape == expected.shape
    # E − pz and p_i·p_j of the official code are differences of E E and p p, and round as these do
    size = jets.p4[:, 0].square().max()
    assert (found - expected).abs().max() <= 16 * torch.finfo(torch.float64).eps * size


@pytest.mark.parametrize("symmetry", ["R", "11", "1_0", "11_0"])
@pytest.mark.parametrize("method", ["spurions", "input"])
def test_new_stabilisers_convert(random_jets, symmetry, method):
    model = build(size="3k", symmetry=symmetry, method=method).double()
    tagger = eqt.convert.official("pelican", pelican(model), symmetry=symmetry)
    assert tagger.model.options["method"] == method
    jets = random_jets([4, 0, 1, 9])
    assert torch.equal(run(tagger.model.eval())(jets), run(model)(jets))


@pytest.mark.parametrize("symmetry", ["so13", "so2"])
def test_momenta_of_a_converted_checkpoint(random_jets, symmetry, tmp_path):
    model = build(size="3k", symmetry=symmetry, output="momentum")
    tagger = eqt.convert.official("pelican", pelican(model), symmetry=symmetry)
    assert (tagger.model.output, tagger.classes, tagger.card.signal) == ("momentum", (), None)
    tagger.save(tmp_path / "tagger")
    jets = random_jets([4, 0, 1, 9])
    found, expected = eqt.load(tmp_path / "tagger", "cpu")(jets), run(model.eval())(jets)
    assert found.layout.parameter("__record__") == "Momentum4D"
    for k, name in enumerate(("E", "px", "py", "pz")):
        np.testing.assert_allclose(found[name], expected[:, k], rtol=1e-6, atol=1e-6)


def test_momenta_that_are_not_covariant_are_refused():
    state = pelican(build(size="3k", symmetry="se2", method="input", output="momentum"))
    with pytest.raises(eqt.CheckpointError, match="a covariant output"):
        eqt.convert.official("pelican", state, symmetry="se2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symmetry": "1_0", "method": "input"}, r"4 pair channels.*\n.*symmetry = '1' or '1_0'"),
        ({"symmetry": "11", "method": "input"}, "symmetry = '11' or '11_0'"),
        ({"symmetry": "R", "method": "input"}, "symmetry = 'so2' or 'so2_0' or 'R'"),
        ({"symmetry": "so3", "method": "input"}, "symmetry = 'so3' or 'so12' or 'se2'"),
        ({"symmetry": "so2"}, r"3 labels.*\n.*symmetry = 'so2' or 'so2_0' or 'R'"),
        ({"symmetry": "1"}, "symmetry = '1' or '11' or '1_0' or '11_0'"),
    ],
)
def test_the_symmetry_is_asked_for(options, words):
    with pytest.raises(eqt.CheckpointError, match=words):
        eqt.convert.official("pelican", pelican(build(size="3k", **options)))


def test_the_symmetry_is_read_from_the_trainers_arguments(tmp_path):
    told = argparse.Namespace(stabilizer="1_0", method="input", device="cuda")
    state = pelican(build(size="3k", symmetry="1_0", method="input"))
    torch.save({"args": told, "model_state": state, "epoch": 3}, tmp_path / "best.pt")
    assert eqt.convert.official("pelican", tmp_path / "best.pt").card.options["symmetry"] == "1_0"
    assert eqt.convert.official("pelican", tmp_path / "best.pt", symmetry="1").card.options["symmetry"] == "1"


class TestOfficial:
    """The official code's outputs, with random weights."""

    @pytest.mark.parametrize(
        ("key", "symmetry"),
        [
            ("cls_11k_so2_0_spurions", "so2_0"),
            ("cls_11k_so13_input", "so13"),
            ("cls_11k_so2_input", "so2"),
            ("cov_11k_so13_input", "so13"),
        ],
    )
    def test_outputs(self, fixture, checkpoints, key, symmetry):
        options = {"symmetry": symmetry} | infer_options(checkpoints[key])
        assert options["symmetry"] == symmetry
        assert options["size"] == "11k"
        model = PELICAN(**options).double().eval()
        model.load_state_dict(translate(checkpoints[key]))
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture["p4"]), torch.from_numpy(fixture["offsets"]))
        channels, offsets = naive_channels(model, jets)
        with torch.no_grad():
            naive, stable = model.network(channels, model.scalars(jets), offsets), model(jets)
            if options["output"] == "momentum":
                expected = fixture[f"{key}__weights_cat"][:, None]
                assert deviation(naive, expected) <= 1e-12
                assert deviation(model.weights(jets), expected) <= 1e-9
            else:
                assert deviation(naive, fixture[f"{key}__predict"]) <= 1e-12
            assert deviation(stable, fixture[f"{key}__predict"]) <= 1e-9
            single = model.float()(jets)
        assert deviation(single, fixture[f"{key}__predict"]) <= rounding(model, jets.slice(0, 8))
        # the official single precision is off by a thousandth of itself
        assert deviation(single, fixture[f"{key}__predict_f32"]) <= 1e-2

    def test_inferred_options(self, checkpoints):
        options = {key: infer_options(state) for key, state in checkpoints.items()}
        assert options["cls_11k_so2_0_spurions"] == {
            "factorize": True,
            "output": "classes",
            "aggregation": "mean",
            "size": "11k",
            "n_classes": 2,
            "method": "spurions",
        }
        assert options["cov_11k_so13_input"]["output"] == "momentum"
        assert options["cls_11k_so2_input"]["method"] == "input"


@pytest.mark.parametrize(
    "options",
    [
        {"factorize": False},
        {"symmetry": "so3", "output": "momentum", "size": "3k"},
        {"symmetry": "1", "size": (9, 5, 3), "n_classes": 3},
        {"symmetry": "so2", "method": "input", "aggregation": "sum"},
    ],
)
def test_translation_of_other_configurations(random_jets, options):
    model = build(**({"size": "6k"} | options))
    state = pelican(model)
    found = infer_options(state)
    for name, value in found.items():
        assert model.options[name] == value
    again = PELICAN(**({"symmetry": model.options["symmetry"]} | found)).eval()
    again.load_state_dict(translate(state))
    jets = random_jets([4, 9])
    assert torch.equal(run(again)(jets), run(model)(jets))


def test_four_inputs_change_their_basis(random_jets):
    model = build(symmetry="1", method="input").double()
    state = pelican(model)
    ours = model.embedding.weight.data
    # Σ_μ v_μ p_iμ p_jμ with p_i·p_j = E_i E_j − ...
    state["linear.weight"] = torch.cat([ours[:, 3:], ours[:, :3] - ours[:, 3:]], dim=1)
    assert "symmetry" not in infer_options(state)
    assert torch.equal(translate(state, "1_0")["embedding.weight"], state["linear.weight"])
    torch.testing.assert_close(translate(state)["embedding.weight"], ours)
    jets = RaggedJets.from_awkward(random_jets([4]))
    p = jets.p4
    official = (p[:, None] * p).flatten(0, 1) @ state["linear.weight"].T
    torch.testing.assert_close(model.products(jets) @ ours.T, official, rtol=1e-6, atol=1e-6)

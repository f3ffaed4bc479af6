from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import EPSILON, deviation, rounding
from coffea_equitag import RaggedJets
from coffea_equitag.invariants import gram
from coffea_equitag.models.beams import BEAMS, with_beams
from coffea_equitag.models.lorentznet import PARTICLES
from coffea_equitag.testing import (
    assert_batch_independent,
    assert_lorentz_invariant,
    assert_permutation_invariant,
    boost,
    rotation,
    transform,
)
from networks import enliven, run


def build(**options):
    """A network whose vectors really move, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(3)
    return enliven(eqt.models.build("lorentznet", **({"hidden": 16, "n_layers": 3} | options)), gain=1000)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, 224_072), ({"n_scalar": 8, "beams": False, "pid": True, "c_weight": 1e-3}, 227_096)],
)
def test_published_sizes(options, parameters):
    assert eqt.models.build("lorentznet", **options).num_parameters() == parameters


@pytest.mark.parametrize("beams", [False, True])
def test_lorentz_invariance_in_single_precision(random_jets, beams):
    jets, model = random_jets([20, 1, 7, 35, 2]), build(beams=beams)
    references = BEAMS if beams else None
    assert_lorentz_invariant(run(model), jets, tolerance=rounding(model, jets), references=references)


def test_double_precision_is_tighter(random_jets):
    jets = random_jets([12, 5])
    assert_lorentz_invariant(run(build(beams=False).double()), jets, gammas=(1, 2, 10), tolerance=1e-11)


def test_beams_break_what_they_should(random_jets):
    jets, function = random_jets([20, 7]), run(build(beams=True))
    reference = function(jets)
    for axis, same in (((0, 0, 1), False), ((1, 0, 0), False)):
        moved = function(transform(jets, boost(2.0, axis)))
        assert torch.allclose(moved, reference, atol=1e-5) is same


def test_clamp_breaks_the_symmetry(random_jets):
    jets = random_jets([20, 7])
    with pytest.raises(AssertionError, match="Lorentz symmetry: outputs moved by"):
        assert_lorentz_invariant(run(build(beams=False, clamp=0.1)), jets, gammas=(10,))


@pytest.mark.parametrize("options", [{}, {"beams": False}, {"clamp": 100.0}, {"pid": True, "beams": False}])
def test_permutations_and_batches(random_jets, options):
    jets, model = random_jets([20, 1, 0, 7, 35, 2, 7]), build(**options)
    allowed = rounding(model, jets)
    assert_permutation_invariant(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model), jets, tolerance=allowed)
    assert_batch_independent(run(model.double()), jets, tolerance=1e-12)


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_empty_and_single_constituents_are_finite_and_train(random_jets, beams, training):
    model = build(beams=beams).train(training)
    for counts in ([], [0], [1], [0, 1, 0, 3]):
        logits = model(random_jets(counts))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()


def test_every_parameter_has_a_gradient(random_jets):
    model = build().train()
    torch.nn.functional.cross_entropy(model(random_jets([5, 9, 4])), torch.tensor([0, 1, 1])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if "phi_e.0" in name)


def nodes_of(model, jets):
    """The jets of a network with its columns, and as its nodes."""
    jets = RaggedJets.from_awkward(jets, model.fields)
    return jets, with_beams(jets) if model.options["beams"] else jets


@pytest.mark.parametrize("beams", [False, True])
def test_identification_is_the_plain_one_hot(random_jets, beams):
    """Massless candidates keep their identity, and a mass does not change it."""
    model = build(pid=True, beams=beams)
    jets, nodes = nodes_of(model, random_jets([6]))
    expected = (jets.columns["pdgId"].abs()[:, None] == torch.tensor(PARTICLES)).float()
    assert expected.sum(1).eq(1).all()
    scalars = model.scalars(nodes)
    assert torch.equal(scalars[2 * beams :, :8], expected)
    if beams:
        assert scalars.shape == (8, 9)
        assert not scalars[:2, :8].any()
        assert torch.equal(scalars[:, 8], torch.log(torch.tensor([2.0] * 2 + [1.0] * 6)))
    massless = RaggedJets.from_momenta(jets.p4, jets.offsets, mass=0 * jets.mass, columns=jets.columns)
    assert torch.equal(model.scalars(nodes_of(model, random_jets([6]))[1]), scalars)
    assert torch.equal(model.scalars(with_beams(massless) if beams else massless), scalars)
    with pytest.raises(eqt.JetError, match="without 'pdgId'"):
        model(ak.zip({"constituents": random_jets([3]).constituents[["pt", "eta", "phi", "mass"]]}, depth_limit=1))


def test_unknown_particles_are_no_kind():
    jets = RaggedJets.from_momenta(
        torch.tensor([[5.0, 3.0, 0.0, 0.0]] * 4),
        torch.tensor([0, 4]),
        columns={"pdgId": torch.tensor([310, -2212, 0, 22], dtype=torch.int16)},
    )
    scalars = build(pid=True, beams=False).scalars(jets)
    assert scalars.sum(1).tolist() == [0, 1, 0, 1]
    assert scalars[1, 7] == scalars[3, 2] == 1


def test_identification_of_version_0_1(random_jets):
    """Times ψ(mass): only for what was trained so."""
    model = build(pid=True, pid_times_mass=True, beams=True)
    jets, nodes = nodes_of(model, random_jets([6]))
    charged = jets.columns["pdgId"] == 211
    assert torch.allclose(model.scalars(nodes)[2:, 4], torch.where(charged, torch.log1p(jets.mass), 0).float())


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("pid", [False, True])
def test_mass_and_charge(random_jets, pid, beams):
    """The official code's ``use_one_hot=False``."""
    model = build(pid=pid, use_one_hot=False, beams=beams)
    assert model.options["n_scalar"] == 2 + beams
    assert model.fields == ("charge",)
    jets, nodes = nodes_of(model, with_charge(random_jets([6])))
    charge = jets.columns["charge"].double()
    expected = torch.stack([torch.log1p(jets.mass), charge.sign() * np.log(2.0)], dim=1)
    assert set(charge.tolist()) == {-1.0, 0.0, 1.0}
    scalars = model.double().scalars(nodes)
    torch.testing.assert_close(scalars[2 * beams :, :2], expected, rtol=1e-15, atol=0)
    if beams:
        assert not scalars[:2, :2].any()
        assert scalars[:, 2].tolist() == pytest.approx([np.log(2.0)] * 2 + [0.0] * 6)
    with pytest.raises(eqt.JetError, match="without 'charge'"):
        model(random_jets([3]))


def with_charge(jets):
    charge = ak.unflatten(np.arange(ak.sum(ak.num(jets.constituents))) % 3 - 1, ak.num(jets.constituents))
    return ak.with_field(jets, charge, ["constituents", "charge"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_scalar": 1}, "at least 2 scalars"),
        ({"n_scalar": 8, "pid": True}, "at least 9 scalars"),
        ({"n_scalar": 2, "use_one_hot": False}, "at least 3 scalars"),
        ({"pid_times_mass": True}, "a one-hot to multiply"),
        ({"n_layers": 0}, "positive numbers"),
        ({"colour": 3}, "no option 'colour'"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.models.build("lorentznet", **options)


def test_unknown_model():
    with pytest.raises(eqt.TaggerError, match="no model 'transformer'"):
        eqt.models.build("transformer")


@pytest.mark.parametrize("beams", [False, True])
@pytest.mark.parametrize("matrix", [boost(5.0, (1, 2, -1)), boost(100.0, (0, 0, 1)), rotation(1.0, (1, 1, 0))])
def test_momentum_is_covariant(random_jets, beams, matrix):
    jets, model = random_jets([20, 1, 7, 0, 35]), build(beams=beams, output="momentum")
    momenta = run(model)(jets, BEAMS if beams else None).numpy()
    given = transform(jets, matrix), np.asarray(BEAMS) @ matrix.T.astype(np.float64) if beams else None
    moved = run(model)(*given)
    assert momenta.shape == (5, 4)
    assert not momenta[3].any()
    assert deviation(moved, momenta @ matrix.T.astype(np.float64)) <= rounding(run(model), *given)


def test_momentum_as_vectors(random_jets):
    tagger = eqt.Tagger.from_model(build(output="momentum"), name="momentum", classes=())
    jets = ak.unflatten(random_jets([4, 6, 2]), [2, 0, 1])
    momenta = tagger(ak.mask(jets, ak.num(jets.constituents, axis=2) > 2))
    assert ak.num(momenta).tolist() == [2, 0, 1]
    assert momenta.pt.tolist()[2] == [None]
    np.testing.assert_allclose(momenta[0].E, run(tagger.model)(jets[0])[:, 0], rtol=1e-6)
    with pytest.raises(eqt.TaggerError, match="whose output is a vector"):
        eqt.attach(ak.Array([{"FatJet": [{"pt": 1.0}]}]), {"FatJet": tagger})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: the CUDA path of LorentzNet is not run here")
def test_gpu_agrees_with_cpu(random_jets):
    jets, model = random_jets([20, 1, 0, 7, 35]), build().double()
    expected = run(model)(jets)
    torch.testing.assert_close(run(model.cuda())(jets).cpu(), expected, rtol=1e-9, atol=1e-9)


def naive_products(nodes):
    """p_i·p_j by plain subtraction, as in the official code."""
    metric = nodes.p4.new_tensor([1.0, -1.0, -1.0, -1.0])
    parts = (nodes.slice(j, j + 1).p4 for j in range(nodes.num_jets))
    return torch.cat([(p4 @ (p4 * metric).T).flatten() for p4 in parts])


@pytest.fixture(scope="module")
def fixture(shared_data):
    with np.load(shared_data / "parity" / "lorentznet_top.npz") as arrays:
        return dict(arrays)


class TestOfficial:
    """The official code's outputs, with its published checkpoint."""

    def model(self, shared_data, **options):
        path = shared_data / "parity" / "lorentznet_top_official.pt"
        return eqt.convert.official("lorentznet", path, n_scalar=2, **options).model.double()

    @pytest.mark.parametrize(
        ("key", "clamp", "prefix"),
        [
            ("logits_f64", 100.0, ""),
            ("logits_f64_noclamp", None, ""),
            ("massive_logits_f64", 100.0, "massive_"),
        ],
    )
    def test_network(self, shared_data, fixture, key, clamp, prefix):
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture[f"{prefix}p4"]), torch.from_numpy(fixture["offsets"]))
        nodes = jets.prepend(torch.from_numpy(fixture["beams"]), torch.ones(2, dtype=torch.float64))
        scalars = torch.from_numpy(fixture[f"{prefix}scalars_f64"])
        with torch.no_grad():
            logits = self.model(shared_data, clamp=clamp).network(
                nodes.p4, scalars, nodes.offsets, naive_products(nodes)
            )
        assert deviation(logits, fixture[key]) <= 1e-8

    @pytest.mark.parametrize(
        ("key", "clamp", "prefix", "tolerance", "mass_noise"),
        [
            ("logits_f64", 100.0, "", 5e-4, False),
            ("logits_f64", 100.0, "", 5e-4, True),
            ("logits_f64_noclamp", None, "", 5e-4, False),
            ("massive_logits_f64", 100.0, "massive_", 1e-6, False),
            ("massive_logits_f64", 100.0, "massive_", 1e-6, True),
        ],
    )
    def test_from_jets(self, shared_data, fixture, key, clamp, prefix, tolerance, mass_noise):
        p4 = torch.from_numpy(fixture[f"{prefix}p4"])
        jets = RaggedJets.from_momenta(p4, torch.from_numpy(fixture["offsets"]))
        model, some = self.model(shared_data, clamp=clamp, mass_noise=mass_noise), jets.slice(0, 8)
        with torch.no_grad():
            # the layers' double precision has been compared on all jets in test_network
            assert deviation(model(some), fixture[key][:8]) <= tolerance
            assert deviation(model.float()(jets), fixture[key]) <= tolerance + rounding(model, some)

    def test_first_products_are_those_of_the_paper(self, shared_data, fixture):
        jets = RaggedJets.from_momenta(torch.from_numpy(fixture["massive_p4"]), torch.from_numpy(fixture["offsets"]))
        p, metric = jets.slice(3, 4).p4, jets.p4.new_tensor([1.0, -1.0, -1.0, -1.0])
        torch.testing.assert_close(gram(jets.slice(3, 4)).view(len(p), -1), p @ (p * metric).T, rtol=1e-8, atol=1e-8)

    def test_real_jets(self, shared_data):
        from sklearn.metrics import roc_auc_score

        columns = ak.from_parquet(shared_data / "top_landscape_1000.parquet")
        names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
        jets = eqt.make_jets(ak.zip({name: columns[field] for name, field in names.items()}))
        tagger = eqt.convert.official(
            "lorentznet", shared_data / "parity" / "lorentznet_top_official.pt", n_scalar=2, clamp=100.0
        )
        scores, labels = ak.to_numpy(tagger(jets)), ak.to_numpy(columns.label)
        assert ((scores > 0.5) == labels).mean() >= 0.94
        assert roc_auc_score(labels, scores) >= 0.985


@pytest.fixture(scope="module")
def quark_gluon(shared_data):
    with np.load(shared_data / "parity" / "lorentznet_qg.npz") as arrays:
        return dict(arrays)


class TestOfficialQuarkGluon:
    """The published quark/gluon checkpoint."""

    def model(self, shared_data, **options):
        path = shared_data / "parity" / "lorentznet_qg_official.pt"
        return eqt.convert.official("lorentznet", path, clamp=100.0, **options).model.double()

    def jets(self, quark_gluon):
        columns = {"pdgId": torch.from_numpy(quark_gluon["pdgId"])}
        return RaggedJets.from_momenta(
            torch.from_numpy(quark_gluon["p4"]), torch.from_numpy(quark_gluon["offsets"]), columns=columns
        )

    @pytest.mark.parametrize("options", [{}, {"n_scalar": 8, "pid": True, "beams": False, "c_weight": 1e-3}])
    def test_network(self, shared_data, quark_gluon, options):
        model, jets = self.model(shared_data, **options), self.jets(quark_gluon)
        assert model.num_parameters() == 227_096
        with torch.no_grad():
            logits = model.network(jets.p4, model.scalars(jets), jets.offsets, naive_products(jets))
        assert deviation(logits, quark_gluon["logits_f64"]) <= 1e-8

    def test_from_jets(self, shared_data, quark_gluon):
        """Stable products differ from the official ones no more than the float32 momenta of the fixture leave open."""
        model, jets = self.model(shared_data), self.jets(quark_gluon)

        def official(p4):
            return model.network(p4, model.scalars(jets), jets.offsets, naive_products(replace(jets, p4=p4)))

        def moved(seed):
            generator = torch.Generator().manual_seed(seed)
            unit = 2 * torch.rand(jets.p4.shape, generator=generator, dtype=torch.float64) - 1
            return official(jets.p4 * (1 + EPSILON / 2 * unit))

        with torch.no_grad():
            exact = model(jets)
            allowed = max(deviation(moved(seed), quark_gluon["logits_f64"]) for seed in range(3))
            assert deviation(exact, quark_gluon["logits_f64"]) <= allowed < 0.1
            assert deviation(model.float()(jets), exact) <= rounding(model, jets.slice(0, 4))

    def test_identity_matters(self, shared_data, quark_gluon):
        """What version 0.1 made of this checkpoint is far from right."""
        model, jets = self.model(shared_data, pid_times_mass=True), self.jets(quark_gluon)
        with torch.no_grad():
            assert deviation(model(jets), quark_gluon["logits_f64"]) > 0.1

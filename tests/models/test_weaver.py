"""ParticleNet and PFN as weaver trains them: phantom neighbours, fusion, standardised inputs."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import coffea_equitag as eqt
from arithmetic import deviation
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.invariants import kinematic_features
from coffea_equitag.testing import assert_batch_independent, assert_permutation_invariant, assert_so2_invariant
from networks import enliven, run

#: Jets without, with one and with some constituents, and on both sides of k = 7 and k = 3 neighbours.
COUNTS = [2, 0, 1, 7, 8, 9, 4, 20, 3]
#: Of different numbers of neighbours, layers and widths, without a shortcut layer in the last.
OWN = {"k": [7, 3, 7], "channels": [[8, 8], [12, 10, 8], [9, 8]], "units": [11, 5]}


def build(kind="particlenet", **options):
    torch.manual_seed(4)
    model = eqt.models.build(kind, **options)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return enliven(model).double()


def edge_by_edge(model, features, points):
    """The logits of one jet, constituent by constituent, in the words of the official code: padding and all."""
    padding = max(model.neighbours) + 1
    x = [*model.input_norm(features), *[torch.zeros_like(features[0])] * padding]
    far = [torch.full_like(points[0], 1e9)] * padding
    places, n, found = [*points, *far], len(features), []
    for block, k in zip(model.blocks, model.neighbours, strict=True):
        new = []
        for i in range(n):
            others = sorted((j for j in range(n + padding) if j != i), key=lambda j: (places[j] - places[i]).norm())
            rows = torch.stack([torch.cat([x[i], x[j] - x[i]]) for j in others[:k]])
            for linear, norm in zip(block.linears, block.norms, strict=True):
                rows = torch.relu(norm(linear(rows)))
            new.append(torch.relu(block.shortcut(x[i][None])[0] + rows.mean(0)))
        x = [*new, *[torch.zeros_like(new[0])] * padding]
        places = [*new, *[torch.full_like(new[0], 1e9)] * padding]
        found.append(torch.stack(new))
    out = found[-1] if model.fusion is None else model.fusion(torch.cat(found, dim=1))
    return model.head(out.mean(0))


@pytest.mark.parametrize("fusion", [False, True])
@pytest.mark.parametrize("options", [{"lite": True}, OWN, OWN | {"input_norm": False}])
def test_phantoms_edge_by_edge(random_jets, options, fusion):
    model = build(phantom_neighbours=True, fusion=fusion, **options)
    jets = RaggedJets.from_awkward(random_jets(COUNTS))
    with torch.no_grad():
        features, found = model.features_and_points(jets)[0], model(jets)
        assert torch.equal(found[1], model.head(features.new_zeros(1, model.head[0].in_features))[0])
        for jet in (j for j, count in enumerate(COUNTS) if count):
            expected = edge_by_edge(model, *model.features_and_points(jets.slice(jet, jet + 1)))
            assert deviation(found[jet], expected) <= 1e-12


def test_phantoms_matter_in_small_jets_alone(random_jets):
    with_phantoms, without = build(lite=True, phantom_neighbours=True), build(lite=True)
    assert not without.options["phantom_neighbours"]
    jets = random_jets(COUNTS)
    for count, found, expected in zip(COUNTS, run(with_phantoms)(jets), run(without)(jets), strict=True):
        assert torch.equal(found, expected) == (count == 0 or count > 7)


@pytest.mark.parametrize("options", [{}, {"fusion": True}, {"fusion": True, "nodewise": "mass"}])
def test_symmetries_with_phantoms(random_jets, options):
    jets, model = random_jets(COUNTS), build(lite=True, phantom_neighbours=True, **options)
    assert_permutation_invariant(run(model), jets, tolerance=1e-11)
    assert_batch_independent(run(model), jets, tolerance=1e-12)
    assert_so2_invariant(run(model), jets, (0, 0, 1), tolerance=1e-9)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 8), st.booleans(), st.integers(0, 1000))
def test_any_jets_with_phantoms(random_jets, counts, k, fusion, seed):
    model = build(k=k, channels=[[6, 5], [4, 7]], units=[6], phantom_neighbours=True, fusion=fusion)
    jets = random_jets(counts, seed)
    assert_permutation_invariant(run(model), jets, tolerance=1e-10)
    assert_batch_independent(run(model), jets, tolerance=1e-12)
    ragged = RaggedJets.from_awkward(jets)
    with torch.no_grad():
        found, last = model(ragged), len(counts) - 1
        if counts[last]:
            expected = edge_by_edge(model, *model.features_and_points(ragged.slice(last, last + 1)))
            assert deviation(found[last], expected) <= 1e-11


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("counts", [[], [0], [1], [0, 1, 0, 3]])
def test_few_constituents_train(random_jets, counts, training):
    model = build(lite=True, phantom_neighbours=True, fusion=True).train(training)
    with kernels.use("reference"):
        logits = model(random_jets(counts))
    assert logits.shape == (len(counts), 2)
    assert torch.isfinite(logits).all()
    logits.sum().backward()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phantom_neighbours": True, "pairwise": "mass"}, "momenta"),
        ({"k": [7, 7, 7], "lite": True}, "one for each"),
        ({"k": [7, 0], "lite": True}, "at least 1"),
        ({"channels": [[8], []]}, "channels"),
        ({"channels": [], "k": 3}, "channels"),
        ({"channels": [], "k": []}, "channels"),
        ({"units": [0]}, "units"),
        ({"units": []}, "units"),
        ({"inputs": []}, "one variable or more"),
        ({"inputs": [["part_pt_logg", 1.0]]}, "part_pt_logg"),
        ({"inputs": [[]]}, "entry"),
        ({"inputs": [["part_deta", float("nan")]]}, "finite"),
        ({"inputs": [["part_deta", "auto"]]}, "finite"),
        ({"inputs": [["part_deta", 0, 1, 5, -5]]}, "lower"),
        ({"inputs": "everything"}, "inputs"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.models.build("particlenet", **options)


class TestInputs:
    """Variables of weaver's data configurations."""

    VARIABLES = (
        ["part_pt_log", 1.7, 0.7],
        ["part_e_log", 2.0, 0.7],
        ["part_logptrel", -4.7, 0.7],
        ["part_logerel", -4.7, 0.7],
        ["part_deltaR", 0.2, 4.0],
        ["part_deta", None],
        "part_dphi",
    )

    def jets(self):
        rng, counts = np.random.default_rng(8), [5, 0, 1, 9]
        n = sum(counts)
        kinds = np.array([11, -13, 22, 130, 211, -321, 2212, 2112])
        charges = np.array([-1, 1, 0, 0, 1, -1, 1, 0])
        drawn = rng.integers(0, len(kinds), n)
        columns = {
            "pt": rng.exponential(20, n), "eta": rng.normal(0, 2, n), "phi": rng.uniform(-3, 3, n),
            "mass": np.zeros(n), "pdgId": kinds[drawn], "charge": charges[drawn],
            "d0": rng.normal(0, 3, n), "dz": rng.normal(0, 3, n),
            "d0Err": rng.exponential(1, n), "dzErr": rng.exponential(1, n),
        }  # fmt: skip
        return eqt.make_jets(ak.unflatten(ak.zip(columns), counts))

    @pytest.mark.parametrize("kind", ["particlenet", "pfn"])
    def test_the_usual_seven_by_name(self, random_jets, kind):
        jets = random_jets(COUNTS)
        usual, named = build(kind), build(kind, inputs=self.VARIABLES)
        named.load_state_dict(usual.state_dict())
        assert torch.equal(run(named)(jets), run(usual)(jets))
        assert named.options["inputs"][5] == ["part_deta", None, 1.0, -5.0, 5.0]

    def test_published_configurations(self):
        jets = RaggedJets.from_awkward(self.jets(), ("charge", "pdgId", "d0", "dz", "d0Err", "dzErr"))
        full = build("pfn", inputs="full")
        assert full.fields == ("charge", "pdgId", "d0", "d0Err", "dz", "dzErr")
        found, column = full.features(jets), {name: value.double() for name, value in jets.columns.items()}
        charged, kind = column["charge"] != 0, column["pdgId"].abs()
        expected = [
            *kinematic_features(jets).T[:5], column["charge"], charged & (kind > 100), ~charged & (kind > 100),
            kind == 22, kind == 11, kind == 13, column["d0"].tanh() * charged, (column["d0Err"] * charged).clamp(0, 1),
            column["dz"].tanh() * charged, (column["dzErr"] * charged).clamp(0, 1), *kinematic_features(jets).T[5:],
        ]  # fmt: skip
        torch.testing.assert_close(found, torch.stack([value.double() for value in expected], dim=1), rtol=0, atol=0)
        assert torch.equal(build("pfn", inputs="kinpid").features(jets), found[:, [*range(11), 15, 16]])
        plus = build("pfn", inputs="kinpidplus").features(jets)
        hadrons = (kind == 211) + 0.5 * (kind == 321) + 0.2 * (kind == 2212), (kind == 130) + 0.2 * (kind == 2112)
        torch.testing.assert_close(plus[:, 6:8], torch.stack(hadrons, dim=1).double(), rtol=0, atol=0)

    def test_standardised_as_given(self):
        jets = RaggedJets.from_awkward(self.jets())
        model = build("pfn", inputs=[["part_pt", 10.0, 0.5, -1.0, 2.0], ["part_energy"], ["part_deta", 0.5]])
        found, pt = model.features(jets), torch.hypot(jets.p4[:, 1], jets.p4[:, 2])
        d_eta = kinematic_features(jets)[:, 5]
        expected = [((pt - 10) * 0.5).clamp(-1, 2), jets.p4[:, 0], (d_eta - 0.5).clamp(-5, 5)]
        torch.testing.assert_close(found, torch.stack(expected, dim=1), rtol=0, atol=0)

    @pytest.mark.parametrize("kind", ["particlenet", "pfn"])
    def test_mirrored(self, kind):
        jets = self.jets()
        mirrored = ak.with_field(jets.constituents, -jets.constituents.eta, "eta")
        model = build(kind, mirrored=True)
        found = run(model)(jets)
        assert deviation(run(model)(eqt.make_jets(mirrored)), found) <= 1e-12
        assert deviation(run(build(kind))(eqt.make_jets(mirrored)), run(build(kind))(jets)) > 1e-3
        with pytest.raises(eqt.TaggerError, match="mirrored"):
            eqt.models.build("pfn", inputs="btag", mirrored=True)

    def test_a_tagger_with_them_is_saved_and_loaded(self, tmp_path):
        jets = self.jets()
        model = build("particlenet", lite=True, inputs=["part_deltaR", ["part_d0err", 0, 1, 0, 1], "part_charge"])
        tagger = eqt.Tagger.from_model(model, name="t", classes=("a", "b"))
        tagger.save(tmp_path / "t")
        assert eqt.load(tmp_path / "t", "cpu")(jets).tolist() == tagger(jets).tolist()

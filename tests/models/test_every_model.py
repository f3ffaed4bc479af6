"""Properties of every network that `build` knows, with its default options."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.layers.broken_symmetry import SYMMETRIES, SymmetryName
from coffea_equitag.models.pelican_options import SIZES, Size
from coffea_equitag.testing import assert_batch_independent, assert_permutation_invariant

KINDS = eqt.models.names()


def network(kind):
    torch.manual_seed(0)
    return eqt.models.build(kind).eval()


def ragged(jets, model):
    batch = RaggedJets.from_awkward(jets)
    values = torch.ones(len(batch.mass), dtype=torch.float64)
    return replace(batch, columns=dict.fromkeys(model.fields, values))


def run(model):
    def function(jets):
        with torch.no_grad():
            return model(ragged(jets, model))

    return function


@pytest.mark.parametrize("kind", KINDS)
def test_permutations_and_batches(kind, random_jets):
    jets, function = random_jets([12, 3, 30, 7]), run(network(kind).double())
    assert_permutation_invariant(function, jets, tolerance=1e-10)
    assert_batch_independent(function, jets, tolerance=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_empty_and_single_constituents(kind, training, random_jets):
    model = network(kind).train(training)
    for counts in ([], [0], [1], [0, 1, 4]):
        logits = model(ragged(random_jets(counts), model))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_in_its_jet(kind, random_jets):
    """NaN is refused on input; if there is one nevertheless, the other jets keep their scores."""
    model = network(kind)
    jets = ragged(random_jets([5, 9, 1, 5]), model)
    bad = replace(jets, p4=jets.p4.clone(), mass=jets.mass.clone(), polar=jets.polar.clone())
    for values in (bad.p4, bad.mass, bad.polar):
        values[7] = torch.nan
    with torch.no_grad():
        expected, found = model(jets), model(bad)
    others = [0, 2, 3]
    assert deviation(found[others], expected[others]) <= rounding(model, jets)


@pytest.mark.parametrize("kind", KINDS)
def test_tagger_round_trip(kind, random_jets, tmp_path):
    tagger = eqt.Tagger.from_model(network(kind), name=kind, classes=("background", "signal"))
    tagger.save(tmp_path / "t")
    again = eqt.load(tmp_path / "t", "cpu")
    jets = ragged(random_jets([5, 0, 9]), tagger.model)
    assert (again.probabilities(jets) == tagger.probabilities(jets)).all()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("LorentzNet", {}, "no model 'LorentzNet'"),
        ("lorentznet", {"nclasses": 2}, "no option 'nclasses'"),
        ("lorentznet", {"n_classes": "two"}, "n_classes = 'two' for lorentznet\n.*a whole number"),
        ("lorentznet", {"n_classes": 0}, "n_classes = 0"),
        ("lorentznet", {"beams": "no"}, "beams = 'no' for lorentznet\n.*true or false"),
        ("lorentznet", {"hidden": True}, "hidden = True"),
        ("lorentznet", {"clamp": "100"}, "clamp = '100' for lorentznet\n.*a finite number or none"),
        ("lorentznet", {"dropout": 2.0}, "dropout = 2.0"),
        ("pfn", {"phi": 32}, "phi = 32 for pfn\n.*a sequence, each a whole number"),
        ("particlenet", {"k": "7"}, "k = '7'"),
        ("pelican", {"size": 5}, "size = 5 for pelican\n.*'208k' or a sequence"),
        ("vector_pfn", {"features": -1}, "features = -1: .*negative"),
    ],
)
def test_options_are_checked_against_their_types(kind, options, message):
    with pytest.raises(eqt.TaggerError, match=message):
        eqt.models.build(kind, **options)


@pytest.mark.parametrize(("name", "table"), [(SymmetryName, SYMMETRIES), (Size, SIZES)])
def test_names_of_a_type_are_those_of_its_table(name, table):
    assert get_args(name) == tuple(table)


def test_numbers_of_numpy_and_lists_of_json_are_options():
    model = eqt.models.build("pfn", n_classes=np.int64(3), phi=[8, 8], f=(np.int32(8),))
    assert model.n_classes == 3
    assert eqt.models.build("lorentznet", clamp=100, c_weight=np.float32(0.005)).kind == "lorentznet"


#: Options besides the defaults that see momenta in another way.
VARIANTS = {
    "lgatr_slim": [
        {"beams": None, "time": False},
        {"beams": "spacelike", "both_beams": False, "inputs": "kinematic"},
        {"inputs": "kinematic", "aggregation": "mean"},
        {"vector_activation": "gelu"},
    ],
    "lgn": [
        {"beams": False},
        {"pmu_in": True, "max_zf": 2},
        {"top": "pmlp", "mlp": False, "pmu_in": True},
        {"levels": 8},
    ],
    "pelican": [
        {"symmetry": "so13"},
        {"irc_safe": True},
        {"irc_safe": True, "symmetry": "so13"},
        *({"symmetry": name, "method": "input"} for name in get_args(SymmetryName)),
    ],
    "lloca_transformer": [
        {"beams": False, "laboratory": False},
        {"beams": False},
        {"tensors": 1, "preserve_variance": False, "least_mass": 5e-3},
    ],
    "lorentznet": [{"beams": False, "n_scalar": 1}],
    "lorentznet_base": [{"pairwise": name} for name in ("mass", "delta_r", "delta_r_pt", "energy")]
    + [{"nodewise": name} for name in ("mass", "energy")],
    "particlenet": [{"pairwise": "mass", "nodewise": "mass"}],
    "particle_transformer": [{"self_pairs": False, "pair_activation": False}, {"pair_widths": None}],
    "pfn": [{"nodewise": "mass"}],
    **{kind: [{"axis_map": False}, {"products": False}] for kind in ("vector_pfn", "tensor_pfn")},
}


def extreme_jets():
    """Constituents with |η| up to 50 and pT from 1e-9 to 1e7 GeV, alone, together and on opposite sides."""
    rng, made = np.random.default_rng(0), []
    for eta, pt, mass, n in itertools.product((0.0, 5.0, 50.0), (1e-9, 1.0, 1e7), (0.0, 0.14), (1, 2, 5)):
        for sign in ((1,), (-1,), (1, -1, 0.3)):
            etas = eta * np.resize(sign, n) + 0.1 * rng.uniform(-1, 1, n) * (eta < 50)
            columns = {"pt": pt * rng.uniform(0.5, 1.5, n), "eta": etas, "phi": rng.uniform(-3, 3, n)}
            made.append(ak.zip(columns | {"mass": np.full(n, mass)}))
    return eqt.make_jets(ak.Array(made))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", ["auto", "reference"])
def test_extreme_momenta_give_finite_scores(kind, kernel):
    jets = extreme_jets()
    # most variants are the same to a kernel, or run on the layers
    for options in ({}, *VARIANTS.get(kind, [])[: 2 if kernel == "auto" else None]):
        torch.manual_seed(0)
        model = eqt.models.build(kind, **options).eval()
        with kernels.use(kernel):
            scores = run(model)(jets).softmax(1)
        lost = (~torch.isfinite(scores)).any(1).nonzero()[:, 0]
        assert not len(lost), f"{options}: {jets[int(lost[0])].constituents.tolist()}"


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_constituents(kind, random_jets):
    model = network(kind).double()
    jets = ragged(random_jets([12, 3, 0, 30, 1]), model)
    with torch.no_grad():
        outputs, rows, _ = model.with_constituents(jets)
        torch.testing.assert_close(outputs, model(jets), rtol=1e-10, atol=1e-10)
        assert len(rows) == 46
        assert rows.std(dim=0).max() > 0
        # a jet's rows do not depend on the others, and follow its constituents
        alone = jets.slice(3, 4)
        backwards = replace(
            alone,
            p4=alone.p4.flip(0),
            mass=alone.mass.flip(0),
            polar=alone.polar.flip(0),
            columns={name: column.flip(0) for name, column in alone.columns.items()},
        )
        found = model.with_constituents(backwards)[1].flip(0)
    torch.testing.assert_close(found, rows[15:45], rtol=1e-9, atol=1e-9 * float(rows.abs().max()))
    model.with_constituents(jets)[1].sum().backward()


@pytest.mark.parametrize("kind", ["lgatr_slim", "lloca_transformer", "lorentznet", "pelican", "vector_pfn"])
def test_momenta_begin_near_the_sum(kind, random_jets):
    for seed in range(3):
        torch.manual_seed(seed)
        model = eqt.models.build(kind, output="momentum").eval()
        jets = ragged(random_jets([30, 10, 50], seed), model)
        with torch.no_grad():
            off = (model(jets) - jets.jet_p4).norm(dim=1) / jets.jet_p4.norm(dim=1)
        assert off.max() < 0.3

"""Gradient × input against difference quotients, and embeddings against the heads that read them."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import kernels
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.layers.double import in_double
from networks import enliven

#: Options beside the defaults whose gradients or features take another path.
OPTIONS = [
    ("lgatr_slim", {"n_layers": 2}),
    ("lgatr_slim", {"n_layers": 2, "inputs": "full", "aggregation": "mean"}),
    ("lgn", {}),
    ("lgn", {"beams": False, "full_scalars": False, "scale": 0.05}),
    ("lgn", {"top": "pmlp", "pmu_in": True, "max_zf": 2, "scale": 0.05}),
    ("lorentznet", {}),
    ("lorentznet", {"beams": False, "use_one_hot": False}),
    ("lorentznet_base", {"pairwise": "mass", "nodewise": "energy"}),
    ("lorentznet_base", {"pairwise": "delta_r_pt"}),
    ("particlenet", {"lite": True, "pairwise": "mass", "nodewise": "mass"}),
    ("particlenet", {"lite": True, "fusion": True, "inputs": "full"}),
    ("pelican", {"size": "3k"}),
    ("pelican", {"size": "3k", "symmetry": "so2", "method": "input"}),
    ("pelican", {"irc_safe": True, "symmetry": "so13"}),
    ("pfn", {"nodewise": "mass"}),
    ("pfn", {"inputs": "btag", "batch_norm": True}),
    ("tensor_pfn", {"features": 16}),
    ("vector_pfn", {"features": 16}),
]
VECTORS = [
    ("lgatr_slim", {"n_layers": 2, "output": "momentum"}),
    ("lgn", {"output": "momentum"}),
    ("lorentznet", {"output": "momentum"}),
    ("pelican", {"size": "3k", "output": "momentum"}),
    ("pelican", {"size": "3k", "output": "momentum", "symmetry": "so3", "method": "input"}),
    ("vector_pfn", {"features": 16, "output": "vector"}),
    ("vector_pfn", {"features": 16, "output": "momentum"}),
]
COUNTS = [6, 1, 0, 9]


def tagger_of(kind, options, classes=("background", "signal")):
    torch.manual_seed(0)
    model = enliven(eqt.models.build(kind, n_classes=len(classes) or 2, **options), 300.0)
    classes = classes if model.output == "classes" else ()
    return eqt.Tagger.from_model(model, name=kind, classes=classes)


@pytest.fixture(scope="module")
def jets(track_jets):
    jets = track_jets(COUNTS)
    for name in ("d0Err", "dzErr"):
        jets["constituents", name] = abs(jets.constituents.d0) * 0.1
    return jets


def quotients(tagger, jets, of, scaled):
    """Central differences of a function of the outputs, one constituent of each jet at a time."""
    model, step = tagger.model.double(), 1e-7
    batch = RaggedJets.from_awkward(jets, model.fields)
    found = torch.zeros_like(batch.mass)
    for place in range(max(COUNTS)):
        moved = torch.arange(len(batch.mass)) - torch.repeat_interleave(batch.offsets[:-1], batch.counts) == place
        with torch.no_grad():
            up, down = (of(model(scaled(batch, sign * step * moved.double()))) for sign in (1, -1))
        found[moved] = ((up - down) / (2 * step))[batch.counts > place]
    model.float()
    return found.numpy()


def momenta_scaled(batch, log_scale):
    return batch.scaled(log_scale, jets_too=True)


def log_odds(logits):
    return logits[:, 1] - logits[:, 0]


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_gradient_times_input_is_the_derivative(kind, options, jets):
    tagger = tagger_of(kind, options)
    found = tagger.explain(jets)
    assert ak.num(found).tolist() == COUNTS
    expected = quotients(tagger, jets, log_odds, momenta_scaled)
    # of the quotient: rounding 2e-16 of outputs near 1, a hundred times amplified, over steps of 1e-7
    np.testing.assert_allclose(ak.flatten(found), expected, atol=2e-7, rtol=1e-5)
    assert np.abs(expected).max() > 5e-6


@pytest.mark.parametrize(("kind", "options"), VECTORS)
def test_of_vectors(kind, options, jets):
    tagger = tagger_of(kind, options)
    of = "size" if tagger.model.output == "vector" else "pt"
    found = tagger.explain(jets, of=of)

    def size(outputs):
        return outputs.norm(dim=1) if of == "size" else torch.hypot(outputs[:, 1], outputs[:, 2])

    expected = quotients(tagger, jets, size, momenta_scaled)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ak.flatten(found), expected, atol=2e-7 * max(scale, 1), rtol=1e-5)
    assert scale > 1e-6
    if of == "pt":
        assert not ak.almost_equal(tagger.explain(jets), found)  # the mass


@pytest.mark.parametrize(
    ("kind", "options", "inputs", "columns"),
    [
        ("vector_pfn", {"features": 16}, "ip", ("ip.x", "ip.y", "ip.z")),
        ("pfn", {"inputs": "btag"}, "d0", ("d0",)),
        ("lorentznet", {"use_one_hot": False}, "charge", ("charge",)),
    ],
)
def test_of_other_inputs(kind, options, inputs, columns, jets):
    tagger = tagger_of(kind, options)

    def scaled(batch, log_scale):
        changed = {name: batch.columns[name].double() * torch.exp(log_scale) for name in columns}
        return RaggedJets(batch.p4, batch.mass, batch.offsets, batch.jet_p4, batch.polar, {**batch.columns, **changed})

    expected = quotients(tagger, jets, log_odds, scaled)
    np.testing.assert_allclose(ak.flatten(tagger.explain(jets, inputs=inputs)), expected, atol=2e-7, rtol=1e-5)
    assert np.abs(expected).max() > 1e-5


def test_own_momenta_of_jets_are_held_fixed(jets):
    tagger = tagger_of("pfn", {})
    p4 = eqt.RaggedJets.from_awkward(jets).jet_p4.numpy()
    own = eqt.make_jets(jets.constituents, **dict(zip(("E", "px", "py", "pz"), p4.T.copy(), strict=True)))
    expected = quotients(tagger, own, log_odds, lambda batch, s: batch.scaled(s, jets_too=False))
    found = tagger.explain(own)
    np.testing.assert_allclose(ak.flatten(found), expected, atol=2e-7, rtol=1e-5)
    assert not ak.almost_equal(found, tagger.explain(jets))


def test_classes_and_temperature(jets):
    tagger = tagger_of("pfn", {}, ("qcd", "top", "w"))
    expected = quotients(tagger, jets, lambda z: z[:, 0] - torch.logsumexp(z[:, 1:], 1), momenta_scaled)
    np.testing.assert_allclose(ak.flatten(tagger.explain(jets, of="qcd")), expected, atol=2e-7, rtol=1e-5)
    assert ak.almost_equal(tagger.explain(jets), tagger.explain(jets, of="w"))
    warm = tagger.with_temperature(2.0).explain(jets, of="qcd")
    np.testing.assert_allclose(ak.flatten(warm), expected / 2, atol=2e-7, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"of": "Z"}, "of = 'Z'.*\n.*background, signal"),
        ({"inputs": "pdgId"}, "inputs = 'pdgId'.*\n.*charge, d0, dz, momentum"),
    ],
)
def test_faults_name_the_choices(arguments, message, jets):
    with pytest.raises(eqt.TaggerError, match=message):
        tagger_of("pfn", {"inputs": "btag"}).explain(jets, **arguments)


def test_the_structure_of_the_jets(random_jets):
    flat = random_jets([4, 2, 0, 3, 5])
    tagger = tagger_of("lorentznet", {})
    plain, features = tagger.explain(flat), tagger.embed(flat)
    nested = ak.mask(ak.unflatten(flat, [2, 0, 3]), ak.Array([[True, False], [], [True, True, True]]))
    found, embedded = tagger.explain(nested), tagger.embed(nested)
    assert found[0, 1] is None
    assert embedded[0, 1] is None
    kept = [0, 2, 3, 4]
    assert ak.almost_equal(ak.drop_none(ak.flatten(found)), plain[kept], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ak.drop_none(ak.flatten(embedded)), features[kept], rtol=1e-5, atol=1e-6)
    # as a column beside the others, also of sliced and re-sorted jets
    order = flat[[4, 0, 2]][:2]
    order["constituents", "relevance"] = tagger.explain(order)
    assert ak.almost_equal(order.constituents.relevance, plain[[4, 0]], rtol=1e-12, atol=1e-15)
    for nothing in (flat[:0], nested[1:2], nested[:0]):
        assert ak.flatten(tagger.explain(nothing), axis=None).to_list() == []
        assert ak.flatten(tagger.embed(nothing), axis=None).to_list() == []
    assert tagger.embed(flat[:0]).type.content.size == 72


def test_padding_and_missing_constituents():
    track = {"px": 5.0, "py": 1.0, "pz": 2.0, "E": 7.0}
    padding = dict.fromkeys(track, 0.0)
    other = {"px": 3.0, "py": -1.0, "pz": 2.0, "E": 5.0}
    tagger = tagger_of("lorentznet", {})
    given = eqt.make_jets(ak.Array([[track, padding, other], [track]]))
    expected = tagger.explain(eqt.make_jets(ak.Array([[track, other], [track]])))
    assert tagger.explain(given).to_list() == [[expected[0, 0], 0.0, expected[0, 1]], [expected[1, 0]]]
    missing = eqt.make_jets(ak.Array([[track, None, other], [track]]))
    assert tagger.explain(missing).to_list() == [[expected[0, 0], None, expected[0, 1]], [expected[1, 0]]]


def test_constituents_that_the_network_does_not_see_have_no_part(random_jets):
    jets = random_jets([4, 2])
    tagger = tagger_of("lorentznet", {})
    contract = {"constituent_fields": (), "max_constituents": 3}
    cut = eqt.Tagger.from_model(tagger.model, name="cut", classes=("a", "b"), contract=contract)
    softest = ak.argsort(jets.constituents.pt)[:1, 0]
    assert cut.explain(jets)[0, softest[0]] == 0
    kept = jets.constituents[:1][ak.argsort(jets.constituents.pt[:1], ascending=False) < 99]
    kept = kept[ak.local_index(kept.pt) != softest[0]]
    np.testing.assert_allclose(cut.embed(jets)[0], tagger.embed(eqt.make_jets(kept))[0], rtol=1e-5, atol=1e-6)


def test_explaining_leaves_the_tagger_alone(jets):
    tagger = tagger_of("lorentznet", {})
    before = tagger.content_hash
    with torch.inference_mode():
        inside = tagger.explain(jets, pair_budget=4)
    assert ak.almost_equal(inside, tagger.explain(jets), rtol=1e-12, atol=1e-15)
    assert (tagger.content_hash, tagger.model.dtype) == (before, torch.float32)
    assert all(weight.requires_grad and weight.grad is None for weight in tagger.model.parameters())


def head_of(model, features):
    """What turns the embedding into logits."""
    if model.kind in ("tensor_pfn", "vector_pfn"):
        return in_double(model.mlp, features.double())
    head = {"pfn": "f"}.get(model.kind, "head")
    module = getattr(model, head)
    return (module.of_jets if model.options.get("top") == "pmlp" else module)(features)


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_the_head_turns_embeddings_into_logits(kind, options, jets):
    tagger = tagger_of(kind, options)
    with torch.no_grad(), kernels.use("reference"):
        features, logits = tagger.model.embed(jets), tagger.model(jets)
        from_features = head_of(tagger.model, features)
    assert deviation(from_features, logits) <= rounding(tagger.model, jets)
    found = tagger.embed(jets)
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-5 * float(features.abs().max()))
    assert found.type.content.size == features.shape[1]


@pytest.mark.parametrize(("kind", "options"), VECTORS)
def test_embeddings_of_networks_for_vectors(kind, options, jets):
    tagger = tagger_of(kind, options)
    found = tagger.embed(jets)
    assert len(found) == len(jets)
    assert np.isfinite(ak.to_numpy(found)).all()
    assert np.ptp(ak.to_numpy(found)[[0, 1, 3]], axis=0).max() > 0

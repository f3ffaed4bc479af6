"""Particle Transformer: the paper written out for one jet, weaver-core's code, options, symmetries, conversion."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import coffea_equitag as eqt
from arithmetic import deviation
from coffea_equitag import RaggedJets
from coffea_equitag.testing import assert_batch_independent, assert_permutation_invariant, assert_so2_invariant
from networks import enliven, run
from official_names import particle_transformer

COUNTS = [1, 5, 0, 2, 1, 17, 5]
SMALL = {
    "embed_widths": [12, 8],
    "pair_widths": [6, 5],
    "heads": 4,
    "layers": 2,
    "class_layers": 1,
    "ratio": 3,
    "units": [7],
}


def build(**options):
    torch.manual_seed(0)
    model = enliven(eqt.models.build("particle_transformer", **SMALL | options)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def attention(layer, query, keys, bias=None):
    """Softmax attention of one jet, head by head."""
    width = query.shape[1]
    weights, biases = layer.in_proj.weight.split(width), layer.in_proj.bias.split(width)
    q, k, v = (functional.linear(x, w, b) for x, w, b in zip((query, keys, keys), weights, biases, strict=True))
    size, found = width // layer.heads, []
    for head in range(layer.heads):
        columns = slice(head * size, (head + 1) * size)
        scores = q[:, columns] @ k[:, columns].T / size**0.5
        found.append(torch.softmax(scores if bias is None else scores + bias[..., head], dim=1) @ v[:, columns])
    return layer.out_proj(torch.cat(found, dim=1))


def block(layer, x, attended):
    scale = torch.repeat_interleave(layer.head_scale, x.shape[1] // layer.heads)
    x = x + layer.after(attended * scale)
    return layer.residual_scale * x + layer.feed_forward(x)


def of_one_jet(model, features, pair_features):
    """The logits of one jet by the paper's equations, with the full matrix of pairs (n, n, 4)."""
    x, n = model.embedding(features), len(features)
    bias = None
    if model.pair_bias is not None:
        bias = model.pair_bias.embed(pair_features.reshape(n * n, 4)).view(n, n, model.options["heads"])
        if not model.options["self_pairs"]:
            bias = bias * (1 - torch.eye(n)[..., None])
    for layer in model.blocks:
        normed = layer.before(x)
        x = block(layer, x, attention(layer.attention, normed, normed, bias))
    token = model.class_token[None]
    for layer in model.class_blocks:
        token = block(layer, token, attention(layer.attention, token, layer.before(torch.cat([token, x]))))
    return model.head(model.norm(token))[0]


def square(features_T4, n):
    """The unordered pairs of one jet as a matrix."""
    matrix = features_T4.new_empty(n, n, 4)
    rows, columns = torch.tril_indices(n, n)
    matrix[rows, columns] = matrix[columns, rows] = features_T4
    return matrix


@pytest.mark.parametrize(
    "options",
    [{}, {"self_pairs": False}, {"pair_activation": False, "activation": "relu"}, {"pair_widths": None, "units": []}],
)
def test_as_the_paper_writes_it(random_jets, options):
    model, jets = build(**options), RaggedJets.from_awkward(random_jets(COUNTS))
    with torch.no_grad():
        found = model(jets)
        for jet, n in enumerate(COUNTS):
            alone = jets.slice(jet, jet + 1)
            features, pairs = model.features(alone), model.pair_features(alone)
            expected = of_one_jet(model, features, None if pairs is None else square(pairs, n))
            assert deviation(found[jet], expected) <= 1e-12


def test_parameters_of_the_paper():
    assert eqt.models.build("particle_transformer", n_classes=10).num_parameters() == 2_142_166


@pytest.mark.parametrize("options", [{}, {"self_pairs": False}])
def test_symmetries(random_jets, options):
    jets, model = random_jets(COUNTS), build(**options)
    assert_permutation_invariant(run(model), jets, tolerance=1e-11)
    assert_batch_independent(run(model), jets, tolerance=1e-12)
    assert_so2_invariant(run(model), jets, (0, 0, 1), tolerance=1e-9)


def test_mirrored(random_jets):
    """A jet and its mirror image in the beam look the same."""
    jets = RaggedJets.from_awkward(random_jets([9, 4], coordinates="cartesian"))
    flip = torch.tensor([1.0, 1, 1, -1], dtype=torch.float64)
    image = RaggedJets.from_momenta(jets.p4 * flip, jets.offsets, mass=jets.mass)
    model = build(mirrored=True)
    assert deviation(run(model)(image), run(model)(jets)) <= 1e-11
    assert deviation(run(build())(image), run(build())(jets)) > 1e-4


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [{}, {"self_pairs": False}, {"pair_widths": None}])
def test_few_constituents(random_jets, training, options):
    model = build(**options).train(training)
    for counts in ([], [0], [1], [0, 1, 0, 3], [1, 1]):
        logits = model(random_jets(counts))
        assert logits.shape == (len(counts), 2)
        assert torch.isfinite(logits).all()
        logits.sum().backward()
    assert torch.isfinite(torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])).all()


def test_gradients_of_momenta(random_jets):
    model, jets = build(), RaggedJets.from_awkward(random_jets([4, 1, 0]))
    scale = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda given: model(jets.scaled(given, jets_too=True)), (scale,))


def test_it_begins_as_weaver_does():
    torch.manual_seed(0)
    model = eqt.models.build("particle_transformer").requires_grad_(False)
    for layer, depth in ((model.blocks[0], 1), (model.blocks[7], 8)):
        width = (6 / 256) ** 0.5 / (2 * depth) ** 0.5  # Xavier's bound for 128 to 128
        assert float(layer.attention.out_proj.weight.abs().max()) == pytest.approx(width, rel=1e-3)
    assert float(model.blocks[0].attention.in_proj.weight.abs().max()) == pytest.approx((6 / 256) ** 0.5, rel=1e-3)
    assert not model.head[0].bias.any()
    assert 0 < float(model.class_token.std()) < 0.03


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heads": 3}, "multiple of the heads"),
        ({"heads": 0}, "heads = 0"),
        ({"layers": 0}, "layers = 0"),
        ({"embed_widths": []}, r"embed_widths = \[\]"),
        ({"pair_widths": [4, 0]}, "pair_widths"),
        ({"units": [-1]}, "units"),
        ({"activation": "swiglu"}, "activation"),
        ({"inputs": "everything"}, "inputs"),
        ({"dropout": 2.0}, "dropout"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.models.build("particle_transformer", **SMALL | options)


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({}, {}),
        ({"n_classes": 3, "units": []}, {"prefix": "", "packed": True}),
        ({"pair_widths": None, "layers": 1, "heads": 2}, {"prefix": "module.mod."}),
        ({"embed_widths": [8], "pair_widths": [9], "class_layers": 3}, {"fine_tuned": True}),
    ],
)
def test_conversion(random_jets, options, form):
    model, jets = build(**options), random_jets(COUNTS)
    classes = tuple("abc"[: model.n_classes])
    tagger = eqt.convert.official("particle_transformer", particle_transformer(model, **form), classes=classes)
    assert {name: tagger.model.options[name] for name in SMALL} == {name: model.options[name] for name in SMALL}
    with torch.no_grad():
        assert torch.equal(tagger.model(jets), model(jets))


def test_inputs_must_be_told():
    state = particle_transformer(build(inputs="full"))
    with pytest.raises(eqt.CheckpointError, match=r"17 features(?s:.*)full"):
        eqt.convert.official("particle_transformer", state)
    assert "d0" in eqt.convert.official("particle_transformer", state, inputs="full").model.fields


def test_later_versions_are_refused():
    """weaver's versions 2 and 3 have gated units and lack some of the scales."""
    state = {name: value for name, value in particle_transformer(build()).items() if "post_fc_norm" not in name}
    with pytest.raises(eqt.CheckpointError, match="6 missing"):
        eqt.convert.official("particle_transformer", state | {"blocks.0.fc1_g.weight": torch.zeros(24, 8)})
    with pytest.raises(eqt.CheckpointError, match="c_attn"):
        eqt.convert.official(
            "particle_transformer", {name: value for name, value in state.items() if "c_attn" not in name}
        )


@pytest.mark.parametrize("inputs", ["kinematic", "kinpid", "full"])
def test_as_weaver(random_jets, inputs):
    """weaver-core's own code, given one jet at a time."""
    official = pytest.importorskip("weaver.nn.model.ParticleTransformer", reason="weaver-core is optional")
    ours = build(inputs=inputs)
    theirs = official.ParticleTransformer(
        input_dim=len(ours.embedding[0].weight), num_classes=2, pair_input_dim=4, use_pre_activation_pair=False,
        embed_dims=[12, 8], pair_embed_dims=[6, 5], num_heads=4, num_layers=2, num_cls_layers=1,
        block_params={"ffn_ratio": 3}, cls_block_params={"ffn_ratio": 3}, fc_params=[(7, 0.1)],
    )  # fmt: skip
    theirs.double().eval().load_state_dict(particle_transformer(ours, prefix=""))
    jets = RaggedJets.from_awkward(random_jets(COUNTS))
    jets = replace(jets, columns={name: torch.rand_like(jets.mass) for name in ours.fields})
    with torch.no_grad():
        found = ours(jets)
        for jet, n in enumerate(COUNTS):
            if n:
                alone, mask = jets.slice(jet, jet + 1), torch.ones(1, 1, n, dtype=torch.float64)
                expected = theirs(ours.features(alone).T[None], v=alone.p4[:, [1, 2, 3, 0]].T[None], mask=mask)
                assert deviation(found[jet : jet + 1], expected) <= 1e-8

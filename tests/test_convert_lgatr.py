"""Checkpoints of the package lgatr: names, options, and the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation
from coffea_equitag import RaggedJets
from coffea_equitag.invariants.weaver_variables import weaver_features
from networks import run, shaken
from official_names import lgatr_slim

SMALL = {"vectors": 8, "scalars": 16, "n_layers": 3, "n_heads": 4, "mlp_ratio": 2}


def build(**options):
    torch.manual_seed(3)
    return shaken(eqt.models.build("lgatr_slim", **(SMALL | options)).eval())


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({}, {}),
        ({"mlp_layers": 3, "attention_ratio": 2, "gains": True}, {"dropout": True, "prefix": "module.net."}),
        ({"output": "momentum"}, {"prefix": ""}),
        ({"inputs": "kinematic", "aggregation": "mean"}, {}),
    ],
)
def test_names_are_translated(random_jets, options, how):
    model, jets = build(**options), random_jets([5, 0, 9])
    state = lgatr_slim(model, **how)
    state |= {f"{how.get('prefix', 'net.')}blocks.0.attention.metric": torch.ones(4)}
    hidden = {name: value for name, value in options.items() if name in ("inputs", "aggregation")}
    tagger = eqt.convert.official("lgatr_slim", state, n_heads=4, **hidden)
    assert tagger.card.options == model.options
    assert torch.equal(run(tagger.model)(jets), run(model)(jets))


def test_a_single_logit_is_that_of_the_signal(random_jets):
    model, jets = build(n_classes=1), random_jets([5, 9])
    tagger = eqt.convert.official("lgatr_slim", lgatr_slim(model), n_heads=4)
    np.testing.assert_allclose(tagger(jets), run(model)(jets)[:, 0].sigmoid(), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "given", "words"),
    [
        ({"inputs": "kinematic"}, {}, "7 scalars per constituent, without inputs\n.*inputs='kinematic'"),
        ({}, {"n_heads": 3}, "of the wrong shape .*attention"),
        ({}, {"n_classes": 3}, "head"),
    ],
)
def test_checkpoints_that_do_not_match(options, given, words):
    with pytest.raises(eqt.CheckpointError, match=words):
        eqt.convert.official("lgatr_slim", lgatr_slim(build(**options)), **({"n_heads": 4} | given))


def test_networks_for_something_else():
    state = lgatr_slim(build(output="momentum"), prefix="")
    two = state | {"linear_in.weight_v": state["linear_in.weight_v"].repeat(1, 2)}
    with pytest.raises(eqt.CheckpointError, match="2 vectors in, 1 vectors and 1 scalars out"):
        eqt.convert.official("lgatr_slim", two, n_heads=4)


class TestOfficial:
    """The package lgatr, version 2.0, on one jet at a time: float64, random weights."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"beams": None, "time": False},
            {"beams": "timelike", "both_beams": False, "gains": False},
            {"inputs": "kinematic", "activation": "silu", "vector_activation": "tanh"},
            {"mlp_layers": 3, "attention_ratio": 2, "dropout": 0.1, "beams": "spacelike"},
            {"inputs": "kinematic", "aggregation": "mean"},
        ],
    )
    def test_parity(self, random_jets, options):
        package = pytest.importorskip("lgatr", reason="the package lgatr is not installed")
        if not hasattr(package.LGATrSlim(1, 1, 1, 4, 1, 2, 4, 1), "_naive_amp"):
            pytest.skip("another version of lgatr than 2.0")
        ours = eqt.models.build("lgatr_slim", **(SMALL | options))
        official = self.official(package, ours)
        told = {"n_classes", "output", "vectors", "scalars", "n_layers", "mlp_ratio", "mlp_layers", "attention_ratio"}
        given = {name: value for name, value in ours.options.items() if name not in told | {"gains"}}
        model = eqt.convert.official("lgatr_slim", official.state_dict(), **given).model.eval()
        assert model.options == ours.options
        jets = RaggedJets.from_awkward(random_jets([12, 1, 30, 2, 57, 12]))
        with torch.no_grad():
            expected = torch.stack([self.one(official, model, jets.slice(j, j + 1)) for j in range(jets.num_jets)])
            assert expected.std(0).min() > 1e-3
            assert deviation(model(jets), expected) <= 1e-8

    def official(self, package, ours):
        torch.manual_seed(0)
        of = ours.options
        network = package.LGATrSlim(
            num_blocks=of["n_layers"],
            in_v_channels=1,
            out_v_channels=0,
            hidden_v_channels=of["vectors"],
            in_s_channels=7 * (of["inputs"] is not None) + ours.token,
            out_s_channels=2,
            hidden_s_channels=of["scalars"],
            num_heads=of["n_heads"],
            nonlinearity=of["activation"],
            nonlinearity_v=of["vector_activation"],
            mlp_ratio=of["mlp_ratio"],
            attn_ratio=of["attention_ratio"],
            num_layers_mlp=of["mlp_layers"],
            dropout_prob=of["dropout"] or None,
            norm_elementwise_affine=of["gains"],
        )
        return shaken(network).double().eval()

    def one(self, official, model, jet):
        """Logits of a jet in the laboratory frame, spurions as their definitions say."""
        along = {"lightlike": (1.0, 1.0), "timelike": (2**0.5, 1.0), "spacelike": (0.0, 1.0), None: None}
        beam = along[model.options["beams"]]
        signs = (1, -1)[: 1 + model.options["both_beams"]] if beam else ()
        front = [[0.0] * 4] * model.token + [[beam[0], 0.0, 0.0, sign * beam[1]] for sign in signs]
        front = jet.p4.new_tensor([*front, *[[1.0, 0.0, 0.0, 0.0]] * model.options["time"]]).view(-1, 4)
        vectors = torch.cat([front, jet.p4 / model.options["unit"]])
        scalars = torch.zeros(len(vectors), 7 * (model.options["inputs"] is not None) + model.token).double()
        if model.options["inputs"] is not None:
            scalars[len(front) :, :7] = weaver_features(jet, model.options["inputs"])
        if model.token:
            scalars[0, -1] = 1.0
        found = official(vectors[None, :, None], scalars[None])[1][0]
        return found[0] if model.token else found.mean(0)

"""weaver's ParticleNet and PFN: names, what the shapes tell, and the outputs of the official code on all jets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation, rounding
from coffea_equitag import RaggedJets, kernels
from coffea_equitag.kernels.common.cpu.shapes import SUPPORTED
from networks import enliven
from official_names import weaver


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("particlenet", {}),
        ("particlenet", {"lite": True, "fusion": True, "input_norm": False}),
        (
            "particlenet",
            {"k": [4, 4, 4, 4], "channels": [[8, 8]] * 2 + [[12, 8], [5]], "units": [7, 6], "n_classes": 3},
        ),
        ("pfn", {}),
        ("pfn", {"batch_norm": True, "phi": [5, 6], "f": [7], "n_classes": 4}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "mod.", "module.mod.", "_orig_mod.mod."])
def test_names_and_shapes(random_jets, kind, options, prefix):
    torch.manual_seed(1)
    phantoms = {"phantom_neighbours": True} if kind == "particlenet" else {}
    model = enliven(eqt.models.build(kind, **options, **phantoms)).double()
    given = {name: options[name] for name in ("k",) if name in options}
    classes = tuple("abcdefg"[: options.get("n_classes", 2)])
    tagger = eqt.convert.official(kind, weaver(model, prefix), classes=classes, **given)
    jets = random_jets([3, 0, 1, 20])
    with torch.no_grad():
        assert torch.equal(tagger.model(jets), model(jets))


def test_fine_tuned(random_jets):
    model = enliven(eqt.models.build("particlenet", lite=True, phantom_neighbours=True)).double()
    tagger = eqt.convert.official("particlenet", weaver(model, fine_tuned=True))
    with torch.no_grad():
        assert torch.equal(tagger.model(random_jets([3, 9])), model(random_jets([3, 9])))


def test_phantoms_are_on_unless_refused(random_jets):
    state = weaver(eqt.models.build("particlenet", lite=True))
    assert eqt.convert.official("particlenet", state).card.options["phantom_neighbours"]
    assert not eqt.convert.official("particlenet", state, phantom_neighbours=False).card.options["phantom_neighbours"]


@pytest.mark.parametrize("kind", ["particlenet", "pfn"])
def test_other_inputs_must_be_told(kind):
    state = weaver(eqt.models.build(kind, inputs="kinpid"))
    with pytest.raises(eqt.CheckpointError, match=r"13 features(?s:.*)kinpid"):
        eqt.convert.official(kind, state)
    assert eqt.convert.official(kind, state, inputs="kinpid").model.fields == ("charge", "pdgId")


@pytest.mark.parametrize("kind", ["particlenet", "pfn"])
def test_as_many_classes_as_logits(kind):
    with pytest.raises(eqt.TaggerError, match="3"):
        eqt.convert.official(kind, weaver(eqt.models.build(kind, n_classes=3)))


@pytest.mark.parametrize(
    ("kind", "file", "part", "key"),
    [
        ("particlenet", "particlenet_jetclass", None, "logits_f64"),
        ("particlenet", "particlenet_pfn", "particlenet", "particlenet__logits_pad128"),
        ("pfn", "particlenet_pfn", "pfn_bn0", "pfn_bn0__logits"),
    ],
)
def test_the_official_outputs_of_all_jets(shared_data, kind, file, part, key):
    with np.load(shared_data / "parity" / f"{file}.npz") as arrays:
        parity = dict(arrays)
    state = torch.load(shared_data / "parity" / f"{file}_official.pt", weights_only=True)
    expected = torch.from_numpy(parity[key])
    classes = tuple(f"class {number}" for number in range(expected.shape[1]))
    model = eqt.convert.official(kind, state[part] if part else state, classes=classes).model
    offsets = torch.from_numpy(parity["offsets"])
    jets = RaggedJets.from_momenta(torch.from_numpy(parity["p4"]), offsets)
    features, points = torch.from_numpy(parity["features"]), torch.from_numpy(parity["points"])
    with torch.no_grad():
        arguments = (features, points, offsets) if kind == "particlenet" else (features, offsets)
        for found in (model.double().network(*arguments), model(jets)):
            assert deviation(found, expected) <= 1e-12
        single = model.float()(jets)
        if SUPPORTED:
            assert kernels.last_choice(kind).kernel == "cpu"
        assert deviation(single.double(), expected) <= rounding(model, jets.slice(0, 8))


def config(variables, **more):
    return {"inputs": {"pf_features": {"length": 128, "pad_mode": "wrap", "vars": variables}}} | more


def test_the_inputs_of_a_configuration():
    variables = [["part_pt_log", 1.7, 0.7], ["part_d0err", 0, 1, 0, 1, 0], ["part_deta", None], "part_dphi"]
    expected = [
        ["part_pt_log", 1.7, 0.7, -5.0, 5.0],
        ["part_d0err", 0.0, 1.0, 0.0, 1.0],
        ["part_deta", None, 1.0, -5.0, 5.0],
        ["part_dphi", None, 1.0, -5.0, 5.0],
    ]
    formulas = {"part_pt_log": "np.log( part_pt )", "part_mask": "ak.ones_like(part_energy)"}
    found = eqt.convert.weaver_inputs(config(variables, preprocess={"method": "manual"}, new_variables=formulas))
    assert found == expected
    assert eqt.models.build("pfn", inputs=found).options["inputs"] == expected


def test_the_inputs_of_automatic_standardisation():
    automatic = config(["part_pt_log", ["part_deta", None]], preprocess={"method": "auto", "data_fraction": 0.5})
    with pytest.raises(eqt.CheckpointError, match=r"part_pt_log(?s:.*)auto\.yaml"):
        eqt.convert.weaver_inputs(automatic)
    numbers = {"length": 128, "pad_mode": "wrap", "center": 0.5, "scale": 0.25, "min": -4, "max": 5, "pad_value": 0}
    automatic["preprocess"]["params"] = {"part_pt_log": numbers, "part_deta": numbers | {"center": None}}
    assert eqt.convert.weaver_inputs(automatic) == [
        ["part_pt_log", 0.5, 0.25, -4.0, 5.0],
        ["part_deta", None, 0.25, -4.0, 5.0],
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "no inputs"),
        ([], "no inputs"),
        (config(["part_unknown"]), "part_unknown"),
        (config(["part_d0"], new_variables={"part_d0": "np.tanh(part_d0val / 2)"}), "published"),
        (config(["part_pt_log"], new_variables={"part_pt": "part_pt_raw"}), "published"),
    ],
)
def test_inputs_that_cannot_be_told(wrong, words):
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.convert.weaver_inputs(wrong)

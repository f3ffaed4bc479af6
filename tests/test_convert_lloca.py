"""lloca's transformer and frame prediction: names, what the shapes tell, and the package's outputs jet by jet."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import coffea_equitag as eqt
from arithmetic import deviation
from coffea_equitag import RaggedJets
from coffea_equitag.invariants.frame_features import frame_features
from coffea_equitag.models.lloca_inputs import reference_vectors, with_least_mass

HEAD = {"scalars": 4, "vectors": 1, "tensors": 1}
SMALL = HEAD | {"heads": 2, "blocks": 2, "frame_width": 8, "mlp_factor": 3}


def official(model):
    """The state dict of a network as the authors would have saved it."""
    found = {"net.attention.transform.parity_odd": torch.zeros(1, 24, dtype=torch.bool)}
    for name, value in model.state_dict().items():
        part, *rest = name.split(".")
        if part == "frames" and rest[0].startswith("edge"):
            name = f"framesnet.equivectors.block.{rest[0]}"
        elif part == "frames":
            index = 0 if rest[0] == "first" else 2 * (int(rest[1]) + 1) // 3
            name = f"framesnet.equivectors.block.mlp.mlp.{index}.{rest[-1]}"
        elif part == "blocks":
            name = "net." + name.replace("attention.qkv.", "attention.qkv_linear.linear.")
            name = name.replace("attention.out.", "attention.out_linear.")
        else:
            name = f"net.linear_{'in' if part == 'embedding' else 'out'}.{rest[0]}"
        found[name] = value
    return found | {"framesnet.equivectors.block.edge_inited": torch.tensor(True)}


@pytest.mark.parametrize("options", [{}, {"laboratory": False, "frame_layers": 3, "beams": False}, {"n_classes": 3}])
def test_names_and_shapes(random_jets, options):
    torch.manual_seed(1)
    model = eqt.models.build("lloca_transformer", **SMALL, **options, least_mass=5e-3).double().eval()
    given = {name: options[name] for name in ("beams",) if name in options}
    classes = tuple("abc"[: options.get("n_classes", 2)])
    tagger = eqt.convert.official("lloca_transformer", official(model), classes=classes, **HEAD, **given)
    assert tagger.model.options == model.options
    jets = random_jets([3, 0, 1, 20])
    with torch.no_grad():
        assert torch.equal(tagger.model(jets), model(jets))


@pytest.mark.parametrize("wrong", [{}, {"scalars": 8, "vectors": 2}])
def test_channels_of_a_head_must_be_told(wrong):
    state = official(eqt.models.build("lloca_transformer", **SMALL))
    with pytest.raises(eqt.CheckpointError, match="24 channels per head"):
        eqt.convert.official("lloca_transformer", state, **wrong)


def test_columns_must_be_told():
    state = official(eqt.models.build("lloca_transformer", **SMALL, fields=["charge"]))
    with pytest.raises(eqt.CheckpointError, match="8 features per constituent"):
        eqt.convert.official("lloca_transformer", state, **HEAD)
    assert eqt.convert.official("lloca_transformer", state, **HEAD, fields=["charge"]).model.fields == ("charge",)


@pytest.mark.parametrize("references", [True, False])
def test_the_package_itself(random_jets, references):
    """One jet at a time, in the laboratory frame and in float64."""
    pytest.importorskip("lloca", reason="the authors' package is not installed")
    from lloca.backbone.transformer import Transformer
    from lloca.equivectors.mlp import MLPVectors
    from lloca.framesnet.equi_frames import LearnedPDFrames

    torch.manual_seed(1)
    vectors = partial(MLPVectors, num_scalars=7, hidden_channels=16, num_layers_mlp=2)
    parts = {"framesnet": LearnedPDFrames(vectors), "net": Transformer(7, "4x0n+1x1n+1x2n", 2, 2, 2)}
    tagger = torch.nn.ModuleDict(parts).double().eval()
    block = parts["framesnet"].equivectors.block
    block.edge_inited.fill_(True)
    block.mlp.mlp[-1].weight.data *= 10
    model = eqt.convert.official("lloca_transformer", tagger.state_dict(), beams=references, **HEAD).model
    jets = RaggedJets.from_awkward(random_jets([5, 30, 12, 9]))
    first = reference_vectors(5e-3)[0][: 3 * references]
    with torch.no_grad():
        found, expected = model(jets), []
        for number in range(jets.num_jets):
            p4 = torch.cat([first, with_least_mass(jets.slice(number, number + 1), 5e-3).p4])
            laboratory = frame_features(p4, p4.sum(0).expand_as(p4))
            laboratory[: len(first)] = 0
            frames = parts["framesnet"](p4, laboratory, ptr=torch.tensor([0, len(p4)]))
            frames = type(frames)(frames.matrices[len(first) :])
            own = p4[len(first) :]
            seen = [(frames.matrices @ vector[..., None])[..., 0] for vector in (own, own.sum(0).expand_as(own))]
            expected.append(parts["net"](frame_features(*seen), frames, p_ref=own.sum(0)).mean(0))
    assert deviation(found, torch.stack(expected)) <= 1e-8

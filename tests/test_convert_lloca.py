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
from official_names import lloca_transformer

HEAD = {"scalars": 4, "vectors": 1, "tensors": 1}
SMALL = HEAD | {"heads": 2, "blocks": 2, "frame_width": 8, "mlp_factor": 3}


@pytest.mark.parametrize("options", [{}, {"laboratory": False, "frame_layers": 3, "beams": False}, {"n_classes": 3}])
def test_names_and_shapes(random_jets, options):
    torch.manual_seed(1)
    model = eqt.models.build("lloca_transformer", **SMALL, **options, least_mass=5e-3).double().eval()
    given = {name: options[name] for name in ("beams",) if name in options}
    classes = tuple("abc"[: options.get("n_classes", 2)])
    tagger = eqt.convert.official("lloca_transformer", lloca_transformer(model), classes=classes, **HEAD, **given)
    assert tagger.model.options == model.options
    jets = random_jets([3, 0, 1, 20])
    with torch.no_grad():
        assert torch.equal(tagger.model(jets), model(jets))


@pytest.mark.parametrize("wrong", [{}, {"scalars": 8, "vectors": 2}])
def test_channels_of_a_head_must_be_told(wrong):
    state = lloca_transformer(eqt.models.build("lloca_transformer", **SMALL))
    with pytest.raises(eqt.CheckpointError, match="24 channels per head"):
        eqt.convert.official("lloca_transformer", state, **wrong)


def test_columns_must_be_told():
    state = lloca_transformer(eqt.models.build("lloca_transformer", **SMALL, fields=["charge"]))
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

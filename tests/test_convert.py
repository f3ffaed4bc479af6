from __future__ import annotations

import pickle

import pytest
import torch

import coffea_equitag as eqt
from official_names import lorentznet

SMALL = {"n_scalar": 2, "hidden": 6, "n_layers": 2}


@pytest.fixture
def state():
    """A checkpoint with the parameter names of the official code."""
    model = eqt.models.build("lorentznet", **SMALL)
    return lorentznet(model, "module.")


def test_names_are_translated(state, tmp_path, random_jets):
    torch.save({"state_dict": state}, tmp_path / "best.pt")
    tagger = eqt.convert.official("lorentznet", tmp_path / "best.pt", clamp=100.0, **SMALL)
    assert tagger.card.options["clamp"] == 100.0
    assert tagger.classes == ("background", "signal")
    assert torch.equal(tagger.model.embedding.weight, state["module.embedding.weight"])
    assert len(tagger(random_jets([3, 0]))) == 2


def test_partial_checkpoint(state):
    del state["module.embedding.bias"]
    with pytest.raises(eqt.CheckpointError, match=r"1 missing \(embedding.bias\)"):
        eqt.convert.official("lorentznet", state, **SMALL)


def test_wrong_shape_and_left_over(state):
    with pytest.raises(eqt.CheckpointError, match="of the wrong shape") as caught:
        eqt.convert.official("lorentznet", state | {"module.extra": torch.zeros(1)}, **(SMALL | {"hidden": 7}))
    assert "left over (extra)" in str(caught.value)


def test_file_that_would_run_code(tmp_path):
    class Malicious:
        def __reduce__(self):
            return print, ("code ran",)

    (tmp_path / "bad.pt").write_bytes(pickle.dumps({"a": Malicious()}, protocol=2))
    with pytest.raises(eqt.CheckpointError, match=r"plain weights: it holds \S*print\n") as caught:
        eqt.convert.official("lorentznet", tmp_path / "bad.pt")
    assert "weights_only" not in str(caught.value)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(eqt.CheckpointError, match=r"plain weights\n"):
        eqt.convert.official("lorentznet", tmp_path / "text.pt")


@pytest.mark.parametrize("wrong", [{}, {"a": 3}, {"a": {"b": torch.zeros(1)}}])
def test_no_state_dict(wrong):
    with pytest.raises(eqt.CheckpointError, match="does not map names to tensors"):
        eqt.convert.official("lorentznet", wrong)


@pytest.mark.parametrize(
    "kind", ["lgatr_slim", "lgn", "lloca_transformer", "lorentznet", "particlenet", "pelican", "pfn"]
)
def test_weights_of_something_else(kind):
    with pytest.raises(eqt.CheckpointError, match="checkpoint"):
        eqt.convert.official(kind, {"a.weight": torch.zeros(1)})


def test_missing_file_and_unknown_kind(tmp_path):
    with pytest.raises(eqt.CheckpointError, match="no file"):
        eqt.convert.official("lorentznet", tmp_path / "none.pt")
    with pytest.raises(eqt.CheckpointError, match="no converter for 'part'"):
        eqt.convert.official("part", {})


def lorentznet_of(n_scalar):
    """A checkpoint of the official LorentzNet whose nodes have so many scalars."""
    small = {"hidden": 4, "n_layers": 1, "beams": False}
    return lorentznet(eqt.models.build("lorentznet", n_scalar=n_scalar, **small))


TOP = {"beams": True, "pid": False, "use_one_hot": True, "mass_noise": True, "c_weight": 5e-3}
QUARK_GLUON = {"beams": False, "pid": True, "use_one_hot": True, "mass_noise": False, "c_weight": 1e-3}
MASS_CHARGE = {"beams": False, "use_one_hot": False, "mass_noise": False, "c_weight": 1e-3}


@pytest.mark.parametrize(
    ("n_scalar", "given", "expected"),
    [
        (1, {}, TOP | {"beams": False}),
        (2, {}, TOP),
        (2, {"n_scalar": 2, "mass_noise": False, "c_weight": 0.1}, TOP | {"mass_noise": False, "c_weight": 0.1}),
        (8, {}, QUARK_GLUON),
        (8, {"n_scalar": 8, "pid": True}, QUARK_GLUON),
        (9, {}, QUARK_GLUON | {"beams": True}),
        (2, {"use_one_hot": False}, MASS_CHARGE),
        (2, {"use_one_hot": False, "pid": True, "beams": False}, MASS_CHARGE | {"pid": True}),
        (3, {"use_one_hot": False}, MASS_CHARGE | {"beams": True}),
    ],
)
def test_lorentznet_scalars_are_inferred(n_scalar, given, expected):
    tagger = eqt.convert.official("lorentznet", lorentznet_of(n_scalar), hidden=4, n_layers=1, **given)
    assert tagger.card.options.items() >= expected.items()


@pytest.mark.parametrize(
    ("n_scalar", "given", "words"),
    [
        (8, {"pid": False, "n_scalar": 8}, r"8 scalars per node, and n_scalar=8, pid=False\n.*pid=True.*beams=False"),
        (8, {"pid": False, "n_scalar": 8, "beams": False}, r"the one-hot of \|pdgId\|: pid=True"),
        (8, {"beams": True}, "8 scalars per node, and beams=True"),
        (8, {"use_one_hot": False}, "8 scalars per node, and use_one_hot=False"),
        (8, {"n_scalar": 2}, "8 scalars per node, and n_scalar=2"),
        (9, {"pid": True, "beams": False}, r"ψ\(mass\) of the beams: pid=True, use_one_hot=True, beams=True"),
        (2, {"beams": False}, r"ψ\(mass\) of the beams: .*beams=True; or ψ\(mass\) and ψ\(charge\): use_one_hot=False"),
        (2, {"pid": True, "n_scalar": 2}, "2 scalars per node, and n_scalar=2, pid=True"),
        (3, {"n_scalar": 3}, "use_one_hot=False, beams=True"),
        (5, {}, r"5 scalars per node, and no options\n.*1, 2, 3, 8 or 9 scalars"),
    ],
)
def test_lorentznet_trained_with_other_scalars(n_scalar, given, words):
    with pytest.raises(eqt.CheckpointError, match=words):
        eqt.convert.official("lorentznet", lorentznet_of(n_scalar), hidden=4, n_layers=1, **given)


def test_weights_keep_their_precision(state, tmp_path, random_jets):
    state = {name: value.double() if value.is_floating_point() else value for name, value in state.items()}
    tagger = eqt.convert.official("lorentznet", state, **SMALL)
    assert tagger.model.dtype == torch.float64
    tagger.save(tmp_path / "t")
    again = eqt.load(tmp_path / "t", "cpu")
    assert again.model.dtype == torch.float64
    assert again(random_jets([3, 5])).tolist() == tagger(random_jets([3, 5])).tolist()

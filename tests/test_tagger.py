from __future__ import annotations

import json
import os
import pickle
import secrets
import shutil
import warnings

import awkward as ak
import numpy as np
import pytest
import torch

import coffea_equitag as eqt
from arithmetic import rounding_of_scores
from coffea_equitag import RaggedJets
from coffea_equitag.tagger import inference, load_count
from kernel_forms import needs_vectors


@pytest.fixture
def tagger():
    torch.manual_seed(1)
    model = eqt.models.build("lorentznet", hidden=8, n_layers=2)
    return eqt.Tagger.from_model(model, name="small", classes=("qcd", "top"))


@pytest.fixture
def jets(random_jets):
    return ak.unflatten(random_jets([5, 0, 12, 3, 1]), [2, 0, 3])


def test_scores_have_the_jets_structure(tagger, jets):
    scores = tagger(jets)
    assert ak.num(scores).tolist() == [2, 0, 3]
    assert str(scores.type) == "3 * var * float32"
    assert ak.all((scores > 0) & (scores < 1), axis=None)


def test_missing_jets_stay_missing(tagger, jets):
    masked = ak.mask(jets, ak.num(jets.constituents, axis=2) > 2)
    scores = tagger(masked)
    assert ak.is_none(scores, axis=1).tolist() == ak.is_none(masked, axis=1).tolist()
    expected, allowed = ak.flatten(tagger(jets))[[0, 2, 3]], rounding_of_scores(tagger, jets)
    np.testing.assert_allclose(ak.flatten(ak.drop_none(scores)), expected, rtol=0, atol=allowed)


def test_score_is_the_signals_softmax(tagger, jets):
    with torch.no_grad():
        expected = torch.softmax(tagger.model(jets).double(), 1)[:, 1]
    np.testing.assert_allclose(ak.flatten(tagger(jets)), expected, rtol=1e-6)
    tagger.card = tagger.card.model_copy(update={"signal": "qcd"})
    np.testing.assert_allclose(ak.flatten(tagger(jets)), 1 - expected, rtol=1e-5)


def test_more_classes_give_a_record(jets):
    tagger = eqt.Tagger.from_model(
        eqt.models.build("pfn", n_classes=3, phi=(4,), f=(4,)), name="three", classes=("b", "c", "light")
    )
    scores = tagger(jets)
    assert scores.fields == ["b", "c", "light"]
    np.testing.assert_allclose(ak.flatten(scores.b + scores.c + scores.light), 1, rtol=1e-6)


@pytest.mark.parametrize("budget", [1, 50, 10**6])
def test_scores_do_not_depend_on_the_budget(tagger, jets, budget):
    found, expected = ak.flatten(tagger(jets, pair_budget=budget)), ak.flatten(tagger(jets))
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding_of_scores(tagger, jets))


def test_no_jets(tagger, jets):
    assert tagger(jets[:0]).tolist() == []
    assert tagger(jets[1:2]).tolist() == [[]]


def test_save_and_load(tagger, jets, tmp_path):
    tagger.save(tmp_path / "t")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]
    again = eqt.load(tmp_path / "t", device="cpu")
    assert again.card == tagger.card
    assert again.content_hash == tagger.content_hash
    assert ak.array_equal(again(jets), tagger(jets))
    with pytest.raises(eqt.TaggerError, match="already exists"):
        tagger.save(tmp_path / "t")
    tagger.save(tmp_path / "t", overwrite=True)


def test_save_never_replaces_something_else(tagger, tmp_path):
    (tmp_path / "thesis").mkdir()
    with pytest.raises(eqt.TaggerError, match="is not a tagger"):
        tagger.save(tmp_path / "thesis", overwrite=True)


def test_failed_save_leaves_nothing(tagger, tmp_path, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save", full)
    with pytest.raises(OSError, match="No space"):
        tagger.save(tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


def test_pickle_is_a_path_and_a_hash_and_loads_once(tagger, jets, tmp_path):
    tagger.save(tmp_path / "t")
    pickled = pickle.dumps(tagger)
    assert len(pickled) < 1000
    before = load_count()
    copies = [pickle.loads(pickled) for _ in range(5)]
    assert load_count() == before + 1
    assert all(copy is copies[0] for copy in copies)
    assert ak.array_equal(copies[0](jets), tagger(jets))
    assert eqt.load(tmp_path / "t", device="cpu", shared=True) is copies[0]
    assert load_count() == before + 1


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """Where taggers are saved that are sent from memory."""
    monkeypatch.setenv("COFFEA_EQUITAG_TAGGERS", str(tmp_path / "sent"))
    return tmp_path / "sent"


def changed(tagger):
    """New weights, that no other test loads."""
    with torch.no_grad():
        tagger.model.embedding.weight += secrets.randbelow(2**20) / 2**20


def test_a_tagger_in_memory_is_saved_once_and_sent_as_a_path(tagger, jets, sent):
    changed(tagger)
    pickled = [pickle.dumps(tagger) for _ in range(2)]
    assert len(pickled[0]) < 1000
    assert [path.name for path in sent.iterdir()] == [tagger.content_hash]
    assert tagger.path is None
    before = load_count()
    copies = [pickle.loads(one) for one in pickled]
    assert load_count() == before + 1
    assert copies[0] is copies[1]
    assert ak.array_equal(copies[0](jets), tagger(jets))


def test_a_tagger_changed_in_memory_is_sent_as_it_is(tagger, jets, tmp_path, sent):
    tagger.save(tmp_path / "t")
    changed(tagger)
    copy = pickle.loads(pickle.dumps(tagger))
    assert copy.content_hash == tagger.content_hash != tagger.card.content_hash
    assert ak.array_equal(copy(jets), tagger(jets))
    assert eqt.load(tmp_path / "t").content_hash != tagger.content_hash


def test_old_taggers_are_removed(tagger, sent):
    pickle.dumps(tagger)
    (folder,) = sent.iterdir()
    os.utime(folder, (0, 0))
    pickle.dumps(tagger)
    assert folder.stat().st_mtime > 0
    os.utime(folder, (0, 0))
    changed(tagger)
    pickle.dumps(tagger)
    assert [path.name for path in sent.iterdir()] == [tagger.content_hash]


def test_where_taggers_from_memory_cannot_be_saved_or_seen(tagger, sent, tmp_path):
    changed(tagger)
    pickled = pickle.dumps(tagger)
    shutil.rmtree(sent)
    with pytest.raises(eqt.TaggerError, match=r"which this process does not see(.|\n)*COFFEA_EQUITAG_TAGGERS"):
        pickle.loads(pickled)
    sent.write_text("a file")
    with pytest.raises(eqt.TaggerError, match="cannot be saved for other processes"):
        pickle.dumps(tagger)


def test_replaced_tagger_is_noticed(tagger, tmp_path):
    changed(tagger)
    tagger.save(tmp_path / "t")
    pickled = pickle.dumps(tagger)
    changed(tagger)
    tagger.save(tmp_path / "t", overwrite=True)
    with pytest.raises(eqt.TaggerError, match="it has been replaced"):
        pickle.loads(pickled)


def test_damaged_weights_and_cards(tagger, tmp_path):
    tagger.save(tmp_path / "t")
    card = tmp_path / "t" / "card.json"
    text = card.read_text()
    card.write_text(json.dumps(json.loads(text) | {"signal": "qcd"}))
    with pytest.raises(eqt.CheckpointError, match="do not belong together"):
        eqt.load(tmp_path / "t")
    card.write_text(json.dumps(json.loads(text) | {"colour": "red"}))
    with pytest.raises(eqt.TaggerError, match="not a valid card"):
        eqt.load(tmp_path / "t")
    card.write_text(text)
    weights = tmp_path / "t" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(eqt.CheckpointError, match="a copy may be incomplete"):
        eqt.load(tmp_path / "t")


def test_no_tagger_there(tmp_path):
    with pytest.raises(eqt.TaggerError, match="no such folder"):
        eqt.load(tmp_path / "nothing")
    with pytest.raises(eqt.TaggerError, match=r"without card\.json"):
        eqt.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ("a",)}, r"a card with classes \('a',\): at least two are needed\n"),
        ({"classes": ("a", "b", "c")}, "3 classes"),
        ({"classes": ("a", "a")}, "not all different"),
        ({"classes": ("a", "b"), "signal": "c"}, "signal 'c' is not one of the classes"),
        ({"classes": ("a", "b"), "colour": "red"}, "a card with colour = 'red': Extra inputs"),
        ({"classes": ("a", "b"), "name": "a b"}, "a card with name = 'a b': "),
    ],
)
def test_cards_that_do_not_fit(changes, words):
    model = eqt.models.build("pfn", phi=(4,), f=(4,))
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.Tagger.from_model(model, **({"name": "x"} | changes))


def test_range_warning_comes_once_and_suspects_mev(tagger, random_jets):
    contract = tagger.card.contract.model_copy(update={"pt_range": (50.0, 1000.0)})
    tagger.card = tagger.card.model_copy(update={"contract": contract})
    jets = random_jets([20, 30, 25])
    with warnings.catch_warnings():
        warnings.simplefilter("error", eqt.JetRangeWarning)
        tagger(jets)
    momenta = jets.constituents
    scaled = ak.zip({"pt": momenta.pt * 1000, "eta": momenta.eta, "phi": momenta.phi, "mass": momenta.mass * 1000})
    mev = eqt.make_jets(scaled)
    with pytest.warns(eqt.JetRangeWarning, match="look like MeV"):
        tagger(mev)
    with warnings.catch_warnings():
        warnings.simplefilter("error", eqt.JetRangeWarning)
        tagger(mev)


def test_range_warning_on_other_jets(tagger, random_jets):
    contract = tagger.card.contract.model_copy(update={"pt_range": (550.0, 650.0)})
    tagger.card = tagger.card.model_copy(update={"contract": contract})
    with pytest.warns(eqt.JetRangeWarning, match="3 of 3 jets"):
        tagger(random_jets([3, 3, 3]))


SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError("Unable to allocate 3.2 GiB for an array"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to"),
]


#: Form of the network, threads, numbers of jets in the pieces.
FORMS_AND_PIECES = [
    ("reference", 1, [10] * 13),
    pytest.param("cpu", 1, [31] * 3 + [27, 10], marks=needs_vectors),
    pytest.param("cpu", 2, [17] * 7 + [10, 1], marks=needs_vectors),
]


@pytest.mark.parametrize("kind", ["pelican", "pfn"])
@pytest.mark.parametrize("shortage", SHORTAGES)
def test_memory_shortage_halves_the_budget(random_jets, kind, shortage):
    jets, tried = RaggedJets.from_awkward(random_jets([5] * 40)), []
    model = eqt.models.build(kind)

    def short(piece):
        tried.append(piece.num_jets)
        if piece.num_jets > 3:
            raise shortage
        return piece.jet_p4.numpy()

    found = inference._halving(short, model, jets, 10_000)
    np.testing.assert_array_equal(np.concatenate(found), jets.jet_p4)
    assert tried == [40, 20, 10, 5, *[2] * 20]
    with pytest.raises(type(shortage)):
        inference._halving(lambda piece: short(jets), model, jets, 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_scores_despite_little_memory(tagger, random_jets, monkeypatch, threads):
    tagger.model.double()
    jets = random_jets([40, 3, 25, 60, 0, 33] * 3)
    expected, logits = tagger(jets), type(tagger.model).logits

    def short(self, jets):
        if jets.num_jets > 1:
            raise MemoryError
        return logits(self, jets)

    monkeypatch.setattr(type(tagger.model), "logits", short)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = tagger(jets)
    finally:
        torch.set_num_threads(before)
    # float64 inside: at most the last bit of the float32 scores
    np.testing.assert_allclose(found, expected, rtol=np.finfo(np.float32).eps)


def test_other_errors_are_not_retried(random_jets):
    jets = RaggedJets.from_awkward(random_jets([5] * 4))

    def fail(piece):
        raise RuntimeError("a size does not match")

    with pytest.raises(RuntimeError, match="does not match"):
        inference._halving(fail, eqt.models.build("pfn"), jets, 10_000)


def test_loading_leaves_the_random_numbers_alone(tagger, tmp_path):
    tagger.save(tmp_path / "t")
    before = torch.random.get_rng_state()
    eqt.load(tmp_path / "t")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_metrics_on_the_card_are_finite(tagger):
    with pytest.raises(ValueError, match="finite"):
        type(tagger.card).model_validate(tagger.card.model_dump() | {"metrics": {"loss": float("nan")}})


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_scores_do_not_depend_on_the_threads(tagger, random_jets, threads):
    jets = random_jets([40, 3, 25, 60, 0, 33] * 3)
    expected = tagger(jets, pair_budget=2000)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert ak.array_equal(tagger(jets, pair_budget=2000), expected)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("mode", "threads", "sizes"), FORMS_AND_PIECES)
def test_kernels_get_larger_pieces_as_many_as_keep_all_threads_busy(random_jets, monkeypatch, mode, threads, sizes):
    """With a budget of 1000 pairs, jets of 10 constituents: the first 10, or 1 if threads wait, then the others."""
    monkeypatch.setattr(inference, "PAIR_BUDGET", {"cpu": 1000})
    model, seen = eqt.models.build("pelican", symmetry="so13", size="3k"), []
    logits = type(model).logits
    monkeypatch.setattr(type(model), "logits", lambda self, jets: seen.append(jets.num_jets) or logits(self, jets))
    jets = RaggedJets.from_awkward(random_jets([10] * 130))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with eqt.kernels.use(mode):
            inference.outputs(model, jets)  # with the kernel's self-check
            seen.clear()
            found = inference.outputs(model, jets)
            assert sorted(seen, reverse=True) == sizes
            np.testing.assert_array_equal(inference.outputs(model, jets, 1000), found)
    finally:
        torch.set_num_threads(before)


def test_a_tagger_of_the_hardest_constituents_leaves_the_others_out(tagger, jets, tmp_path):
    model = tagger.model
    every = tagger(jets)
    model.max_constituents = 4
    few = eqt.Tagger.from_model(model, name="few", classes=("qcd", "top"))
    order = ak.argsort(jets.constituents.pt, axis=-1, ascending=False)
    kept = ak.copy(jets)
    kept["constituents"] = jets.constituents[ak.sort(order[..., :4], axis=-1)]
    scores = few(jets)
    assert scores.tolist() == few(kept).tolist()
    assert (scores == every).tolist() == (ak.num(jets.constituents, axis=-1) <= 4).tolist()
    # it is part of the contract: stored, hashed, loaded
    few.save(tmp_path / "few")
    again = eqt.load(tmp_path / "few", "cpu")
    assert again.card.contract.max_constituents == 4
    assert again(jets).tolist() == scores.tolist()
    assert few.content_hash != tagger.content_hash

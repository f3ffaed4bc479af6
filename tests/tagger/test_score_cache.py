import os
import threading

import numpy as np
import pytest
import torch

from coffea_equitag import models
from coffea_equitag.errors import CacheWarning, TaggerError
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.tagger import Tagger
from coffea_equitag.tagger.jet_keys import jet_keys
from coffea_equitag.tagger.score_cache import cached_tagger, prune_scores

CHUNK = ("8f3a", "/Events", "0-100")


@pytest.fixture(scope="module")
def tagger():
    torch.manual_seed(3)
    return Tagger.from_model(models.build("pfn", n_classes=3), name="net", classes=("a", "b", "c"))


@pytest.fixture
def jets(random_jets):
    return random_jets(counts=[3, 0, 1, 7, 2])


def test_second_pass_reads_the_same_bits(tagger, jets, tmp_path):
    first = cached_tagger(tagger, tmp_path, CHUNK)
    expected = tagger(jets)
    assert first(jets).to_list() == expected.to_list()
    second = cached_tagger(tagger, tmp_path, CHUNK)
    assert second(jets).to_list() == expected.to_list()
    assert (first.found, first.computed, second.found, second.computed) == (0, 5, 5, 0)


def test_only_what_is_new_is_computed(tagger, jets, tmp_path):
    cached_tagger(tagger, tmp_path, CHUNK)(jets[[3, 1]])
    second = cached_tagger(tagger, tmp_path, CHUNK)
    assert second(jets).to_list() == tagger(jets).to_list()
    assert (second.found, second.computed) == (2, 3)
    third = cached_tagger(tagger, tmp_path, CHUNK)
    assert third(jets[::-1]).to_list() == tagger(jets[::-1]).to_list()
    assert third.computed == 0


def test_any_change_of_a_jet_changes_its_key(jets):
    ragged = RaggedJets.from_awkward(jets)
    keys = jet_keys(ragged, "tagger")
    assert len(np.unique(keys, axis=0)) == len(keys)
    for name in ("p4", "mass", "jet_p4"):
        changed = RaggedJets.from_awkward(jets)
        values = getattr(changed, name)
        row = 2 if name == "jet_p4" else 3
        values[row] = torch.nextafter(values[row], torch.full_like(values[row], torch.inf))
        differs = (jet_keys(changed, "tagger") != keys).any(axis=1)
        assert differs.tolist() == [False, False, True, False, False]
    assert (jet_keys(ragged, "another") != keys).any(axis=1).all()
    assert (jet_keys(ragged.select(torch.tensor([4, 0])), "tagger") == keys[[4, 0]]).all()


def test_columns_are_part_of_the_key(jets):
    ragged = RaggedJets.from_awkward(jets)
    kinds = [torch.ones(len(ragged.p4), dtype=kind) for kind in (torch.int32, torch.int64, torch.float32)]
    keys = [
        jet_keys(RaggedJets(ragged.p4, ragged.mass, ragged.offsets, ragged.jet_p4, columns={"charge": one}), "t")
        for one in kinds
    ]
    keys.append(
        jet_keys(RaggedJets(ragged.p4, ragged.mass, ragged.offsets, ragged.jet_p4, columns={"d0": kinds[0]}), "t")
    )
    assert len(np.unique(np.concatenate(keys), axis=0)) == 4 * 5


def test_another_tagger_does_not_find_them(tagger, jets, tmp_path):
    cached_tagger(tagger, tmp_path, CHUNK)(jets)
    warmer = cached_tagger(tagger.with_temperature(2.0), tmp_path, CHUNK)
    assert warmer(jets).to_list() == tagger.with_temperature(2.0)(jets).to_list()
    assert warmer.computed == 5


@pytest.mark.parametrize("damage", [lambda old: old[:-3], lambda old: b"", lambda old: old[:40] + b"\xff" + old[41:]])
def test_damaged_files_are_computed_again(tagger, jets, tmp_path, damage):
    cached_tagger(tagger, tmp_path, CHUNK)(jets)
    (path,) = tmp_path.rglob("*.scores")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(CacheWarning, match="damaged"):
        assert cached_tagger(tagger, tmp_path, CHUNK)(jets).to_list() == tagger(jets).to_list()
    again = cached_tagger(tagger, tmp_path, CHUNK)
    assert again(jets).to_list() == tagger(jets).to_list()
    assert again.computed == 0


def test_scores_despite_a_folder_that_cannot_be_written(tagger, jets, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(CacheWarning, match="cannot be"):
        assert cached_tagger(tagger, tmp_path / "file", CHUNK)(jets).to_list() == tagger(jets).to_list()


def test_jets_from_nowhere_and_no_jets(tagger, jets, tmp_path):
    cached_tagger(tagger, tmp_path)(jets)
    second = cached_tagger(tagger, tmp_path)
    assert second(jets).to_list() == tagger(jets).to_list()
    assert second.computed == 0
    assert cached_tagger(tagger, tmp_path, CHUNK)(jets[:0]).to_list() == []


def test_writers_at_the_same_time(tagger, jets, tmp_path):
    def score():
        assert cached_tagger(tagger, tmp_path, CHUNK)(jets).to_list() == tagger(jets).to_list()

    threads = [threading.Thread(target=score) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_prune_removes_what_was_not_used_for_longest(tagger, jets, tmp_path):
    for number in range(3):
        cached_tagger(tagger, tmp_path, ("f", "t", str(number)))(jets)
    old, middle, new = sorted(tmp_path.rglob("*.scores"))
    for age, path in enumerate((new, middle, old)):
        os.utime(path, (1e9 - age, 1e9 - age))
    cached_tagger(tagger, tmp_path, ("f", "t", "0"))(jets)
    size = old.stat().st_size
    assert prune_scores(tmp_path, 2 * size) == size
    assert sorted(tmp_path.rglob("*.scores")) == [old, new]


def test_scorers_without_a_hash_are_refused(tmp_path):
    class Scorer:
        classes = ("a", "b")

    with pytest.raises(TaggerError, match="no content hash"):
        cached_tagger(Scorer(), tmp_path)

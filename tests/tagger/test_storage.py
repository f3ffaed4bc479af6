"""Taggers on disk: which one a name means, whether it is whole, and whether it is the one that a job began with."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import coffea_equitag as eqt
from coffea_equitag import models
from coffea_equitag.tagger import load_count, load_pinned, storage
from coffea_equitag.tagger.card import Card, InputContract


def new_tagger(seed, **options):
    torch.manual_seed(seed)
    return eqt.Tagger.from_model(models.build("pfn", phi=(4,), f=(4,), **options), name=f"t{seed}", classes=("b", "s"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, np.float32(np.inf)])
def test_options_are_finite(value):
    with pytest.raises(eqt.TaggerError, match=r"clamp = .*\n.*finite number"):
        models.build("lorentznet", clamp=value)
    card = new_tagger(0).card
    for options in ({"clamp": value}, {"widths": [1.0, (2.0, value)]}):
        with pytest.raises(ValueError, match="is not a finite number"):
            Card.model_validate(card.model_dump() | {"options": options})
    with pytest.raises(ValueError, match="finite"):
        InputContract(pt_range=(0.0, value))


def test_no_card_with_an_infinity_is_read_or_written(tmp_path):
    tagger = new_tagger(0)
    tagger.save(tmp_path / "t")
    card = tmp_path / "t" / "card.json"
    card.write_text(card.read_text().replace('"batch_norm": false', '"batch_norm": -Infinity'))
    with pytest.raises(eqt.TaggerError, match="is not a finite number"):
        eqt.load(tmp_path / "t")
    tagger.card = tagger.card.model_copy(update={"options": tagger.card.options | {"clamp": -math.inf}})
    with pytest.raises(eqt.TaggerError, match="is not a finite number"):
        tagger.save(tmp_path / "u")


def test_numpy_options_are_saved_as_numbers(tmp_path):
    model = models.build("lorentznet", hidden=np.int64(8), n_layers=1, c_weight=np.float32(0.5))
    eqt.Tagger.from_model(model, name="n", classes=("b", "s")).save(tmp_path / "t")
    assert eqt.load(tmp_path / "t").card.options["c_weight"] == 0.5


def test_hash_of_weights_that_numpy_lacks(tmp_path):
    tagger = new_tagger(0)
    before = tagger.content_hash
    tagger.model.bfloat16()
    assert tagger.content_hash != before
    tagger.save(tmp_path / "t")
    assert eqt.load(tmp_path / "t").content_hash == tagger.content_hash


def test_content_hash_is_that_of_the_weights_in_memory(tmp_path):
    tagger = new_tagger(1)
    tagger.save(tmp_path / "t")
    loaded = eqt.load(tmp_path / "t")
    assert loaded.content_hash == tagger.content_hash == loaded.card.content_hash
    with torch.no_grad():
        next(loaded.model.parameters()).add_(1)
    assert loaded.content_hash != tagger.content_hash


@pytest.mark.parametrize("what", ["card", "weights"])
def test_tampered_folder_is_not_served_from_the_cache(tmp_path, what):
    tagger = new_tagger(2)
    tagger.save(tmp_path / "t")
    kept = eqt.load(tmp_path / "t", "cpu", shared=True)
    shutil.copytree(tmp_path / "t", tmp_path / "copy")
    if what == "card":
        text = (tmp_path / "copy" / "card.json").read_text()
        (tmp_path / "copy" / "card.json").write_text(text.replace('"signal": "s"', '"signal": "b"'))
    else:
        state = safetensors.torch.load_file(tmp_path / "copy" / "model.safetensors")
        state[next(iter(state))] += 1
        safetensors.torch.save_file(state, tmp_path / "copy" / "model.safetensors")
    for folder in (tmp_path / "copy", tmp_path / "t"):
        with pytest.raises(eqt.CheckpointError, match="do not belong together"):
            eqt.load(folder, "cpu", shared=True)
        shutil.rmtree(tmp_path / "t")
        shutil.copytree(tmp_path / "copy", tmp_path / "t")
    assert kept.content_hash == tagger.content_hash


def test_same_tagger_in_two_places_is_one_object(tmp_path):
    new_tagger(3).save(tmp_path / "t")
    shutil.copytree(tmp_path / "t", tmp_path / "copy")
    first, before = eqt.load(tmp_path / "t", "cpu", shared=True), load_count()
    assert eqt.load(tmp_path / "copy", "cpu", shared=True) is first
    assert load_count() == before + 1
    assert eqt.load(tmp_path / "copy", "cpu", shared=True) is first
    assert load_count() == before + 1


def test_unpickled_tagger_is_the_one_that_was_sent(tmp_path):
    tagger = new_tagger(4)
    tagger.save(tmp_path / "t")
    sent = pickle.dumps(tagger)
    received = pickle.loads(sent)
    with torch.no_grad():
        next(received.model.parameters()).add_(1)
    assert pickle.loads(sent).content_hash == tagger.content_hash


def test_a_path_means_one_tagger_per_process(tmp_path):
    one, two, place = new_tagger(5), new_tagger(6), tmp_path / "t"
    one.save(place)
    assert load_pinned(place).content_hash == one.content_hash
    two.save(tmp_path / "u")
    for name in ("card.json", "model.safetensors"):  # as another process would do it
        os.replace(tmp_path / "u" / name, place / name)
    with pytest.raises(eqt.TaggerError, match="has been replaced while it was in use"):
        load_pinned(place)
    assert eqt.load(place).content_hash == two.content_hash
    one.save(place, overwrite=True)  # by this process, which knows
    assert load_pinned(place).content_hash == one.content_hash
    new_tagger(7).save(place, overwrite=True)
    assert load_pinned(place).name == "t7"


def test_reference_pins_all_processes(tmp_path):
    one, two = new_tagger(8), new_tagger(9)
    one.save(tmp_path / "t")
    reference = pickle.loads(pickle.dumps(eqt.TaggerReference.of(tmp_path / "t")))
    assert reference == eqt.TaggerReference(str((tmp_path / "t").resolve()), one.content_hash)
    two.save(tmp_path / "t", overwrite=True)
    with pytest.raises(eqt.TaggerError, match="it has been replaced"):
        reference.load("cpu")
    one.save(tmp_path / "t", overwrite=True)
    assert reference.load("cpu").content_hash == one.content_hash


def test_processor_holds_the_hash_of_its_tagger(tmp_path):
    one, two = new_tagger(10), new_tagger(11)
    one.save(tmp_path / "t")
    processor = eqt.TaggerProcessor({"FatJet": [tmp_path / "t"], "Jet": {"a": "top-lorentznet", "b": one}})
    expected = eqt.TaggerReference(str((tmp_path / "t").resolve()), one.content_hash)
    assert processor.taggers["FatJet"] == [expected]
    assert processor.taggers["Jet"]["a"].source == "top-lorentznet"
    assert processor.taggers["Jet"]["b"] is one
    two.save(tmp_path / "t", overwrite=True)
    from coffea_equitag.processor.attach import named_taggers

    with pytest.raises(eqt.TaggerError, match="it has been replaced"):
        named_taggers(processor.taggers)
    with pytest.raises(eqt.TaggerError, match="no tagger at"):
        eqt.TaggerProcessor({"FatJet": tmp_path / "absent"})


def test_zoo_names_mean_the_zoo(tmp_path, monkeypatch):
    mine = new_tagger(12)
    monkeypatch.chdir(tmp_path)
    expected = eqt.load("top-lorentznet").content_hash
    mine.save("top-lorentznet")
    with pytest.warns(eqt.TaggerWarning, match=r"is the tagger from the zoo; the folder .* is './top-lorentznet'"):
        assert eqt.load("top-lorentznet").content_hash == expected
    for place in ("./top-lorentznet", Path("top-lorentznet"), tmp_path / "top-lorentznet"):
        assert eqt.load(place).content_hash == mine.content_hash


def test_save_keeps_what_else_is_in_the_folder(tmp_path):
    new_tagger(13).save(tmp_path / "t")
    (tmp_path / "t" / "notes.txt").write_text("mine")
    new_tagger(14).save(tmp_path / "t", overwrite=True)
    assert names(tmp_path / "t") == ["card.json", "model.safetensors", "notes.txt"]
    assert eqt.load(tmp_path / "t").name == "t14"


class KilledError(BaseException):
    """Ends a save like a kill."""


@pytest.mark.parametrize("call", range(1, 9))
def test_killed_between_any_two_steps(tmp_path, monkeypatch, call):
    one, two = new_tagger(15), new_tagger(16)
    one.save(tmp_path / "t")
    calls = []

    def mortal(step):
        def run(*arguments, **keywords):
            calls.append(step)
            if len(calls) == call:
                raise KilledError
            return step(*arguments, **keywords)

        return run

    with monkeypatch.context() as patched:
        for name in ("replace", "fsync"):
            patched.setattr(os, name, mortal(getattr(os, name)))
        try:
            two.save(tmp_path / "t", overwrite=True)
        except KilledError:
            pass
        else:
            assert len(calls) < call
    assert eqt.load(tmp_path / "t").content_hash in (one.content_hash, two.content_hash)
    two.save(tmp_path / "t", overwrite=True)
    assert eqt.load(tmp_path / "t").content_hash == two.content_hash
    assert names(tmp_path / "t") == ["card.json", "model.safetensors"]


def test_readers_see_no_gap(tmp_path):
    taggers = [new_tagger(17), new_tagger(18)]
    known = {tagger.content_hash for tagger in taggers}
    taggers[0].save(tmp_path / "t")
    done = threading.Event()

    def overwrite():
        for k in range(40):
            taggers[k % 2].save(tmp_path / "t", overwrite=True)
        done.set()

    writer = threading.Thread(target=overwrite)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(storage.verified_card(tmp_path / "t").content_hash)
    writer.join()
    assert seen == known


def test_replaced_twice_while_it_is_read(tmp_path, monkeypatch):
    """The card is the same before and after, and the weights are those of the tagger in between."""
    one, other = new_tagger(17), new_tagger(18)
    one.save(tmp_path / "t")
    original, replaced = storage._weights, []

    def weights(path, card):
        if not replaced:
            replaced.append(True)
            other.save(path, overwrite=True)
            try:
                return original(path, card)
            finally:
                one.save(path, overwrite=True)
        return original(path, card)

    monkeypatch.setattr(storage, "_weights", weights)
    assert storage.verified_card(tmp_path / "t").content_hash == one.content_hash


def test_two_savers_at_once(tmp_path):
    taggers = [new_tagger(19), new_tagger(20)]
    taggers[0].save(tmp_path / "t")

    def overwrite(tagger):
        for _ in range(15):
            tagger.save(tmp_path / "t", overwrite=True)

    threads = [threading.Thread(target=overwrite, args=(tagger,)) for tagger in taggers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert eqt.load(tmp_path / "t").content_hash in {tagger.content_hash for tagger in taggers}
    assert names(tmp_path / "t") == ["card.json", "model.safetensors"]


def test_full_disk_leaves_the_former_tagger(tmp_path, monkeypatch):
    one = new_tagger(21)
    one.save(tmp_path / "t")

    def full(*_):
        raise OSError("No space left on device")

    for owner, name in ((safetensors.torch, "save"), (os, "fsync")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, full)
            with pytest.raises(OSError, match="No space"):
                new_tagger(22).save(tmp_path / "t", overwrite=True)
        assert names(tmp_path / "t") == ["card.json", "model.safetensors"]
        assert eqt.load(tmp_path / "t").content_hash == one.content_hash
    assert json.loads((tmp_path / "t" / "card.json").read_text())["content_hash"] == one.content_hash


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    former = os.umask(0o027)
    try:
        new_tagger(24).save(tmp_path / "t")
        new_tagger(25).save(tmp_path / "t", overwrite=True)
    finally:
        os.umask(former)
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o750
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "t").iterdir()} == {0o640}


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes")
def test_files_that_really_cannot_grow(tmp_path):
    import resource

    one = new_tagger(23)
    one.save(tmp_path / "t")
    large = eqt.Tagger.from_model(models.build("pfn"), name="large", classes=("b", "s"))
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    for place, overwrite in ((tmp_path / "t", True), (tmp_path / "new", False)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, former[1]))
        try:
            with pytest.raises(OSError, match=r"cannot be written|too large"):
                large.save(place, overwrite=overwrite)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert names(tmp_path) == ["t"]
    assert names(tmp_path / "t") == ["card.json", "model.safetensors"]
    assert eqt.load(tmp_path / "t").content_hash == one.content_hash

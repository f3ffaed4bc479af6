"""Taggers and checkpoints that someone made in order to do harm are refused before anything is built or read."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import zipfile
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load_file

import coffea_equitag as eqt
from coffea_equitag.errors import EquitagError
from coffea_equitag.models import _MODELS
from coffea_equitag.tagger import storage
from faults.hostile import HOSTILE
from faults.worker import limited_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by means of /proc")


@contextlib.contextmanager
def quick(seconds: float = 30.0) -> Iterator[None]:
    """Fail where something takes long: half a minute on a busy machine, a second otherwise."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


@pytest.fixture
def folder(tmp_path):
    model = eqt.models.build("lorentznet", hidden=6, n_layers=2)
    return eqt.Tagger.from_model(model, name="small", classes=("QCD", "top")).save(tmp_path / "small")


def forge(folder, **changes):
    """Change a card, and make its hash right again, as one who means harm would."""
    path = folder / "card.json"
    card = json.loads(path.read_text())
    for name, value in changes.items():
        card[name] = card[name] | value if name == "options" and isinstance(value, dict) else value
    with contextlib.suppress(Exception):
        forged = storage.Card.model_validate(card)
        card["content_hash"] = storage._digest(load_file(folder / "model.safetensors"), forged)
    path.write_text(json.dumps(card))


@pytest.mark.parametrize(
    "options", [{"n_layers": 10**9}, {"hidden": 10**9}, {"n_scalar": 10**6}, {"n_layers": 10**400}]
)
def test_options_of_a_giant(folder, options, monkeypatch):
    forge(folder, options=options)
    monkeypatch.setattr(storage.models, "build_within", None)  # nothing is built
    with limited_memory(), quick(5), pytest.raises(EquitagError, match=str(folder)) as caught:
        eqt.load(folder, "cpu")
    assert next(iter(options)) in str(caught.value)


def test_more_layers_than_weights(folder):
    """As many layers as the file has numbers, which no single number tells: the first layer too many ends it."""
    forge(folder, options={"n_layers": 700})
    with limited_memory(), quick(5), pytest.raises(eqt.TaggerError, match=r"a network of at least \d+ tensors"):
        eqt.load(folder, "cpu")


@pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_no_regular_file(folder, name, make):
    (folder / name).unlink()
    make(folder / name)
    with quick(5), pytest.raises(EquitagError, match=str(folder)):
        eqt.load(folder, "cpu")


def test_a_header_of_200_megabytes(folder):
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    with open(folder / "model.safetensors", "wb") as file:
        file.write((200_000_000).to_bytes(8, "little") + header)
        file.truncate(200_000_100)  # sparse
    with limited_memory(), quick(5), pytest.raises(eqt.CheckpointError, match="a header of 200,000,000 bytes"):
        eqt.load(folder, "cpu")


def test_a_card_of_a_gigabyte(folder):
    os.truncate(folder / "card.json", 1 << 30)
    with limited_memory(), quick(5), pytest.raises(eqt.TaggerError, match="more than 1,000,000"):
        eqt.load(folder, "cpu")


def loading(folder):
    """What our error says when a tagger is loaded; None if it is one."""
    try:
        eqt.load(folder, "cpu")
    except EquitagError as error:
        return str(error)
    return None


def test_cards_of_every_type(folder):
    """Each field in turn, and each option, holds something else; what loads is a tagger."""
    original = (folder / "card.json").read_text()
    card = json.loads(original)
    changes = [{name: value} for name in card for value in HOSTILE]
    changes += [{"options": {name: value}} for name in card["options"] for value in HOSTILE]
    with quick(60):
        for change in changes:
            (folder / "card.json").write_text(original)
            forge(folder, **change)
            said = loading(folder)
            assert said is None or str(folder) in said, change
            assert len(said or "") < 5000


@pytest.mark.parametrize("kind", eqt.models.names())
def test_options_of_every_type(kind):
    """Whatever is given as an option, a network is built or our error says what is wrong."""
    names = [name for name in _MODELS[kind].__init__.__annotations__ if name != "return"]
    with limited_memory(), quick(60):
        for name in names:
            for value in HOSTILE:
                with contextlib.suppress(eqt.TaggerError):
                    eqt.models.build(kind, **{name: value})


def test_a_zip_bomb_stays_small(tmp_path):
    """4 GB of zeros in a checkpoint of 4 MB."""
    state = {"embedding.weight": torch.zeros(1000)}
    torch.save(state, tmp_path / "bomb.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as file:
                for _ in range(64 if name.endswith("data/0") else 1):
                    file.write(bytes(1 << 22) if name.endswith("data/0") else content)
    with limited_memory(), quick(5), pytest.raises(eqt.CheckpointError, match=r"bomb\.pt of .* which unpacks to"):
        eqt.convert.official("lorentznet", tmp_path / "bomb.pt")


def test_a_member_marked_as_a_folder(tmp_path):
    """torch would read nothing, and leave the tensor as the memory happens to be."""
    torch.save({"embedding.weight": torch.ones(1000)}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "folder.pt", "w") as archive:
        for member in whole.infolist():
            member.external_attr = 0x10 if member.filename.endswith("data/0") else 0
            archive.writestr(member, whole.read(member.filename))
    with pytest.raises(eqt.CheckpointError, match=r"folder\.pt is damaged in \S*data/0"):
        eqt.convert.official("lorentznet", tmp_path / "folder.pt")


def test_a_tensor_that_only_looks_large(tmp_path):
    """One number, repeated 10¹² times by a stride of 0: a file of 1 kB."""
    state = {"embedding.weight": torch.zeros(1).expand(10**6, 10**6), "embedding.bias": torch.zeros(10)}
    torch.save(state, tmp_path / "strides.pt")
    with limited_memory(), quick(5), pytest.raises(eqt.CheckpointError, match=r"strides\.pt") as caught:
        eqt.convert.official("lorentznet", tmp_path / "strides.pt")
    assert "embedding.weight of shape (1000000, 1000000)" in str(caught.value)

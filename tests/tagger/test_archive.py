"""Taggers in zip archives, on disk and at addresses."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
import zipfile

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag import models


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Where archives are unpacked and downloads are kept."""
    monkeypatch.setenv("COFFEA_EQUITAG_TAGGERS", str(tmp_path / "cache" / "taggers"))
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path):
    """A tagger, and the zip archive of its folder."""
    torch.manual_seed(0)
    tagger = eqt.Tagger.from_model(models.build("pfn", phi=(4,), f=(4,)), name="small", classes=("b", "s"))
    folder = tagger.save(tmp_path / "small")
    path = tmp_path / "site" / "small.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as file:
        for name in ("card.json", "model.safetensors"):
            file.write(folder / name, f"small/{name}")
    return tagger, path


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def server(archive):
    """Address of the archive's folder, and the requests that arrive there."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(archive[1].parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", requests
        running.shutdown()


def test_an_archive_is_unpacked_once(archive, place):
    tagger, path = archive
    assert eqt.load(path).content_hash == tagger.content_hash
    made = next((place / "taggers").iterdir())
    before = (made / "card.json").stat().st_mtime_ns
    assert eqt.load(str(path)).path == made
    assert (made / "card.json").stat().st_mtime_ns == before
    assert [each.name for each in (place / "taggers").iterdir()] == [f"archive-{digest_of(path)}"]


def test_an_address_is_read_once(archive, server):
    pytest.importorskip("pooch")
    (tagger, path), (site, requests) = archive, server
    address = f"{site}/small.zip#sha256={digest_of(path)}"
    assert eqt.load(address).content_hash == tagger.content_hash
    assert eqt.TaggerReference.of(address).content_hash == tagger.content_hash
    assert requests == ["/small.zip"]


def test_another_file_at_the_address_is_refused(server, place):
    pytest.importorskip("pooch")
    with pytest.raises(eqt.TaggerError, match=r"not that of the hash 0000.*\n.*\n.*who published it"):
        eqt.load(f"{server[0]}/small.zip#sha256={'0' * 64}")
    assert not (place / "taggers").exists()


def test_without_a_network_the_remedy_is_a_file(archive):
    pytest.importorskip("pooch")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    with pytest.raises(eqt.TaggerError, match=r"cannot be reached(.|\n)*load\('tagger.zip'\)"):
        eqt.load(f"http://127.0.0.1:{port}/small.zip#sha256={digest_of(archive[1])}")


@pytest.mark.parametrize("address", ["https://example.org/t.zip", "https://example.org/t.zip#sha256=12"])
def test_an_address_needs_a_hash(address):
    with pytest.raises(eqt.TaggerError, match="sha256sum"):
        eqt.load(address)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "holds nothing"),
        ({"card.json": b"{}"}, "holds card.json"),
        ({"card.json": b"{}", "a/model.safetensors": b"", "b/model.safetensors": b""}, "holds card.json, a/model"),
        ({"card.json": b"{" * 1_000_001, "model.safetensors": b""}, "larger than any tagger's"),
        ({"../card.json": b"{}", "../../model.safetensors": b""}, "holds ../card.json"),
        (None, "not a zip file"),
    ],
)
def test_what_is_no_archive_of_a_tagger(tmp_path, place, members, words):
    path = tmp_path / "t.zip"
    if members is None:
        path.write_bytes(b"not an archive")
    else:
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
    with pytest.raises(eqt.TaggerError, match=words):
        eqt.load(path)
    assert not list((place / "taggers").iterdir())


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(eqt.TaggerError, match=r"nowhere\.zip"):
        eqt.load(tmp_path / "nowhere.zip")

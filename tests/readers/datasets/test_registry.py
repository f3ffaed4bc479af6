"""The published datasets by name: their descriptions, downloads from a small local server, and no network."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import importlib
import io
import re
import sys
import tarfile
import threading

import numpy as np
import pytest
import requests

from coffea_equitag.errors import JetError
from coffea_equitag.readers import PUBLISHED, dataset, dataset_files
from coffea_equitag.readers.datasets import RemoteFile, registry
from coffea_equitag.temporary_files import is_taken


def content(seed=0, jets=3):
    """A file in the EnergyFlow layout, as bytes."""
    X = np.zeros((jets, 4, 4))
    X[:, :2] = np.random.default_rng(seed).uniform(0.5, 1, (jets, 2, 4))
    X[:, :2, 3] = 22
    stream = io.BytesIO()
    np.savez(stream, X=X, y=np.ones(jets))
    return stream.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; supports Range; disconnects after `server.limit` bytes."""

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        whole = self.server.files.get(self.path)
        if whole is None:
            return self.send_error(404)
        first = 0
        if self.server.resumable and self.headers.get("Range"):
            first = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            if first >= len(whole):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(whole)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(whole) - first))
        self.end_headers()
        self.wfile.write(whole[first:][: self.server.limit])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.ranges, server.limit, server.resumable = {}, [], None, True
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def served(server, monkeypatch, files, name="energyflow", split="test"):
    """Replace the files of a split by files on the server."""
    remote = []
    for file, data in files.items():
        server.files[f"/{file}"] = data
        remote.append(RemoteFile(file, f"{server.address}/{file}", f"md5:{hashlib.md5(data).hexdigest()}"))
    changed = dataclasses.replace(PUBLISHED[name], splits={split: tuple(remote)})
    monkeypatch.setitem(registry.PUBLISHED, name, changed)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise requests.exceptions.ConnectionError("Network is unreachable")

    monkeypatch.setattr(requests, "get", refuse)


def test_registry():
    assert set(PUBLISHED) == {
        "top-landscape",
        "energyflow",
        "energyflow-bc",
        "energyflow-herwig",
        "energyflow-herwig-bc",
        "jetclass",
        "jetnet30",
        "jetnet150",
    }
    for name, published in PUBLISHED.items():
        record = published.doi.removeprefix("10.5281/zenodo.")
        assert published.name == name
        assert published.citation
        assert len(published.classes) >= 2
        files = [file for split in published.splits.values() for file in split]
        assert files
        for file in files:
            assert file.address == f"https://zenodo.org/records/{record}/files/{file.name}?download=1"
            assert file.checksum is None or re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)
            assert (file.checksum is None) == name.startswith("jetnet")
        if not name.startswith("jetnet"):  # where "all" repeats the files
            assert len({file.name for file in files}) == len({file.checksum for file in files}) == len(files)


def test_what_is_not_known_is_said():
    said = str(PUBLISHED["jetnet30"])
    assert "licence: not confirmed" in said
    assert "checksums: 0 of 5 files; downloads are not checked" in said
    said = str(PUBLISHED["top-landscape"])
    assert "licence: CC-BY-4.0" in said
    assert "checksums: 3 of 3 files\n" in said
    for one in PUBLISHED.values():
        assert f"https://doi.org/{one.doi}" in str(one)
        assert all(work in str(one) for work in one.citation)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("energyflow")])
def test_energyflow_splits(name):
    splits = PUBLISHED[name].splits
    assert {split: len(files) for split, files in splits.items()} == {"train": 16, "val": 2, "test": 2}
    assert splits["test"][-1].name.endswith("_19.npz")


@pytest.mark.parametrize(("name", "split", "said"), [("mnist", "train", "jetnet150"), ("jetclass", "test", "test_20M")])
def test_unknown_set_or_split(name, split, said):
    with pytest.raises(JetError, match=said):
        dataset(name, split)


@pytest.mark.parametrize("download", [True, False])
def test_no_network(tmp_path, no_network, download):
    with pytest.raises(JetError) as error:
        dataset("top-landscape", "test", tmp_path / "sets", download)
    assert "https://zenodo.org/records/2603256/files/test.h5" in str(error.value)
    assert f"into {tmp_path / 'sets'}" in str(error.value)
    assert not list(tmp_path.rglob("*.h5"))


def test_without_pooch(tmp_path, monkeypatch):
    whole = importlib.import_module

    def without(name, *rest):
        if name == "pooch":
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(
        JetError, match=r"pooch(.|\n)*JetClass_Pythia_val_5M(.|\n)*pip install 'coffea-equitag\[datasets"
    ):
        dataset("jetclass", "val_5M", tmp_path)


def test_download(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"a.npz": content(0), "b.npz": content(1)})
    jets = dataset("energyflow", "test", tmp_path / "new" / "folder")
    assert len(jets) == 6
    assert (
        dataset("energyflow", "test", tmp_path / "new/folder", entry_start=2, entry_stop=4).tolist()
        == jets[2:4].tolist()
    )
    assert dataset("energyflow", "test", tmp_path / "new/folder", False, masses="zero").tolist() == jets.tolist()
    assert len(server.ranges) == 2  # one request per file
    assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == ["a.npz", "b.npz"]


def test_default_folder(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"a.npz": content()})
    monkeypatch.setenv("COFFEA_EQUITAG_DATASETS", str(tmp_path))
    assert dataset_files("energyflow", "test") == [tmp_path / "energyflow" / "a.npz"]


@pytest.mark.parametrize("resumable", [True, False])
def test_broken_download_is_gone_on_with(tmp_path, server, monkeypatch, resumable):
    data = content(jets=2000)
    served(server, monkeypatch, {"a.npz": data})
    server.limit, server.resumable = 100_000, resumable
    with pytest.raises(JetError, match="cannot be downloaded"):
        dataset("energyflow", "test", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz.part"]
    kept = (tmp_path / "a.npz.part").read_bytes()
    assert 0 < len(kept) <= 100_000
    assert data.startswith(kept)
    server.limit = None
    assert len(dataset("energyflow", "test", tmp_path)) == 2000
    assert server.ranges == [None, f"bytes={len(kept)}-"]
    assert (tmp_path / "a.npz").read_bytes() == data


@pytest.mark.parametrize("left", ["whole", "longer"])
def test_nothing_left_to_fetch(tmp_path, server, monkeypatch, left):
    data = content()
    served(server, monkeypatch, {"a.npz": data})
    (tmp_path / "a.npz.part").write_bytes(data if left == "whole" else data + b"more")
    assert len(dataset("energyflow", "test", tmp_path)) == 3


def test_other_content_is_refused(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"a.npz": content(0)})
    server.files["/a.npz"] = content(1)
    with pytest.raises(JetError, match="differs from the published file"):
        dataset("energyflow", "test", tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_on_the_server(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"a.npz": content(0)})
    server.files.clear()
    with pytest.raises(JetError, match="404"):
        dataset("energyflow", "test", tmp_path)


def test_files_put_by_hand(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"a.npz": content(0)})
    (tmp_path / "a.npz").write_bytes(content(1))
    assert dataset_files("energyflow", "test", tmp_path) == [tmp_path / "a.npz"]
    with pytest.raises(JetError, match=r"a\.npz with md5"):
        dataset_files("energyflow", "test", tmp_path, verify=True)
    (tmp_path / "a.npz").write_bytes(content(0))
    assert dataset_files("energyflow", "test", tmp_path, verify=True)
    assert not server.ranges


def archive(*names):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"root"))
    return stream.getvalue()


def test_archives_are_unpacked_once(tmp_path, server, monkeypatch):
    parts = {
        "part0.tar": archive("HToBB_000.root", "../outside.root", "README"),
        "part1.tar": archive("deep/HToBB_001.root"),
    }
    served(server, monkeypatch, parts, "jetclass", "train")
    files = dataset_files("jetclass", "train", tmp_path / "jetclass")
    assert [path.name for path in files] == ["HToBB_000.root", "HToBB_001.root", "outside.root"]
    assert {path.parent for path in files} == {tmp_path / "jetclass" / "train"}
    assert [path.name for path in tmp_path.iterdir()] == ["jetclass"]
    (tmp_path / "jetclass" / "part0.tar").unlink()
    assert dataset_files("jetclass", "train", tmp_path / "jetclass", download=False) == files
    assert len(server.ranges) == 2


def test_unpacking_goes_on_where_it_stopped(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"part0.tar": archive("a.root"), "part1.tar": archive("b.root")}, "jetclass", "train")
    kept = server.files.pop("/part1.tar")
    with pytest.raises(JetError, match="404"):
        dataset_files("jetclass", "train", tmp_path)
    server.files["/part1.tar"] = kept
    assert [path.name for path in dataset_files("jetclass", "train", tmp_path)] == ["a.root", "b.root"]


def test_root_files_put_by_hand(tmp_path):
    (tmp_path / "val_5M").mkdir()
    (tmp_path / "val_5M" / "HToBB_120.root").touch()
    assert dataset_files("jetclass", "val_5M", tmp_path, download=False) == [tmp_path / "val_5M" / "HToBB_120.root"]


def test_damaged_archive_put_by_hand(tmp_path):
    whole = archive("a.root", "b.root")
    (tmp_path / "JetClass_Pythia_val_5M.tar").write_bytes(whole[: whole.rindex(b"root") + 2])
    for _ in range(2):  # a partly unpacked archive is not taken as complete
        with pytest.raises(JetError, match="cannot be read as a complete archive"):
            dataset_files("jetclass", "val_5M", tmp_path, download=False)
    (tmp_path / "JetClass_Pythia_val_5M.tar").write_bytes(whole)
    files = dataset_files("jetclass", "val_5M", tmp_path, download=False)
    assert [path.name for path in files] == ["a.root", "b.root"]
    assert not list((tmp_path / "val_5M").glob(".*part"))


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_downloads_of_one_file(tmp_path, server, monkeypatch):
    served(server, monkeypatch, {"a.npz": content()})
    with (tmp_path / "a.npz.part").open("ab") as other:
        assert not is_taken(other.fileno())
        with pytest.raises(JetError, match="another process is downloading it"):
            dataset("energyflow", "test", tmp_path)
    assert len(dataset("energyflow", "test", tmp_path)) == 3

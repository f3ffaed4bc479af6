"""The formats that are damaged: how a small file of each is made, what reads it, and what its checksums cover."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet
import torch
import uproot

import coffea_equitag as eqt
from coffea_equitag.demo import PACKAGED_FILE
from coffea_equitag.models import JetModel
from coffea_equitag.reading import naming
from coffea_equitag.scoring import score_file
from coffea_equitag.scoring.branches import branch_layout
from coffea_equitag.scoring.ntuple_writer import NTupleWriter
from coffea_equitag.scoring.tree_writer import TreeWriter
from coffea_equitag.simulation.sample_folder import simulate_folder
from coffea_equitag.simulation.writing import write_parquet
from faults.damage import FAULTS

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes
    ----------
    make : callable
        Writes the files of a try into a folder, and returns the one to damage.
    read : callable
        Reads the file as a user would; returns a hash of what was read.
    covered : callable
        ``(before, after)``: whether a checksum in the file could tell these contents apart.
    faults : tuple of str
        What is done to it, see `damage.FAULTS`.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], str]
    covered: Callable[[bytes, bytes], bool]
    faults: tuple[str, ...] = tuple(FAULTS)[:-1]


def never(before: bytes, after: bytes) -> bool:
    """No checksum."""
    return False


def always(before: bytes, after: bytes) -> bool:
    """A digest of the whole."""
    return True


def _before_footer(before: bytes, after: bytes) -> bool:
    """Parquet: its pages have checksums, its footer has none."""
    footer = len(before) - 8 - int.from_bytes(before[-8:-4], "little")
    return before[footer:] == after[-len(before) + footer :] or before[:footer] != after[:footer]


def _zip_data(before: bytes, after: bytes) -> bool:
    """Zip: the members' content has CRCs, their names and the directory have none."""
    directory = before.rindex(b"PK\x05\x06")
    start = int.from_bytes(before[directory + 16 : directory + 20], "little")
    return before[start:] == after[start:] and len(before) == len(after)


def hash_of(array: ak.Array) -> str:
    """A hash of all values of an array and of its type."""
    form, length, buffers = ak.to_buffers(ak.to_packed(ak.materialize(array)))
    digest = hashlib.sha256(f"{form.to_json()} {length}".encode())
    for name in sorted(buffers):
        digest.update(np.ascontiguousarray(buffers[name]).tobytes())
    return digest.hexdigest()


def _hash_of_state(state: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


@cache
def _jets(number: int = 40) -> ak.Array:
    """Jets of the demonstration, with labels."""
    events = eqt.read_jets(PACKAGED_FILE, jets="FatJet", entry_stop=number)
    jets = ak.flatten(events[:, :1])
    names = ("pt", "eta", "phi", "mass")
    constituents = ak.zip({name: jets.constituents[name][:, :20] for name in (*names, "charge", "pdgId")})
    label = np.arange(len(jets)) % 2
    return eqt.make_jets(constituents, **{name: jets[name] for name in names}, label=label)


def _flat() -> dict[str, ak.Array]:
    jets = _jets()
    parts = {f"part_{name}": jets.constituents[name] for name in ("pt", "eta", "phi", "mass", "charge")}
    return parts | {"label": jets.label}


def _model() -> JetModel:
    torch.manual_seed(0)
    return eqt.models.build("lorentznet", hidden=6, n_layers=2, clamp=100.0)


def _parquet(folder: Path) -> Path:
    write_parquet(folder / "jets.parquet", _jets())
    return folder / "jets.parquet"


def _plain_parquet(folder: Path) -> Path:
    table = ak.to_arrow_table(ak.zip(_flat(), depth_limit=1), extensionarray=False)
    pyarrow.parquet.write_table(table, folder / "jets.parquet")
    return folder / "jets.parquet"


def _root(folder: Path) -> Path:
    with uproot.recreate(folder / "jets.root", compression=uproot.ZLIB(1)) as file:
        file.mktree("tree", {name: column.type.content for name, column in _flat().items()})
        file["tree"].extend(_flat())
    return folder / "jets.root"


def _rntuple(folder: Path) -> Path:
    with uproot.recreate(folder / "jets.root", compression=uproot.ZSTD(3)) as file:
        file.mkrntuple("tree", ak.zip(_flat(), depth_limit=1))
    return folder / "jets.root"


def _nano(folder: Path) -> Path:
    keep = ("FatJet_*", "PFCands_*", "FatJetPFCands_*")
    with uproot.open(PACKAGED_FILE) as source, uproot.recreate(folder / "nano.root", compression=uproot.LZ4(4)) as file:
        layout = branch_layout(source["Events"], keep)
        columns = source["Events"].arrays(layout.names, entry_stop=6, how=dict)
        TreeWriter(file, "Events", "Events", layout).extend(columns)
    return folder / "nano.root"


def _nano_ntuple(folder: Path) -> Path:
    tree = _nano(folder)
    with uproot.open(tree) as source, uproot.recreate(folder / "ntuple.root", compression=uproot.LZ4(4)) as file:
        layout = branch_layout(source["Events"])
        NTupleWriter(file, "Events", "Events", layout).extend(source["Events"].arrays(layout.names, how=dict))
    tree.unlink()
    return folder / "ntuple.root"


def _npz(save: Callable[..., None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        save(folder / "QG_jets.npz", X=_padded(), y=np.arange(30) % 2.0)
        return folder / "QG_jets.npz"

    return make


def _padded() -> Any:
    rng = np.random.default_rng(0)
    X = np.zeros((30, 12, 4))
    X[:, :9, 0] = rng.exponential(20, (30, 9)) + 0.1
    X[:, :9, 1:3] = rng.normal(0.5, 0.2, (30, 9, 2))
    X[:, :9, 3] = rng.choice([22, 211, -211, 130, 11], (30, 9))
    return X


def _jetnet(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    particles = rng.random((30, 10, 4), dtype=np.float32)
    jets = np.stack([rng.uniform(900, 1100, 30), rng.normal(0, 1, 30), rng.uniform(50, 99, 30), np.full(30, 10)], 1)
    with h5py.File(folder / "t.hdf5", "w") as file:
        file.create_dataset("particle_features", data=particles, compression="gzip")
        file.create_dataset("jet_features", data=jets.astype(np.float32))
    return folder / "t.hdf5"


def _top_landscape(folder: Path) -> Path:
    p = np.random.default_rng(0).normal(0, 30, (30, 6, 3)).astype(np.float32)
    energy = np.sqrt((p.astype(np.float64) ** 2).sum(2, keepdims=True)).astype(np.float32)
    names = [f"{name}_{i}" for i in range(6) for name in ("E", "PX", "PY", "PZ")]
    table = pd.DataFrame(np.concatenate([energy, p], axis=2).reshape(30, 24), columns=names)
    table["is_signal_new"] = np.arange(30) % 2
    table.to_hdf(folder / "train.h5", key="table", format="table", complib="blosc", complevel=5)
    return folder / "train.h5"


def _tagger(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        eqt.Tagger.from_model(_model(), name="small", classes=("QCD", "top")).save(folder / "tagger")
        return folder / "tagger" / part

    return make


def _checkpoint(**options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        names = {"blocks": "LGEBs", "head": "graph_dec"}
        state = {names.get(k.split(".")[0], k.split(".")[0]) + k[k.index(".") :]: v for k, v in _state().items()}
        torch.save({"state_dict": state}, folder / "official.pt", **options)
        return folder / "official.pt"

    return make


@cache
def _state() -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = _model().state_dict()
    return state


def _fit(out: Path) -> eqt.Tagger:
    settings = {"epochs": 2, "batch_size": 16, "seed": 4, "device": "cpu", "progress": False}
    return eqt.fit(_model(), _jets(), validation=_jets()[:10], out=out, pair_budget=100_000, **settings)


@cache
def _half_a_run() -> Path:
    """The folder of a run that was stopped in its second epoch."""
    from coffea_equitag.training.loop.module import Training

    out, step, steps = Path(tempfile.mkdtemp()) / "run", Training.training_step, []

    def stopped(self: Training, *arguments: Any) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 5:
            raise InterruptedError
        return step(self, *arguments)

    Training.training_step = stopped  # type: ignore[method-assign]
    try:
        _fit(out)
    except InterruptedError:
        pass
    finally:
        Training.training_step = step  # type: ignore[method-assign]
    return out


def _run(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        shutil.copytree(_half_a_run(), folder / "run")
        return folder / "run" / part

    return make


@cache
def _small_sample() -> Path:
    folder = Path(tempfile.mkdtemp()) / "sample"
    return simulate_folder("qg", 6, folder, seed=1)


def _sample(part: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        shutil.copytree(_small_sample(), folder / "sample")
        return folder / "sample" / part

    return make


def _continue(path: Path) -> str:
    return hash_of(eqt.read_jets(simulate_folder("qg", 6, path.parent, seed=1)))


def _score(path: Path) -> str:
    output = path.with_name("scored.root")
    score_file(_scorer(), path, output, progress=False, overwrite=True)
    with uproot.open(output) as file:
        columns = file["Events"].arrays(["FatJet_pt", "FatJet_small", "PFCands_pt"], how=dict)
    output.unlink()
    return "".join(hash_of(column) for column in columns.values())


@cache
def _scorer() -> eqt.Tagger:
    return eqt.Tagger.from_model(_model(), name="small", classes=("QCD", "top"))


def _load(path: Path) -> str:
    tagger = eqt.load(path.parent, "cpu")
    return _hash_of_state(tagger.model.state_dict()) + str(tagger.card)


def _convert(path: Path) -> str:
    tagger = eqt.convert.official("lorentznet", path, hidden=6, n_layers=2, clamp=100.0)
    return _hash_of_state(tagger.model.state_dict())


def _resume(path: Path) -> str:
    return _hash_of_state(_fit(path.parent).model.state_dict())


def _options(folder: Path) -> Path:
    options = {kind: eqt.models.build(kind).options for kind in eqt.models.names()}
    (folder / "options.json").write_text(json.dumps(options))
    return folder / "options.json"


def _build(path: Path) -> str:
    given = json.loads(path.read_text())
    if not isinstance(given, dict):
        raise eqt.TaggerError(f"{path} without networks")
    with naming(path):
        found = [eqt.models.build(kind, **named if isinstance(named, dict) else {}) for kind, named in given.items()]
    return str([(model.options, list(model.state_dict())) for model in found])


def _read(**options: Any) -> Callable[[Path], str]:
    return lambda path: hash_of(eqt.read_jets(path, **options))


#: Name in the table -> format.
FORMATS: dict[str, Format] = {
    "Parquet as we write it": Format(_parquet, _read(), _before_footer),
    "Parquet, plain": Format(_plain_parquet, _read(), never),
    "ROOT, TTree": Format(_root, _read(), never),
    "ROOT, RNTuple": Format(_rntuple, _read(), never),
    "NanoAOD": Format(_nano, _read(jets="FatJet"), never),
    "NanoAOD, scored": Format(_nano, _score, never),
    "NanoAOD as RNTuple, scored": Format(_nano_ntuple, _score, never),
    "npz": Format(_npz(np.savez_compressed), _read(), _zip_data),
    "npz, not compressed": Format(_npz(np.savez), _read(), _zip_data),
    "HDF5, JetNet": Format(_jetnet, _read(), never),
    "HDF5, Top Landscape": Format(_top_landscape, _read(), never),
    "tagger: card": Format(_tagger("card.json"), _load, never, tuple(FAULTS)),
    "tagger: weights": Format(_tagger("model.safetensors"), _load, always),
    "official checkpoint": Format(_checkpoint(), _convert, _zip_data),
    "official checkpoint, old": Format(_checkpoint(_use_new_zipfile_serialization=False), _convert, never),
    "training: last.ckpt": Format(_run("last.ckpt"), _resume, always),
    "simulation: sample.json": Format(_sample("sample.json"), _continue, never, tuple(FAULTS)),
    "simulation: shard": Format(_sample("shard-00000.parquet"), _continue, _before_footer),
    "options of all networks": Format(_options, _build, never, tuple(FAULTS)[-1:]),
    "training: run.json": Format(_run("run.json"), _resume, never, tuple(FAULTS)),
}

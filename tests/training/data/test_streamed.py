"""Streams as sources: each jet once per epoch, from any batch on, and the faults of files."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import JetError, make_jets, readers
from coffea_equitag.errors import SampleWarning
from coffea_equitag.training.data import InMemory, LabelledJets
from coffea_equitag.training.data.label_map import label_map
from coffea_equitag.training.data.preparation import Preparation
from coffea_equitag.training.data.stream_reader import StreamReader
from coffea_equitag.training.data.stream_split import HeldOut
from coffea_equitag.training.data.streamed import Streamed


@pytest.fixture
def files(tmp_path, toy) -> list[Path]:
    """200 jets in two files, 20 row groups."""
    for number in range(2):
        ak.to_parquet(toy(100, seed=number), tmp_path / f"jets{number}.parquet", row_group_size=11)
    return sorted(tmp_path.glob("*.parquet"))


def streamed(files: list[Path], batch_size: int = 16, pool: int = 0, **options: object) -> Streamed:
    return Streamed(reader(files, **options), "all", batch_size=batch_size, pool=pool, seed=5)


def reader(
    files: list[Path], held_out: HeldOut | None = None, labels: str = "label", prepare: object = None, **options: object
) -> StreamReader:
    stream = readers.stream(files, **({"shuffle": 50} | options))
    return StreamReader(stream, prepare or preparation(labels), 2, held_out)


def preparation(labels: str = "label", **options: object) -> Preparation:
    return Preparation(label_map(labels, None, None, 2)[0], **options)


def energies(batches: object) -> list[tuple[float, ...]]:
    """What tells jets apart, batch by batch."""
    return [tuple(batch.jets.jet_p4[:, 0].tolist()) for batch in batches]


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("pool", [0, 2])
def test_each_jet_once_per_epoch(files, workers, pool):
    source = streamed(files, workers=workers, pool=pool)
    expected = LabelledJets.of(readers.read_jets(files), "label", 2)
    in_memory = InMemory(expected, 2)
    orders = []
    for epoch in range(2):
        batches = list(source.batches(epoch))
        assert [len(batch.labels) for batch in batches] == [16] * 12 + [8]
        assert len(batches) == source.num_batches(epoch)
        orders.append(sum(energies(batches), ()))
        assert sorted(orders[-1]) == sorted(expected.jets.jet_p4[:, 0].tolist())
        label_of = dict(zip(expected.jets.jet_p4[:, 0].tolist(), expected.labels.tolist(), strict=True))
        found = torch.cat([batch.labels for batch in batches]).tolist()
        assert found == [label_of[energy] for energy in orders[-1]]
    assert len(set(orders)) == 2
    np.testing.assert_array_equal(source.numbers, in_memory.numbers)
    np.testing.assert_array_equal(source.weight_sums, in_memory.weight_sums)
    assert source.pt_range == in_memory.pt_range


@pytest.mark.parametrize("pool", [0, 3])
def test_an_epoch_begins_at_any_batch(files, pool):
    source = streamed(files, pool=pool)
    whole = energies(source.batches(1))
    for first in (1, 5, 8, len(whole)):
        assert energies(source.batches(1, first)) == whole[first:]


def test_row_groups_before_the_block_are_not_read(files, monkeypatch):
    source = streamed(files, workers=0)
    read = []
    original = readers.JetStream.read
    monkeypatch.setattr(
        readers.JetStream, "read", lambda self, group, *a: read.append(group) or original(self, group, *a)
    )
    list(source.batches(0))
    assert len(read) == len(set(read)) == 20
    everything = list(read)
    read.clear()
    list(source.batches(0, 10))
    assert read == everything[-len(read) :]
    assert len(read) < 10


def test_workers_change_nothing(files):
    orders = {tuple(energies(streamed(files, workers=workers).batches(0))) for workers in (0, 1, 4)}
    assert len(orders) == 1


def test_large_row_groups(tmp_path, toy):
    path = tmp_path / "jets.parquet"
    ak.to_parquet(toy(200), path)
    source = streamed([path])
    whole = energies(source.batches(0))
    expected = LabelledJets.of(readers.read_jets(path), "label", 2)
    assert sorted(sum(whole, ())) == sorted(expected.jets.jet_p4[:, 0].tolist())
    for first in (3, 12):
        assert energies(source.batches(0, first)) == whole[first:]


def test_batches_are_like_those_of_jets_in_memory(files):
    """Field by field, whatever was left out on the way."""
    source = streamed(files)
    whole = LabelledJets.of(readers.read_jets(files), "label", 2)
    place = {energy: k for k, energy in enumerate(whole.jets.jet_p4[:, 0].tolist())}
    for batch in source.batches(0):
        same = whole.select([place[energy] for energy in batch.jets.jet_p4[:, 0].tolist()])
        for name in ("p4", "mass", "offsets", "jet_p4", "polar"):
            assert torch.equal(getattr(batch.jets, name), getattr(same.jets, name)), name


def test_held_out_jets(files):
    both = reader(files, HeldOut(0.25, seed=7))
    training, validation = (Streamed(both, part, batch_size=16) for part in both.parts)
    one = sum(energies(training.batches(0)), ())
    two = sum(energies(validation.chunks()), ())
    everything = LabelledJets.of(readers.read_jets(files), "label", 2).jets.jet_p4[:, 0].tolist()
    assert sorted(one + two) == sorted(everything)
    # 5 standard deviations around 50 of 200
    assert abs(len(two) - 50) < 5 * np.sqrt(200 * 0.25 * 0.75)
    assert len(one) == training.numbers.sum()
    assert len(two) == validation.numbers.sum()
    # in the order of the files; the same from memory, where they are kept
    assert two == tuple(energy for energy in everything if energy in set(two))
    assert sum(energies(validation.chunks()), ()) == two
    assert training.record["sha256"] != validation.record["sha256"]


@pytest.mark.parametrize(
    "options",
    [
        {"select": "multiplicity > 4"},
        {"select": lambda jets: ak.num(jets.constituents) > 4},
        {"select": "label == 1 | multiplicity > 4", "weights": lambda jets: ak.num(jets.constituents)},
        {"weights": "1 + label"},
    ],
)
def test_selections_and_weights_are_those_of_jets_in_memory(files, options):
    expected = preparation(**options)(readers.read_jets(files))
    for held_out in (None, HeldOut(0.3, seed=1)):
        both = reader(files, held_out, prepare=preparation(**options))
        sources = [Streamed(both, part, batch_size=16) for part in both.parts]
        found = [batch for source in sources for batch in source.batches(0)]
        for values, same in (
            (torch.cat([batch.weights for batch in found]), expected.sample.weights),
            (torch.cat([batch.jets.jet_p4[:, 0] for batch in found]), expected.sample.jets.jet_p4[:, 0]),
        ):
            assert torch.equal(values.sort().values, same.sort().values)
        sums = np.bincount(expected.sample.labels, expected.sample.weights)
        np.testing.assert_allclose(sum(source.weight_sums for source in sources), sums, rtol=1e-13)
        assert all(source.left_out == expected.left_out for source in sources)


def test_jets_are_drawn_as_often_as_they_shall_be(files):
    """Of each class another number of copies; an epoch is as long as it says, and begins at any batch."""
    resampling = reader(files)
    resampling.adjust = lambda prepared, part: (prepared, np.asarray([0.3, 2.4])[prepared.sample.labels.numpy()])
    source = Streamed(resampling, "all", batch_size=16, seed=5)
    drawn = []
    for epoch in range(5):
        batches = list(source.batches(epoch))
        assert len(batches) == source.num_batches(epoch)
        assert energies(source.batches(epoch, 7)) == energies(batches)[7:]
        drawn.append(np.bincount(torch.cat([batch.labels for batch in batches]), minlength=2))
        number = sum(len(batch.labels) for batch in batches)
        # Σ f = 270 of 20 row groups, each rounded up or down
        assert abs(number - 270) < 20
    assert len({tuple(numbers) for numbers in drawn}) > 1
    np.testing.assert_allclose(source.weight_sums, [30, 240], rtol=1e-13)
    # each class of a row group is off by less than one jet
    assert (np.abs(np.asarray(drawn) - [30, 240]) < 20).all()
    assert sum(len(chunk.labels) for chunk in source.chunks()) == 200
    assert source.record["sha256"] != streamed(files).record["sha256"]


def test_blocks_of_one_class_are_warned_of(tmp_path, toy):
    jets = toy(400)
    for label in (0, 1):
        ak.to_parquet(jets[jets.label == label], tmp_path / f"{label}.parquet", row_group_size=20)
    files = sorted(tmp_path.glob("*.parquet"))
    # twenty row groups, of which ten are shuffled together: on average 0.4/√10 = 0.13 of the jets are out of place
    streamed(files, shuffle=200).warn()
    with pytest.warns(SampleWarning, match="on average 50% of jets are shuffled with jets of their own class"):
        streamed(files, shuffle=20).warn()


def test_probe(files):
    source = streamed(files)
    assert 8 < len(source.probe(16).labels) <= 16
    assert len(source.probe(1).labels) == 1
    assert len(source.probe(1000).labels) <= 44


def test_the_record_tells_jets_apart(files, toy):
    before = streamed(files).record
    assert before["number"] == 200
    assert streamed(files, workers=0).record == before
    assert streamed(files[::-1]).record["sha256"] != before["sha256"]
    assert streamed(files, shuffle=49).record == before | {"shuffle": 49}
    jets = toy(100)
    constituents = ak.with_field(jets.constituents, jets.constituents.pt * (1 + 1e-15), "pt")
    ak.to_parquet(make_jets(constituents, label=jets.label), files[0], row_group_size=11)
    after = streamed(files).record
    assert after["sha256"] != before["sha256"]
    assert [name for name in before["files"] if after["files"][name] != before["files"][name]] == ["jets0.parquet"]


def test_a_jet_with_nan_is_named(files, toy):
    jets = toy(100)
    pt = ak.to_numpy(ak.flatten(jets.constituents.pt)).copy()
    pt[int(ak.sum(ak.num(jets.constituents)[:37])) + 2] = np.nan
    constituents = ak.with_field(jets.constituents, ak.unflatten(pt, ak.num(jets.constituents)), "pt")
    momenta = {name: np.full(100, 1.0) for name in ("pt", "eta", "phi", "mass")}
    ak.to_parquet(make_jets(constituents, label=jets.label, **momenta), files[1], row_group_size=11)
    source = streamed(files[1:])
    with pytest.raises(JetError, match=r"jets1\.parquet, jet 37 .*constituent 2"):
        list(source.batches(0))


def test_faults_of_files_end_the_epoch_and_its_threads(files, toy):
    source = streamed(files, workers=2)
    before = threading.active_count()
    batches = source.batches(0)
    next(batches)
    assert threading.active_count() > before
    ak.to_parquet(toy(100, seed=9), files[0], row_group_size=11)
    with pytest.raises(JetError, match=r"jets0\.parquet, which has changed"):
        list(batches)
    assert threading.active_count() == before


def test_threads_end_with_the_iterator(files):
    source = streamed(files, workers=2)
    before = threading.active_count()
    batches = source.batches(0)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_missing_labels_are_named(files):
    with pytest.raises(JetError, match=r"jets0\.parquet.*without a field 'flavour'"):
        Streamed(reader(files, labels="flavour"), "all")


def peak_of(make: Callable[[], Streamed]) -> int:
    """Bytes that Python and NumPy have allocated at most during inventory and epoch."""
    tracemalloc.start()
    try:
        for _ in make().batches(0):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_jets(tmp_path, toy):
    jets = toy(4000)
    for number in range(8):
        ak.to_parquet(jets, tmp_path / f"{number}.parquet", row_group_size=800)
    files = sorted(tmp_path.glob("*.parquet"))

    def peak(number: int) -> int:
        return peak_of(lambda: streamed(files[:number], batch_size=50, shuffle=1600, workers=0))

    peak(1)  # modules that are imported on the way
    # 28,000 more jets of 6 constituents of 32 bytes would take 5 MB, and 11 MB as tensors; the inventory of their 35
    # row groups in 7 files takes 0.1 MB
    assert peak(8) - peak(1) < 0.5e6

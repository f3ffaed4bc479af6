"""Numbers in any of the types that NumPy and Arrow have: options, columns, lists."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import coffea_equitag as eqt
from coffea_equitag import JetError
from coffea_equitag.evaluation import measure, plots
from coffea_equitag.jets import flatten
from coffea_equitag.processor.working_points import check_thresholds, working_points
from coffea_equitag.readers.clustering import cluster
from coffea_equitag.simulation.sample_request import SampleRequest

ROWS = {
    "part_px": [[30.0, 1.0], [], [20.0]],
    "part_py": [[0.0, 2.0], [], [1.0]],
    "part_pz": [[5.0, 2.0], [], [-4.0]],
    "part_energy": [[31.0, 3.0], [], [20.5]],
    "part_pdgId": [[211, 22], [], [13]],
}
LISTS = {"list": pa.list_, "large_list": pa.large_list}

#: The forms in which a number may arrive.
FLOATS = [np.float32, np.float64, np.float16, lambda v: np.array(v), lambda v: np.array(v, np.float32)]
INTEGERS = [np.int64, np.uint8, np.int32, lambda v: np.array(v)]


@pytest.mark.parametrize("kind", ["list", "large_list"])
@pytest.mark.parametrize("nullable", [True, False])
def test_flat_columns_as_pyarrow_writes_them(tmp_path, kind, nullable):
    types = {name: pa.int32() if name == "part_pdgId" else pa.float32() for name in ROWS}
    fields = [
        pa.field(n, LISTS[kind](pa.field("item", t, nullable=nullable)), nullable=nullable) for n, t in types.items()
    ]
    table = pa.table({**ROWS, "label": [1, 0, 1]}, schema=pa.schema([*fields, pa.field("label", pa.int8())]))
    pq.write_table(table, tmp_path / "jets.parquet", row_group_size=2)
    jets = eqt.read_jets(tmp_path / "jets.parquet")
    assert jets.constituents.px.tolist() == ROWS["part_px"]
    assert jets.constituents.pdgId.tolist() == ROWS["part_pdgId"]
    assert eqt.read_jets(tmp_path / "jets.parquet", entry_start=2).constituents.px.tolist() == [[20]]


@pytest.mark.parametrize("kind", ["list", "large_list"])
def test_canonical_columns_as_pyarrow_writes_them(tmp_path, kind):
    names = {"px": "part_px", "py": "part_py", "pz": "part_pz", "E": "part_energy"}
    parts = [[{n: ROWS[c][j][k] for n, c in names.items()} for k in range(len(ROWS["part_px"][j]))] for j in range(3)]
    struct = pa.struct([(name, pa.float64()) for name in names])
    pq.write_table(pa.table({"constituents": pa.array(parts, LISTS[kind](struct))}), tmp_path / "jets.parquet")
    jets = eqt.read_jets(tmp_path / "jets.parquet")
    assert jets.constituents.px.tolist() == ROWS["part_px"]


def test_jets_from_arrow_in_memory():
    parts = [[{"px": 3.0, "py": 4.0, "pz": 0.0, "E": 5.0}, None], [], None]
    constituents = ak.from_arrow(pa.array(parts[:2]))
    assert flatten(eqt.make_jets(constituents)).offsets.tolist() == [0, 1, 1]
    particles = ak.from_arrow(pa.array(parts[:1]))
    for make in FLOATS:
        assert cluster(particles, R=make(0.75), min_pt=make(2.0)).constituents.px.tolist() == [[[3]]]
    assert cluster(particles, R=0.8).constituents.px.tolist() == [[[3]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int16])
def test_unsigned_columns(dtype):
    particles = ak.zip({"pt": [[30.0, 2.0]], "eta": 0.1, "phi": [[0.1, 0.2]], "mass": 0.0})
    particles["pdgId"] = ak.unflatten(np.array([11, 22], dtype), [2])
    jets = eqt.make_jets(particles)
    ragged = eqt.RaggedJets.from_awkward(jets, ["pdgId"])
    assert (-ragged.columns["pdgId"]).abs().tolist() == [11, 22]
    model = eqt.models.build("lorentznet", pid=True, n_layers=1, hidden=4).eval()
    expected = model(eqt.make_jets(ak.with_field(particles, ak.values_astype(particles.pdgId, np.int64), "pdgId")))
    assert model(jets).tolist() == expected.tolist()


@pytest.mark.parametrize("values", [np.array([1j, 2j]), np.array(["2020", "2021"], "datetime64[Y]")])
def test_columns_that_are_no_numbers(values):
    particles = ak.zip({"pt": [[30.0, 2.0]], "eta": 0.1, "phi": 0.2, "mass": 0.0, "odd": ak.unflatten(values, [2])})
    with pytest.raises(JetError, match=r"column 'odd' of type .*\n.*real numbers"):
        flatten(eqt.make_jets(particles), ["odd"])


@pytest.mark.parametrize("make", FLOATS)
def test_thresholds(make):
    given = {"FatJet": {"tight": make(0.5), "nested": {"loose": make(0.25)}}}
    check_thresholds({"FatJet": {"tight": make(0.5)}})
    check_thresholds({"FatJet": {"score": {"loose": make(0.25)}}})
    (tight,) = working_points({"tight": given["FatJet"]["tight"]}, ["score"], "FatJet")
    (loose,) = working_points({"score": given["FatJet"]["nested"]}, ["score"], "FatJet")
    assert [(type(p.threshold), p.threshold) for p in (tight, loose)] == [(float, 0.5), (float, 0.25)]
    for refused in (make(1.5), make(np.nan), np.True_, np.array([0.5])):
        with pytest.raises(eqt.TaggerError, match="a threshold in"):
            check_thresholds({"FatJet": {"tight": refused}})


@pytest.mark.parametrize("whole", INTEGERS)
@pytest.mark.parametrize("real", FLOATS)
def test_options_of_networks(whole, real):
    model = eqt.models.build("lorentznet", n_layers=whole(2), hidden=whole(4), c_weight=real(0.5), clamp=real(64.0))
    assert json.loads(json.dumps(model.options)) == model.options
    assert (model.options["n_layers"], model.options["c_weight"], model.options["clamp"]) == (2, 0.5, 64)
    lgn = eqt.models.build("lgn", levels=whole(2), channels=(whole(2), whole(3), whole(4)), maxdim=whole(3))
    assert json.dumps(lgn.options)
    with pytest.raises(eqt.TaggerError, match="n_layers"):
        eqt.models.build("lorentznet", n_layers=real(2.0))


@pytest.mark.parametrize(("whole", "real"), [(np.int64, np.float32), (lambda v: np.array(v), lambda v: np.array(v))])
def test_options_of_fit_and_taggers(tmp_path, whole, real):
    pytest.importorskip("lightning")
    rng = np.random.default_rng(0)
    parts = ak.unflatten(
        ak.zip({"pt": rng.uniform(1, 9, 72), "eta": rng.normal(0, 1, 72), "phi": 0.1, "mass": 0.0}), 24 * [3]
    )
    jets = eqt.make_jets(parts, label=np.arange(24, dtype=np.uint8) % 2)
    model = eqt.models.build("pfn", phi=[whole(4)], f=[whole(4)])
    tagger = eqt.fit(
        model, jets, out=tmp_path / "run", epochs=whole(1), batch_size=whole(8), learning_rate=real(0.25),
        weight_decay=real(0), seed=whole(1), pool=whole(0), pair_budget=whole(100), validation=real(0.25),
        class_weights=[real(1.0), real(2.0)], recipe={"warmup": real(0.0)}, save_every=real(60), progress=False,
    )  # fmt: skip
    assert tagger.card.training.recipe["recipe"]["learning_rate"] == 0.25
    assert ak.all(tagger(jets, pair_budget=whole(50)) == tagger(jets))
    assert len(eqt.read_jets(_parquet(jets, tmp_path), entry_start=whole(2), entry_stop=whole(5))) == 3


def _parquet(jets, folder):
    ak.to_parquet(jets, folder / "jets.parquet")
    return folder / "jets.parquet"


@pytest.mark.parametrize("whole", INTEGERS)
def test_options_of_simulate(whole):
    sample = SampleRequest.of("top-particle", whole(3), whole(2), whole(1), None, mpi=True, particle_level=False)
    assert [(type(v), v) for v in (sample.n, sample.seed, sample.workers)] == [(int, 3), (int, 2), (int, 1)]


@pytest.mark.parametrize("real", FLOATS)
def test_options_of_metrics(real):
    scores, labels = np.array([0.9, 0.75, 0.8, 0.5, 0.7, 0.3]), np.array([1, 0, 1, 0, 1, 0], np.uint8)
    metrics = measure(scores, labels, efficiencies=[real(0.5)], signal=np.int64(1))
    assert metrics == measure(scores, labels, efficiencies=[0.5])
    assert "rejection_50_low" in json.loads(json.dumps(metrics.as_dict()))
    plots.roc_curve(scores, labels, efficiencies=[real(0.5)])
    plots.score_by_class(scores, labels, bins=np.int32(5))


def test_one_hot_labels_are_refused_in_words(tmp_path):
    parts = ak.zip({"pt": [[9.0], [5.0], [3.0]], "eta": 0.1, "phi": 0.1, "mass": 0.0})
    one_hot = np.eye(2, dtype=np.int8)[[0, 1, 1]]
    model = eqt.models.build("pfn", phi=[4], f=[4])
    for jets, labels in [(eqt.make_jets(parts, label=one_hot), "label"), (eqt.make_jets(parts), one_hot)]:
        with pytest.raises(JetError, match=r"one (number|label) per jet"):
            eqt.fit(model, jets, labels, out=tmp_path / "run")
    with pytest.raises(JetError, match=r"2 \* int8: several numbers per jet(.|\n)*np.argmax\(one_hot, axis=1\)"):
        eqt.fit(model, eqt.make_jets(parts, label=one_hot), out=tmp_path / "run")
    with pytest.raises(JetError, match="one label per score"):
        measure([0.1, 0.2, 0.3], one_hot)
    assert not (tmp_path / "run").exists()

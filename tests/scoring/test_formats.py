"""Formats of inputs and outputs: TTree, RNTuple, Parquet, friends; the same scores in each."""

import shutil

import awkward as ak
import numpy as np
import pyarrow.parquet
import pytest
import uproot

from coffea_equitag import score_file
from coffea_equitag.cli import main
from coffea_equitag.errors import JetError, TaggerError
from coffea_equitag.readers import nanoaod

FORMATS = {"root": ".root", "rntuple": ".root", "parquet": ".parquet"}


def columns_of(path):
    """All columns of a scored file, in memory."""
    if path.suffix == ".parquet":
        rows = ak.from_parquet(path)
        return {name: rows[name] for name in rows.fields}
    tree = uproot.open(path)["Events"]
    return {name: tree[name].array() for name in tree.keys(recursive=False)}


@pytest.fixture(scope="module")
def scored(nano_file, saved_tagger, tmp_path_factory):
    """The same file in all formats."""
    folder, found = tmp_path_factory.mktemp("formats"), {}
    for kind, suffix in FORMATS.items():
        found[kind] = folder / f"{kind}{suffix}"
        score_file(saved_tagger, nano_file, found[kind], name="net", format=kind, chunk_size=5, progress=False)
    return found


@pytest.mark.parametrize("kind", FORMATS)
def test_every_branch_in_every_format(scored, nano_file, kind):
    before, after = columns_of(nano_file), columns_of(scored[kind])
    assert set(after) == {*before, "FatJet_net"}
    for name, column in before.items():
        assert ak.array_equal(after[name], column, dtype_exact=False, check_parameters=False), name
    expected = columns_of(scored["root"])["FatJet_net"]
    assert ak.array_equal(ak.drop_none(after["FatJet_net"]), expected, check_parameters=False)


def test_formats_are_what_they_are_called(scored):
    assert uproot.open(scored["root"]).classname_of("Events") == "TTree"
    assert uproot.open(scored["rntuple"]).classname_of("Events") == "ROOT::RNTuple"
    with uproot.open(scored["rntuple"]) as file:
        assert file["Runs"]["genEventCount"].array().tolist() == [12]
        assert file["Events"]["FatJet_net"].description.startswith("net: tagger small_net ")
    schema = pyarrow.parquet.read_schema(scored["parquet"])
    assert schema.field("FatJet_net").metadata[b"description"].startswith(b"net: tagger small_net ")


def test_rntuples_are_scored_as_trees_are(scored, saved_tagger, open_nano, nano_file, tmp_path):
    expected = columns_of(scored["root"])["FatJet_net"]
    for kind in ("root", "parquet"):
        output = tmp_path / f"again{FORMATS[kind]}"
        report = score_file(saved_tagger, scored["rntuple"], output, name="two", chunk_size=7, progress=False)
        assert (report.events, report.jets, report.unscored) == (12, 17, 0)
        assert np.allclose(ak.flatten(columns_of(output)["FatJet_two"]), ak.flatten(expected), rtol=0, atol=1e-6)
        assert set(columns_of(output)) == {*columns_of(nano_file), "FatJet_net", "FatJet_two"}
    jets = nanoaod(open_nano(scored["rntuple"]), "FatJet")
    stored = nanoaod(open_nano(nano_file), "FatJet")
    assert ak.array_equal(jets.constituents.pt, stored.constituents.pt, check_parameters=False)


@pytest.mark.parametrize("counts", [[], [0, 0], [1]])
@pytest.mark.parametrize("kind", FORMATS)
def test_few_jets_or_events(counts, kind, nano_writer, saved_tagger, tmp_path):
    source, output = nano_writer(tmp_path / "in.root", counts), tmp_path / f"out{FORMATS[kind]}"
    report = score_file(saved_tagger, source, output, name="net", format=kind, progress=False)
    assert (report.events, report.jets) == (len(counts), sum(counts))
    if kind == "rntuple" and not counts:  # uproot before 5.7 does not read those
        assert uproot.open(output)["Events"].num_entries == 0
        return
    assert ak.num(columns_of(output)["FatJet_net"]).tolist() == counts


@pytest.mark.parametrize("kind", FORMATS)
def test_a_type_for_all_chunks(kind, nano_file, saved_tagger, tmp_path):
    """Jets without a score in one chunk and not in others: NaN, in Parquet null."""

    def some(events, collection):
        jets = nanoaod(events, collection)
        return ak.mask(jets, (jets.pt > 0) & (events.event != 2)) if ak.any(events.event == 2) else jets

    output = tmp_path / f"out{FORMATS[kind]}"
    report = score_file(
        saved_tagger, nano_file, output, name="net", reader=some, format=kind, chunk_size=1, progress=False
    )
    scores = columns_of(output)["FatJet_net"]
    missing = ak.is_none(scores, axis=1) if kind == "parquet" else np.isnan(scores)
    assert ak.sum(missing, axis=1).tolist() == [0, 0, 3, *9 * [0]]
    assert report.unscored == 3
    expected = "?float32" if kind == "parquet" else "float32"
    assert str(ak.type(scores)) == f"12 * var * {expected}"


@pytest.mark.parametrize("kind", FORMATS)
def test_friends_have_scores_and_identifiers(kind, nano_file, saved_tagger, scored, tmp_path):
    output = tmp_path / f"friend{FORMATS[kind]}"
    report = score_file(saved_tagger, nano_file, output, name="net", format=kind, friend=True, progress=False)
    found = columns_of(output)
    assert set(found) == {"run", "luminosityBlock", "event", "nFatJet", "FatJet_net"}
    assert found["event"].tolist() == list(range(12))
    assert ak.num(found["FatJet_net"]).tolist() == found["nFatJet"].tolist()
    assert ak.array_equal(
        ak.drop_none(found["FatJet_net"]), columns_of(scored["root"])["FatJet_net"], check_parameters=False
    )
    assert report.not_copied == ()
    if kind != "parquet":
        assert uproot.open(output).keys(cycle=False) == ["Events"]


def test_discriminants(nano_file, three_class_tagger, tmp_path, capsys):
    output = tmp_path / "out.parquet"
    report = score_file(
        three_class_tagger,
        nano_file,
        output,
        name="net",
        discriminants={"TvsQCD": ("top", ["qcd"])},
        progress=False,
    )
    assert report.branches == ("FatJet_net_qcd", "FatJet_net_top", "FatJet_net_H__bb", "FatJet_net_TvsQCD")
    found = columns_of(output)
    top, qcd = (ak.flatten(ak.values_astype(found[f"FatJet_net_{name}"], float)) for name in ("top", "qcd"))
    assert np.allclose(ak.flatten(found["FatJet_net_TvsQCD"]), top / (top + qcd), rtol=0, atol=1e-7)
    schema = pyarrow.parquet.read_schema(output)
    assert b": top / (top + qcd), tagger three" in schema.field("FatJet_net_TvsQCD").metadata[b"description"]
    words = ["score", str(three_class_tagger.path), str(nano_file), "-o", str(tmp_path / "out.root"), "--quiet"]
    assert main([*words, "--discriminant", "HvsAll=H->bb:qcd,top", "--friend"]) == 0
    assert "FatJet_three_HvsAll" in uproot.open(tmp_path / "out.root")["Events"]
    with pytest.raises(TaggerError, match="no class 'W'"):
        score_file(three_class_tagger, nano_file, output, discriminants={"WvsQCD": ("W", "qcd")}, overwrite=True)


def test_refusals(nano_file, saved_tagger, tmp_path):
    for output, options, message in [
        ("out.txt", {}, "a name that ends in .root or .parquet"),
        ("out.root", {"format": "parquet"}, "a name that ends in .parquet"),
        ("out.root", {"format": "hdf5"}, "format='hdf5'"),
        ("out.root", {"friend": True, "branches": "FatJet_*"}, "one of the two"),
    ]:
        with pytest.raises(JetError, match=message):
            score_file(saved_tagger, nano_file, tmp_path / output, progress=False, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_its_end_is_refused_at_once(nano_file, saved_tagger, tmp_path):
    short = tmp_path / "short.root"
    short.write_bytes(nano_file.read_bytes()[:-100])
    with pytest.raises(
        JetError, match=r"short\.root, which cannot be read as a ROOT file \(ValueError: it has \d+ bytes"
    ):
        score_file(saved_tagger, [nano_file, short], tmp_path / "out.root", progress=False)


def test_lists_that_do_not_fit_their_counter(saved_tagger, nano_file, tmp_path):
    """In an RNTuple each list has its own length; in a table they must agree."""
    data = {**columns_of(nano_file)}
    data["FatJet_msoftdrop"] = data["FatJet_msoftdrop"][:, :1]
    with uproot.recreate(tmp_path / "in.root") as file:
        file.mkrntuple("Events", ak.zip(data, depth_limit=1))
    with pytest.raises(JetError, match=r"in\.root: lists of different lengths in FatJet_\w+ and FatJet_msoftdrop"):
        score_file(saved_tagger, tmp_path / "in.root", tmp_path / "out.root", progress=False)
    report = score_file(saved_tagger, tmp_path / "in.root", tmp_path / "out.root", branches="FatJet_pt", progress=False)
    assert report.jets == 17


def test_the_real_rntuple(saved_tagger, shared_data, tmp_path):
    source = shared_data / "pfnano_rntuple.root"
    report = score_file(saved_tagger, source, tmp_path / "out.root", name="net", format="rntuple", progress=False)
    assert (report.events, report.jets, report.not_copied) == (10, 24, ())
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        names = [name for name in before["Events"].keys(recursive=False) if not name.startswith("_collection")]
        assert set(after["Events"].keys(recursive=False)) == {*names, "FatJet_net"}
        for name in names:
            was, now = before["Events"][name].array(), after["Events"][name].array()
            assert ak.array_equal(was, now, dtype_exact=False, equal_nan=True), name
    shutil.copy(shared_data / "pfnano.root", tmp_path / "tree.root")
    score_file(saved_tagger, tmp_path / "tree.root", tmp_path / "t.root", name="net", friend=True, progress=False)
    tree, ntuple = (columns_of(tmp_path / name)["FatJet_net"] for name in ("t.root", "out.root"))
    assert ak.num(tree).tolist() == ak.num(ntuple).tolist()

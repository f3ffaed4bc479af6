"""Scoring of files: events, branches, chunks, refusals, interruptions."""

import re
import threading

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from arithmetic import rounding_of_scores
from coffea_equitag import score_file
from coffea_equitag.errors import JetError
from coffea_equitag.readers import nanoaod
from coffea_equitag.scoring import score_one


@pytest.fixture(scope="module")
def scored(nano_file, saved_tagger, tmp_path_factory):
    output = tmp_path_factory.mktemp("scored") / "out.root"
    report = score_file(saved_tagger, nano_file, output, name="net", progress=False)
    return report, output


def test_report(scored):
    report, output = scored
    assert (report.events, report.jets, report.unscored, report.output) == (12, 17, 0, output)
    assert report.branches == ("FatJet_net",)
    assert report.not_copied == ()
    assert report.seconds > 0


def test_every_branch_survives(scored, nano_file):
    with uproot.open(nano_file) as before, uproot.open(scored[1]) as after:
        assert set(after["Events"].keys()) == {*before["Events"].keys(), "FatJet_net"}
        for branch in before["Events"].branches:
            was, now = branch.array(), after["Events"][branch.name].array()
            assert ak.array_equal(was, now, dtype_exact=not branch.name.startswith("n"))
            assert branch.title == after["Events"][branch.name].title
        assert after["Runs"]["genEventCount"].array().tolist() == [12]
        assert after["tag"] == "made for tests"
        assert after["counts"].values().tolist() == before["counts"].values().tolist()


def test_scores_are_on_the_jets(scored, nano_file, saved_tagger, open_nano):
    expected = saved_tagger(nanoaod(open_nano(nano_file), "FatJet"))
    again = open_nano(scored[1])
    assert ak.array_equal(again.FatJet.net, expected, check_parameters=False)
    quiet = type("Quiet", (NanoAODSchema,), {"warn_missing_crossrefs": False})
    events = NanoEventsFactory.from_root({str(scored[1]): "Events"}, schemaclass=quiet).events()
    assert ak.array_equal(events.FatJet.net, expected, check_parameters=False)
    assert ak.array_equal(
        nanoaod(again, "FatJet").constituents.pt, nanoaod(open_nano(nano_file), "FatJet").constituents.pt
    )


@pytest.mark.parametrize("chunk_size", [1, 7, 10**5, "2 kB"])
def test_chunks_give_the_same_scores(scored, nano_file, saved_tagger, open_nano, tmp_path, chunk_size):
    output = tmp_path / "out.root"
    score_file(saved_tagger, nano_file, output, name="net", chunk_size=chunk_size, progress=False)
    one, other = (uproot.open(path)["Events/FatJet_net"].array() for path in (scored[1], output))
    assert ak.num(one).tolist() == ak.num(other).tolist()
    allowed = rounding_of_scores(saved_tagger, nanoaod(open_nano(nano_file), "FatJet"))
    assert np.allclose(ak.flatten(one), ak.flatten(other), rtol=0, atol=allowed)
    assert uproot.open(output)["Events/event"].array().tolist() == list(range(12))


@pytest.mark.parametrize("counts", [[], [0, 0, 0], [0], [1]])
def test_few_jets_or_events(counts, nano_writer, saved_tagger, tmp_path):
    source = nano_writer(tmp_path / "in.root", counts)
    report = score_file(saved_tagger, source, tmp_path / "out.root", name="net", progress=False)
    assert (report.events, report.jets) == (len(counts), sum(counts))
    tree = uproot.open(tmp_path / "out.root")["Events"]
    assert ak.num(tree["FatJet_net"].array()).tolist() == counts
    assert str(tree["FatJet_net"].interpretation) == "AsJagged(AsDtype('>f4'))"


def test_a_branch_a_class(nano_file, three_class_tagger, tmp_path):
    report = score_file(three_class_tagger.path, nano_file, tmp_path / "out.root", progress=False)
    assert report.branches == ("FatJet_three_qcd", "FatJet_three_top", "FatJet_three_H__bb")
    tree = uproot.open(tmp_path / "out.root")["Events"]
    total = sum(tree[name].array() for name in report.branches)
    assert np.allclose(ak.flatten(total), 1, atol=1e-6)


def test_selected_branches(nano_file, saved_tagger, tmp_path):
    score_file(
        saved_tagger, nano_file, tmp_path / "out.root", name="net", branches=["FatJet_pt", "HLT_*"], progress=False
    )
    found = set(uproot.open(tmp_path / "out.root")["Events"].keys())
    ids = {"run", "luminosityBlock", "event"}
    assert found == {"nFatJet", "FatJet_pt", "FatJet_net", "HLT_PFJet500", *ids}
    score_file(saved_tagger, nano_file, tmp_path / "bare.root", name="net", branches="genWeight", progress=False)
    assert set(uproot.open(tmp_path / "bare.root")["Events"].keys()) == {"nFatJet", "FatJet_net", "genWeight", *ids}


def test_several_files_are_joined(nano_writer, saved_tagger, tmp_path):
    sources = [nano_writer(tmp_path / f"{n}.root", [n, 1], seed=n) for n in (1, 2)]
    report = score_file(saved_tagger, sources, tmp_path / "out.root", name="net", progress=False)
    assert (report.events, report.jets) == (4, 5)
    with uproot.open(tmp_path / "out.root") as file:
        assert ak.num(file["Events/FatJet_net"].array()).tolist() == [1, 1, 2, 1]
        assert file["Runs/genEventCount"].array().tolist() == [2, 2]
    assert [name.split(" ")[0] for name in report.not_copied] == ["tag", "counts"]
    extended = nano_writer(tmp_path / "3.root", [1], more=np.ones(1, np.float32))
    with pytest.raises(JetError, match="differs from the first file: more"):
        score_file(saved_tagger, [*sources, extended], tmp_path / "no.root", name="net", progress=False)


@pytest.mark.parametrize("fault", ["other branches", "no ROOT file", "no jets", "scored already"])
def test_all_inputs_are_checked_before_anything_is_written(nano_writer, tmp_path, monkeypatch, fault):
    """No tagger runs and no temporary file appears where the last of the inputs is wrong."""
    first, last = nano_writer(tmp_path / "a.root", [2, 1]), tmp_path / "b.root"
    if fault == "no ROOT file":
        last.write_bytes(100 * b"not ROOT")
    elif fault == "no jets":
        with uproot.recreate(last) as file:
            file.mktree("Events", {"run": np.uint32})
    else:
        nano_writer(last, [1], **{"more" if fault == "other branches" else "FatJet_net": np.ones(1, np.float32)})

    class Tagger:
        name, classes = "net", ("a", "b")

        def __call__(self, jets):
            raise AssertionError("scored before the inputs were checked")

    monkeypatch.setattr(score_one, "atomic_file", lambda *_: pytest.fail("opened before the inputs were checked"))
    with pytest.raises(JetError, match=r"b\.root"):
        score_file(Tagger(), [first, last], tmp_path / "out.root", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.root", "b.root"]


def test_missing_jets_are_nan(nano_file, saved_tagger, tmp_path):
    def some(events, collection):
        jets = nanoaod(events, collection)
        return ak.mask(jets, jets.pt > 500)

    report = score_file(saved_tagger, nano_file, tmp_path / "out.root", name="net", reader=some, progress=False)
    tree = uproot.open(tmp_path / "out.root")["Events"]
    scores, pt = (ak.to_numpy(ak.flatten(tree[name].array())) for name in ("FatJet_net", "FatJet_pt"))
    assert np.array_equal(np.isnan(scores), ~(pt > 500))
    assert report.unscored == np.isnan(scores).sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jets": "Jet"}, "without a collection 'Jet'.*\n.*FatJet"),
        ({"name": "pt"}, "already has a branch FatJet_pt"),
        ({"tree": "Delphes"}, "without a TTree or RNTuple 'Delphes'\n.*Events, Runs"),
        ({"tree": "tag"}, "is of class TObjString"),
        ({"branches": ["Muon_*"]}, "no branch matches 'Muon_\\*'"),
        ({"chunk_size": 0}, "chunk_size=0"),
        ({"chunk_size": "many"}, "chunk_size='many'"),
        ({"reader": lambda events, jets: nanoaod(events, jets)[:, :1]}, "one score for each FatJet"),
    ],
)
def test_refusals_leave_nothing(options, message, nano_file, saved_tagger, tmp_path):
    with pytest.raises(JetError, match=message):
        score_file(saved_tagger, nano_file, tmp_path / "out.root", progress=False, **options)
    assert list(tmp_path.iterdir()) == []


def test_refused_paths(nano_file, saved_tagger, tmp_path):
    copy = tmp_path / "in.root"
    copy.write_bytes(nano_file.read_bytes())
    (tmp_path / "text.root").write_text("no ROOT file, but long enough to be looked at " * 20)
    for source, output, message in [
        (tmp_path / "absent.root", tmp_path / "out.root", "no file"),
        ([], tmp_path / "out.root", "no file to score"),
        (tmp_path / "text.root", tmp_path / "out.root", "cannot be read"),
        (copy, copy, "same file"),
        (copy, tmp_path / "text.root", "already exists"),
        (copy, tmp_path / "no" / "out.root", "no folder"),
    ]:
        with pytest.raises(JetError, match=message):
            score_file(saved_tagger, source, output, progress=False)
    with pytest.raises(JetError, match="same file"):
        score_file(saved_tagger, copy, copy, overwrite=True, progress=False)
    before = copy.read_bytes()
    (tmp_path / "link.root").symlink_to(copy)
    for source, output in [(f"file://{copy}", copy), (copy, tmp_path / "link.root"), (f"root://server/{copy}", copy)]:
        with pytest.raises(JetError, match="same file"):
            score_file(saved_tagger, source, output, overwrite=True, progress=False)
    assert copy.read_bytes() == before
    (tmp_path / "link.root").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.root", "text.root"]
    score_file(saved_tagger, copy, tmp_path / "text.root", overwrite=True, progress=False)
    assert uproot.open(tmp_path / "text.root")["Events"].num_entries == 12


@pytest.fixture(params=[1, 2])
def threads(request):
    """Threads of torch: with more than one, reading runs ahead."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_reading_runs_ahead_where_there_is_more_than_one_core(scored, nano_file, saved_tagger, tmp_path, threads):
    names, here = [], threading.current_thread().name

    def named(events, collection):
        names.append(threading.current_thread().name)
        return nanoaod(events, collection)

    output = tmp_path / "out.root"
    report = score_file(saved_tagger, nano_file, output, name="net", chunk_size=5, reader=named, progress=False)
    assert names == ["equitag-ahead" if threads > 1 else here] * 3
    assert (report.events, report.jets) == (scored[0].events, scored[0].jets)
    with uproot.open(output) as ours, uproot.open(scored[1]) as whole:
        assert ak.array_equal(ours["Events"].arrays(), whole["Events"].arrays())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_interruption_leaves_nothing(nano_file, saved_tagger, tmp_path, threads, error):
    calls = []

    def breaks(events, collection):
        calls.append(sorted(path.name for path in tmp_path.iterdir()))
        if len(calls) == 3:
            raise error
        return nanoaod(events, collection)

    with pytest.raises(error):
        score_file(saved_tagger, nano_file, tmp_path / "out.root", chunk_size=2, reader=breaks, progress=False)
    assert calls[0] == calls[1] == calls[2]
    assert re.fullmatch(r"\.out\.[\w-]+\.[0-9a-f]{12}\.part\.root", *calls[0])
    assert list(tmp_path.iterdir()) == []


def test_the_real_file_survives_in_full(nano_file, saved_tagger, shared_data, tmp_path):
    """The whole real file: 1802 branches, and two trees of C++ objects."""
    source = shared_data / "pfnano.root"
    report = score_file(saved_tagger, source, tmp_path / "out.root", name="net", progress=False)
    assert (report.events, report.jets, report.unscored) == (10, 24, 0)
    assert [name.split("/")[0] for name in report.not_copied] == ["MetaData", "ParameterSets"]
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        assert set(after["Events"].keys()) == {*before["Events"].keys(), "FatJet_net"}
        was, now = before["Events"].arrays(how=dict), after["Events"].arrays(how=dict)
        titles = {branch.name: branch.title for branch in after["Events"].branches}
        for branch in before["Events"].branches:
            assert ak.array_equal(was[branch.name], now[branch.name], dtype_exact=False, equal_nan=True), branch.name
            assert titles[branch.name] == branch.title
            if branch.count_branch is not None or branch.typename == "bool":
                assert branch.typename == after["Events"][branch.name].typename
        assert set(after.keys(cycle=False)) == {"Events", "Runs", "LuminosityBlocks", "tag"}

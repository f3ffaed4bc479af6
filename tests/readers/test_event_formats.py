"""Readers of PHYSLITE, EDM4HEP and Delphes: what all of them promise, on real files and on records like them."""

import warnings

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents.trace import trace_with_typetracer

from coffea_equitag import JetError, read_jets, validate
from coffea_equitag.readers import auto, recognise
from coffea_equitag.readers.event_columns import EVENT_BRANCHES, with_event_columns
from delphes_events import delphes_events
from event_formats import REAL, open_real

pytestmark = pytest.mark.filterwarnings("ignore::coffea_equitag.ConstituentsWarning")

NAMES = [*REAL, "delphes"]


@pytest.fixture(scope="module", params=NAMES)
def opened(request, opened_formats):
    return request.param, *opened_formats(request.param)


@pytest.fixture(scope="module")
def opened_formats(request):
    def open_format(name):
        if name == "delphes":
            return delphes_events(), "Jet"
        return open_real(request.getfixturevalue("shared_data"), name)

    return open_format


def values(jets):
    """Columns of the constituents, and where jets are missing."""
    return {name: jets.constituents[name].to_list() for name in jets.constituents.fields}


def test_recognised(opened):
    name, events, collection = opened
    assert recognise(events, collection).name == {"physlite": "PHYSLITE", "delphes": "Delphes"}.get(name, "EDM4HEP")


def test_numbers(opened):
    name, events, collection = opened
    jets = validate(auto(events, collection))
    expected = (5, 0, 6) if name == "delphes" else REAL[name][5:]
    number = ak.num(jets.constituents, axis=2)
    assert (ak.sum(ak.num(jets)), ak.sum(ak.is_none(number, axis=1)), ak.sum(number)) == expected
    assert ak.num(jets).to_list() == ak.num(events[collection]).to_list()


def test_momenta_sum_to_the_jets(opened):
    name, events, collection = opened
    jets = auto(events, collection)
    summed = {axis: ak.sum(getattr(jets.constituents, axis), axis=2) for axis in ("px", "py", "pz")}
    if name == "physlite":
        # the tracks that are kept are part of a jet, and near its axis
        pairs = ak.drop_none(ak.flatten(jets), axis=0)
        near = [ak.max(pairs.constituents[a] - pairs[a]) for a in ("eta",)]
        assert max(near) < 0.45
        assert 0.1 < ak.sum(jets.constituents.pt) / ak.sum(jets.pt) < 1
        return
    for axis, total in summed.items():
        assert ak.max(abs(total - getattr(jets, axis))) < 1e-4


def test_selected_sorted_and_masked_jets_keep_their_constituents(opened):
    _, events, collection = opened
    jets = auto(events, collection)
    events = events[ak.num(events[collection]) > 0]
    jets = jets[ak.num(jets) > 0]
    given = events[collection]
    order = ak.argsort(given.px, axis=1)
    heavy = given.mass > ak.mean(given.mass, axis=None)
    for changed, expected in (
        (given[order], jets[order]),
        (given[heavy], jets[heavy]),
        (ak.mask(given, heavy), ak.mask(jets, heavy)),
        (given[:, :1], jets[:, :1]),
    ):
        assert values(auto(ak.with_field(events, changed, collection), collection)) == values(expected)
    assert values(auto(events[1:3], collection)) == values(jets[1:3])
    assert len(auto(events[:0], collection)) == 0


def test_shifted_jets(opened):
    """Nominal: as the stored jet; scaled: with momenta of jet and constituents multiplied."""
    _, events, collection = opened
    jets = auto(events, collection)
    given = events[collection]
    momenta = [name for name in ("pt", "m", "mass", "px", "py", "pz") if name in given.fields]
    shifted = given
    for name in momenta:
        shifted = ak.with_field(shifted, given[name] * 1.5, name)
    moved = ak.with_field(events, shifted[:, ::-1], collection)
    nominal = auto(moved, collection)[:, ::-1]
    scaled = auto(moved, collection, constituents="scaled")[:, ::-1]
    assert values(nominal) == values(jets)
    np.testing.assert_array_equal(_flat(nominal.mass), _flat(jets.mass))
    np.testing.assert_allclose(_flat(scaled.mass), 1.5 * _flat(jets.mass), rtol=1e-6)
    axis = "pt" if "pt" in jets.constituents.fields else "px"
    np.testing.assert_allclose(
        _flat(scaled.constituents[axis]), 1.5 * _flat(jets.constituents[axis]), rtol=1e-5, atol=1e-9
    )


def test_columns_on_request(opened):
    _, events, collection = opened
    jets = auto(events, collection, fields=())
    assert len(jets.constituents.fields) == 4
    jets = auto(events, collection, fields=("ip.x", "charge"))
    assert jets.constituents.fields[4:] == ["charge", "d0", "dz"]
    with pytest.raises(JetError, match=r"without 'puppiWeight'(.|\n)*choose a tagger"):
        auto(events, collection, fields="puppiWeight")


def test_unknown_jets(opened):
    _, events, collection = opened
    with pytest.raises(JetError, match=rf"events without 'Nothing'(.|\n)*{collection}"):
        recognise(events, collection).reader(events, "Nothing")
    with pytest.raises(JetError, match="one event"):
        auto(events[0], collection)


@pytest.mark.parametrize("name", REAL)
def test_columns_read(shared_data, name):
    """Momenta alone need the links, the momenta and, of each table, the column from which coffea makes its lists."""
    log = []
    events, collection = open_real(shared_data, name, access_log=log)
    del log[:]
    jets = auto(events, collection, fields=())
    ak.materialize(jets.constituents)
    read = {entry.branch.split("/")[-1] for entry in log}
    expected = {
        "physlite": {
            *(f"AnalysisJetsAuxDyn.{c}" for c in ("pt", "eta", "phi", "m", "GhostTrack")),
            *(f"InDetTrackParticlesAuxDyn.{c}" for c in ("qOverP", "theta", "phi", "definingParametersCovMatrixDiag")),
        },
        "edm4hep": {
            *(f"Jet.{c}" for c in ("PDG", "particles_begin", "particles_end", "mass")),
            *(f"Jet.momentum.{c}" for c in "xyz"),
            *(f"_Jet_particles.{c}" for c in ("index", "collectionID")),
            *(f"ReconstructedParticles.momentum.{c}" for c in "xyz"),
            *(f"ReconstructedParticles.{c}" for c in ("mass", "PDG")),
        },
        "older edm4hep": {
            *(f"Jet.{c}" for c in ("charge", "particles_begin", "particles_end", "mass")),
            *(f"Jet.momentum.{c}" for c in "xyz"),
            *(f"Jet#2.{c}" for c in ("index", "collectionID")),
            *(f"ReconstructedParticles.momentum.{c}" for c in "xyz"),
            *(f"ReconstructedParticles.{c}" for c in ("mass", "type")),
            "Electron#0.index",
        },
    }[name]
    # what find_stored needs of the jets' momenta is what a network reads of them
    assert read <= expected, read - expected


@pytest.mark.parametrize("name", NAMES)
def test_trace(opened_formats, name):
    """A trace reports what is read, and the type is that of the jets."""
    events, collection = opened_formats(name)
    if name == "delphes":
        traced = ak.to_backend(ak.materialize(events), "typetracer")
        assert auto(traced, collection).constituents.fields == auto(events, collection).constituents.fields
        return
    read = trace_with_typetracer(lambda e: _use(auto(e, collection)), events, throw=True)
    assert any("GhostTrack" in key or "particles" in key for key in read)


def _use(jets):
    ak.typetracer.touch_data(jets.constituents)
    return jets


@pytest.mark.parametrize("name", REAL)
def test_read_jets_recognises_files(shared_data, name):
    file, *_, collection, number, _, constituents = REAL[name]
    jets = read_jets(shared_data / file, jets=collection)
    assert ak.sum(ak.num(jets)) == number
    assert ak.sum(ak.num(jets.constituents, axis=2)) == constituents
    part = read_jets([shared_data / file] * 2, jets=collection, entry_start=len(jets) - 2, entry_stop=len(jets) + 3)
    assert values(part) == values(ak.concatenate([jets[-2:], jets[:3]]))
    # the jets carry the numbers of their events
    with uproot.open(shared_data / file) as opened:
        tree = opened["CollectionTree" if name == "physlite" else "events"]
        for column, branch in EVENT_BRANCHES["PHYSLITE" if name == "physlite" else "EDM4HEP"].items():
            ends = [key for key in tree.keys() if key.rpartition("/")[2] == branch]  # noqa: SIM118
            assert (column in jets.fields) == bool(ends)
            if ends:
                stored = tree[ends[0]].array()
                first = (stored if stored.ndim == 1 else ak.firsts(stored)).to_list()
                assert jets[column].to_list() == [
                    [None if is_missing else one for is_missing in some]
                    for one, some in zip(first, ak.is_none(jets[jets.fields[0]], axis=1).to_list(), strict=True)
                ]
    with pytest.raises(JetError, match=rf"without jets=(.|\n)*{collection}"):
        read_jets(shared_data / file)
    with pytest.raises(JetError, match="units are known"):
        read_jets(shared_data / file, jets=collection, units="MeV")


def _flat(column):
    return ak.to_numpy(ak.flatten(ak.drop_none(column, axis=1), axis=None))


def test_eager_events(shared_data):
    for name in REAL:
        virtual, collection = open_real(shared_data, name)
        eager, _ = open_real(shared_data, name, mode="eager")
        with warnings.catch_warnings():
            assert values(auto(virtual[:5], collection)) == values(auto(eager[:5], collection))


def test_numbers_of_events_do_not_replace_columns():
    jets = ak.Array([[{"pt": 1.0, "run": 7}], [], [{"pt": 2.0, "run": 8}, {"pt": 3.0, "run": 9}]])
    found = with_event_columns(jets, {"run": ak.Array([1, 2, 3]), "event": ak.Array([10, None, 30])})
    assert found.run.to_list() == [[7], [], [8, 9]]
    assert found.event.to_list() == [[10], [], [30, 30]]

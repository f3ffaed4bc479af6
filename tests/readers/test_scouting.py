"""Jets of scouting NanoAOD, which have no links to their candidates."""

from __future__ import annotations

import importlib
import warnings

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import attach, read_jets
from coffea_equitag.errors import ConstituentsWarning, JetError
from coffea_equitag.jets import flatten, validate
from coffea_equitag.readers import cluster, mapped, nanoaod, particles, scouting
from nano_events import nano_events
from scouting_events import random_candidates, scouting_events, with_jets, write_scouting

FAT = "ScoutingFatPFJetRecluster"


@pytest.mark.parametrize("collection", ["ScoutingPFJetRecluster", FAT])
def test_constituents_sum_to_the_jet(collection):
    events = scouting_events()
    jets = scouting(events, collection)
    assert ak.num(jets, axis=1).tolist() == ak.num(events[collection], axis=1).tolist()
    assert ak.sum(ak.num(jets, axis=1)) > 3
    assert ak.num(jets.constituents, axis=2).tolist() == events[collection].nConstituents.tolist()
    summed = ak.sum(ak.values_astype(jets.constituents, np.float64), axis=-1)
    for name, error in (("pt", 1e-4), ("mass", 1e-3)):
        expected = ak.flatten(events[collection][name]).to_numpy()
        assert ak.flatten(getattr(summed, name)).to_numpy() == pytest.approx(expected, rel=1e-6, abs=error)
    validate(jets, require=("charge", "pdgId", "d0", "dz"))


def test_nanoaod_and_calibrated_jets():
    """Calibrated jets keep their constituents; the reader of NanoAOD passes scouting on."""
    events = scouting_events(calibration=1.3)
    jets = nanoaod(events, FAT, fields=("charge",))
    assert jets.constituents.tolist() == nanoaod(scouting_events(), FAT, fields=("charge",)).constituents.tolist()
    assert jets.constituents.fields == ["pt", "eta", "phi", "mass", "charge"]


def test_jets_in_any_order_selected_and_masked():
    events = scouting_events()
    whole = scouting(events, "ScoutingPFJetRecluster")
    resorted = ak.with_field(events, events.ScoutingPFJetRecluster[:, ::-1], "ScoutingPFJetRecluster")
    assert scouting(resorted, "ScoutingPFJetRecluster").constituents.tolist() == whole.constituents[:, ::-1].tolist()
    hard = whole.pt > 100
    masked = ak.with_field(events, ak.mask(events.ScoutingPFJetRecluster, hard), "ScoutingPFJetRecluster")
    jets = scouting(masked, "ScoutingPFJetRecluster")
    assert ak.is_none(jets, axis=1).tolist() == (~hard).tolist()
    assert ak.drop_none(jets, axis=1).constituents.tolist() == whole[hard].constituents.tolist()
    assert len(flatten(jets).offsets) == ak.sum(hard) + 1


@pytest.mark.parametrize("selection", [slice(0, 0), slice(1, 2), [4, 0], np.array([True, False, True, True, False])])
def test_selected_events(selection):
    events = scouting_events()
    assert scouting(events[selection], FAT).tolist() == scouting(events, FAT)[selection].tolist()


def test_jets_that_are_not_found_are_missing():
    events = scouting_events()
    jets = events[FAT]
    elsewhere = ak.where(ak.local_index(jets.eta) == 0, jets.eta + 3, jets.eta)
    events = ak.with_field(events, ak.with_field(jets, elsewhere, "eta"), FAT)
    lost = ak.num(jets, axis=1) > 0
    with pytest.warns(ConstituentsWarning, match=f"{ak.sum(lost)} are not among the jets clustered"):
        found = scouting(events, FAT)
    assert ak.is_none(found, axis=1)[lost][:, 0].tolist() == [True] * ak.sum(lost)
    assert len(flatten(found).offsets) == ak.sum(ak.num(jets, axis=1)) - ak.sum(lost) + 1


def test_impact_parameters_and_errors_from_significances():
    """A candidate without a track has dxy and its significance 0: nothing was measured."""
    events = scouting_events((40,))
    given = events.ScoutingPFCandidate
    found = particles(events, "ScoutingPFCandidate")
    assert found.d0[0].tolist() == pytest.approx((-10 * given.trkDxy[0]).tolist())
    assert found.dz[0].tolist() == pytest.approx((10 * given.trkDz[0]).tolist())
    measured = given.trkDxysig[0] != 0
    assert found.d0Err[0][measured].tolist() == pytest.approx([0.1] * ak.sum(measured), rel=1e-5)
    assert ak.all(found.d0Err[0][~measured] == 0)
    assert ak.all(found.charge[0] == ak.where(abs(given.pdgId[0]) == 211, np.sign(given.pdgId[0]),
                  ak.where(abs(given.pdgId[0]) < 14, -np.sign(given.pdgId[0]), 0)))  # fmt: skip


def test_scouting_particles_without_mass_and_charge():
    """ScoutingParticle has pt, eta, phi and pdgId: masses are those of the particles."""
    given = random_candidates((40,))
    names = {"trkDxy": "dxy", "trkDxysig": "dxysig", "trkDz": "dz", "trkDzsig": "dzsig"}
    bare = ak.zip({names.get(name, name): given[name] for name in given.fields if name != "mass"})
    found = particles(ak.zip({"ScoutingParticle": bare}, depth_limit=1), "ScoutingParticle")
    masses = {211: 0.13957, 22: 0, 130: 0.49761, 11: 0.000511, 13: 0.10566}
    assert found.mass[0].tolist() == pytest.approx([masses[abs(code)] for code in given.pdgId[0]])
    assert found.d0.tolist() == particles(scouting_events((40,)), "ScoutingPFCandidate").d0.tolist()


def test_any_radius_from_the_candidates():
    events = scouting_events()
    jets = cluster(particles(events, "ScoutingPFCandidate"), R=1.5, min_pt=50)
    assert ak.num(jets, axis=1)[1] == 0
    assert ak.max(jets.pt) > ak.max(events[FAT].pt)


def test_files_virtual_eager_and_traced(tmp_path):
    events = scouting_events()
    path = write_scouting(events, tmp_path / "scouting.root")
    expected = scouting(events, FAT, fields=("charge", "d0"))
    log = []
    for mode, options in (("virtual", {"access_log": log}), ("eager", {})):
        opened = nano_events(path, mode, "ScoutingNanoAODSchema", **options)
        jets = nanoaod(opened, FAT, fields=("charge", "d0"))
        assert jets.constituents.tolist() == expected.constituents.tolist()
    read = {entry.branch for entry in log}
    assert not {name for name in read if name.startswith("ScoutingPFJetRecluster")}
    assert "ScoutingPFCandidate_trkDz" not in read
    from_file = read_jets(path, jets=FAT)
    assert from_file.constituents.d0.tolist() == expected.constituents.d0.tolist()

    trace = importlib.import_module("coffea.nanoevents.trace")
    opened = nano_events(path, schema="ScoutingNanoAODSchema")
    for tracer in (
        trace.trace_with_typetracer,
        trace.trace_with_length_zero_array,
        trace.trace_with_length_one_array,
    ):
        touched = tracer(lambda e: validate(scouting(e, FAT, fields=("charge", "d0"))), opened, throw=True)
        assert touched <= read | {"ScoutingFatPFJetRecluster_pt", "ScoutingFatPFJetRecluster_mass"}
        if tracer is trace.trace_with_typetracer:
            assert {"ScoutingPFCandidate_pt", "ScoutingPFCandidate_trkDxy", f"{FAT}_eta"} <= touched


def test_scaled_constituents_of_shifted_jets(tmp_path):
    opened = nano_events(write_scouting(scouting_events(), tmp_path / "scouting.root"), schema="ScoutingNanoAODSchema")
    shifted = ak.with_field(opened[FAT], opened[FAT].pt * 1.1, "pt")
    events = ak.with_field(opened, shifted, FAT)
    nominal, scaled = scouting(events, FAT), scouting(events, FAT, constituents="scaled")
    assert nominal.pt.tolist() == scouting(opened, FAT).pt.tolist()
    ratio = ak.flatten(scaled.constituents.pt / nominal.constituents.pt, axis=None)
    assert ratio.to_numpy() == pytest.approx(1.1, rel=1e-5)


def test_what_a_file_lacks_is_said_in_its_words():
    events = scouting_events((5, 3))
    with pytest.raises(JetError, match="ScoutingPFJetRecluster, ScoutingFatPFJetRecluster"):
        scouting(events, "ScoutingFatJet")
    with pytest.raises(JetError, match=r"without candidates(.|\n)*addScoutingPFCandidate"):
        scouting(events[[FAT]], FAT)
    with pytest.raises(JetError, match="ScoutingPFCandidate"):
        particles(events, "PFCands")
    with pytest.raises(JetError, match="'trkChi2'"):
        scouting(events, FAT, fields=("trkChi2",))


def test_no_warning_without_jets():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(scouting(with_jets(random_candidates((0, 0))), FAT)) == 2


def test_real_file_without_candidates(coffea_sample):
    """Scouting NanoAOD of coffea's tests has jets, but neither candidates nor links."""
    path = coffea_sample("scouting_nano.root")
    events = nano_events(path, schema="ScoutingNanoAODSchema")
    message = r"without candidates; its tables are(.|\n)*ScoutingPFJet(.|\n)*addScoutingPFCandidate"
    with pytest.raises(JetError, match=message):
        nanoaod(events, "ScoutingFatJet")
    with pytest.raises(JetError, match=message):
        read_jets(path, jets="ScoutingFatJet")


def test_candidates_of_a_real_event_as_scouting(shared_data):
    """Candidates of CMS simulation in scouting's columns: AK8 jets without pileup weights are found again."""
    events = nano_events(shared_data / "pfnano.root")
    given = events.PFCands
    candidates = ak.zip(
        {
            "pt": given.pt,
            "eta": given.eta,
            "phi": given.phi,
            "mass": ak.where(given.mass > 0, given.mass, 0),
            "pdgId": given.pdgId,
            "trkDxy": ak.where(given.d0Err > 0, given.d0, 0),
            "trkDxysig": ak.where(given.d0Err > 0, given.d0 / given.d0Err, 0),
        }
    )
    whole = with_jets(ak.Array(ak.to_layout(ak.materialize(candidates))))
    jets = scouting(whole, FAT)
    assert ak.sum(ak.num(jets, axis=1)) >= 20
    assert ak.num(jets.constituents, axis=2).tolist() == whole[FAT].nConstituents.tolist()
    summed = ak.sum(ak.values_astype(jets.constituents, np.float64), axis=-1)
    assert ak.flatten(summed.pt / jets.pt).to_numpy() == pytest.approx(1, abs=1e-5)
    stored = particles(events, "PFCands", puppi=False)
    found = particles(whole, "ScoutingPFCandidate")
    assert ak.flatten(found.d0).to_numpy() == pytest.approx(ak.flatten(stored.d0).to_numpy(), abs=1e-6)
    assert ak.flatten(found.d0Err).to_numpy() == pytest.approx(ak.flatten(stored.d0Err).to_numpy(), rel=1e-5)


class Counter:
    """A tagger whose score is the number of constituents."""

    classes = ("background", "signal")

    def __call__(self, jets):
        return ak.num(jets.constituents, axis=2)


def test_scores_land_on_the_jets_of_the_file(tmp_path):
    """`attach` recognises scouting by itself; a reader of one's own takes a mapping."""
    events = scouting_events()
    opened = nano_events(write_scouting(events, tmp_path / "scouting.root"), schema="ScoutingNanoAODSchema")
    scored = attach(opened, {FAT: Counter()}, name="count")
    assert scored[FAT].count.tolist() == events[FAT].nConstituents.tolist()
    links = {"counts": f"{FAT}.nConstituents"}  # not which they are, but how many
    mapping = {
        "constituents": {name: f"ScoutingPFCandidate.{name}" for name in ("pt", "eta", "phi", "mass")},
        "jets": {"pt": f"{FAT}.pt"},
        "links": links,
    }
    read = attach(opened, {FAT: Counter()}, name="count", reader=lambda events, _: mapped(events, mapping))
    assert read[FAT].count.tolist() == events[FAT].nConstituents.tolist()

"""Central NanoAOD v15: what it stores, and what it says about the rest."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import read_jets
from coffea_equitag.errors import ConstituentsWarning, JetError
from coffea_equitag.readers import cluster, nanoaod, particles
from coffea_equitag.readers.jet_axes import distance
from nano_events import nano_events, small_events


@pytest.fixture(scope="module")
def central(shared_data):
    return nano_events(shared_data / "nano_tt_v15.root", schema="NanoAODSchema")


def test_momenta_of_the_real_file(central):
    """64 fat jets, 2 without candidates; the sums agree with the uncorrected jets within the stored precision."""
    with pytest.warns(ConstituentsWarning, match="of 64 FatJet, 2 whose candidates are not stored"):
        jets = nanoaod(central, "FatJet")
    assert (ak.sum(ak.num(jets, axis=1)), ak.sum(ak.num(jets.constituents, axis=2))) == (64, 2374)
    jets = ak.drop_none(jets, axis=1)
    summed = ak.sum(ak.values_astype(jets.constituents, np.float64), axis=-1)
    for name in ("pt", "mass"):
        ratio = ak.flatten(getattr(summed, name) / (jets[name] * (1 - jets.rawFactor)))
        assert ratio.to_numpy() == pytest.approx(1, abs=3e-3)  # 10 bits of mantissa in each momentum
    assert jets.constituents.fields == ["pt", "eta", "phi", "mass", "charge", "pdgId"]


def test_small_radius_jets_are_refused_in_the_words_of_v15(central, shared_data):
    message = r"central NanoAOD v15 without constituents of 'Jet'(.|\n)*FatJet only(.|\n)*SaveAK4JetConstituents"
    with pytest.raises(JetError, match=message):
        nanoaod(central, "Jet")
    with pytest.raises(JetError, match=message):
        read_jets(shared_data / "nano_tt_v15.root", jets="Jet")


def test_tables_of_v15_without_a_real_file():
    events = small_events("PFCand", "pfCandIdx")
    events = ak.with_field(events, events.FatJet, "Jet")
    with pytest.raises(JetError, match="it links candidates to FatJet only"):
        nanoaod(events, "Jet")
    bare = small_events("PFCand", "pfCandIdx", PFCand={"d0": None, "d0Err": None})
    with pytest.raises(JetError, match="central v15 stores no track parameters"):
        nanoaod(bare, fields=("d0",))


def test_jets_of_another_radius_from_the_candidates_of_fat_jets(central):
    """The fat jets themselves come out when their candidates are clustered again, where they do not overlap."""
    again = cluster(particles(central, "PFCand"), R=0.8, min_pt=170)
    stored = central.FatJet[(abs(central.FatJet.eta) < 2) & (central.FatJet.pt > 200)]
    raw = stored.pt * (1 - stored.rawFactor)
    apart = distance(stored.eta[:, :, None], stored.phi[:, :, None], again.eta[:, None], again.phi[:, None])
    nearest = ak.argmin(apart, axis=-1)
    ratio = ak.drop_none(ak.flatten(again.pt[nearest] / raw))
    assert len(ratio) == ak.sum(ak.num(stored, axis=1))
    assert ratio.to_numpy() == pytest.approx(1, abs=0.02)


def test_particles_of_any_table(central):
    generated = particles(central, "GenPart", fields=("status",))
    assert generated.fields == ["pt", "eta", "phi", "mass", "status"]
    assert ak.num(generated).tolist() == ak.num(central.GenPart).tolist()
    tracks = particles(central, "IsoTrack", mass=0.13957, fields=("d0", "dz"))
    assert ak.all(tracks.mass == np.float32(0.13957), axis=None)
    assert ak.flatten(tracks.d0).tolist() == pytest.approx(ak.flatten(-10 * central.IsoTrack.dxy).tolist())
    with pytest.raises(JetError, match="GenPart"):
        particles(central, "PFCands")

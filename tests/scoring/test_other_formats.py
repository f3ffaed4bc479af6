"""Scores of formats whose branches are not copied: friends."""

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from coffea_equitag import Tagger, models, read_jets, score_file
from coffea_equitag.errors import JetError
from scouting_events import scouting_events


@pytest.fixture(scope="module")
def small_tagger():
    torch.manual_seed(1)
    return Tagger.from_model(models.build("pfn", phi=(8,), f=(8,)), name="net", classes=("qcd", "top"))


@pytest.mark.filterwarnings("ignore::coffea_equitag.ConstituentsWarning")
@pytest.mark.parametrize(
    ("name", "jets", "identifiers"),
    [
        ("PHYSLITE_example.root", "Jets", {"entry", "run", "event"}),
        ("p8_ee_WW_ecm240_edm4hep.root", "Jet", {"entry", "run", "event"}),
        ("test_FCC_Winter2023.root", "Jet", {"entry"}),
    ],
)
def test_friends(name, jets, identifiers, small_tagger, shared_data, tmp_path):
    report = score_file(
        small_tagger,
        shared_data / name,
        tmp_path / "out.root",
        jets=jets,
        friend=True,
        chunk_size=7,
        progress=False,
    )
    tree = uproot.open(tmp_path / "out.root")["Events"]
    assert set(tree.keys()) == {*identifiers, f"n{jets}", f"{jets}_net"}
    assert tree["entry"].array().tolist() == list(range(report.events))
    expected = small_tagger(read_jets(shared_data / name, jets=jets))
    found = tree[f"{jets}_net"].array()
    assert ak.num(found).tolist() == ak.num(expected).tolist()
    assert np.allclose(ak.flatten(found), ak.flatten(ak.fill_none(expected, np.nan)), rtol=0, atol=1e-6, equal_nan=True)


def test_other_formats_are_not_copied(small_tagger, shared_data, tmp_path):
    source = shared_data / "p8_ee_WW_ecm240_edm4hep.root"
    for options, message in [
        ({"jets": "Jet"}, "EDM4HEP: its branches are objects[^\n]*\n.*\n  to fix: write friends"),
        ({"jets": "FatJet", "friend": True}, r"edm4hep\.root: .*FatJet"),
    ]:
        with pytest.raises(JetError, match=message):
            score_file(small_tagger, source, tmp_path / "out.root", progress=False, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::coffea_equitag.ConstituentsWarning")
def test_scouting(small_tagger, tmp_path):
    """Jets without links are clustered again."""
    events, jets = scouting_events(), "ScoutingFatPFJetRecluster"
    numbers = np.arange(len(events))
    types = {name: events[name].type.content for name in events.fields} | dict.fromkeys(("run", "event"), "int64")
    with uproot.recreate(tmp_path / "in.root") as file:
        tree = file.mktree("Events", types, field_name=lambda outer, inner: f"{outer}_{inner}")
        columns = {name: ak.zip({one: events[name][one] for one in events[name].fields}) for name in events.fields}
        tree.extend(columns | {"run": numbers, "event": numbers})
    report = score_file(
        small_tagger, tmp_path / "in.root", tmp_path / "out.root", jets=jets, chunk_size=2, progress=False
    )
    assert report.jets == ak.sum(ak.num(events[jets]))
    assert report.unscored < report.jets

import awkward as ak
import pytest
from coffea.nanoevents.trace import trace

from coffea_equitag import TaggerProcessor, attach, variations
from coffea_equitag.processor.caching import chunk_of
from coffea_equitag.tagger import score_cache


@pytest.fixture
def networks(monkeypatch):
    """Numbers of jets that networks were given."""
    numbers = []
    original = score_cache.Tagger.outputs

    def outputs(self, jets, **options):
        numbers.append(jets.num_jets)
        return original(self, jets, **options)

    monkeypatch.setattr(score_cache.Tagger, "outputs", outputs)
    return numbers


def test_a_second_pass_computes_nothing(nano_file, open_nano, saved_tagger, networks, tmp_path):
    events = open_nano(nano_file, metadata={"dataset": "signal"})
    plain = attach(events, {"FatJet": saved_tagger}).FatJet.score
    networks.clear()
    first = attach(events, {"FatJet": saved_tagger}, cache=tmp_path).FatJet.score
    assert sum(networks) == 17
    networks.clear()
    again = open_nano(nano_file)[::-1]
    second = attach(again, {"FatJet": saved_tagger}, cache=tmp_path).FatJet.score
    assert sum(networks) == 0
    assert first.to_list() == plain.to_list() == second[::-1].to_list()


def test_the_processor_asks_for_what_is_new(nano_file, open_nano, saved_tagger, networks, tmp_path):
    def process(cut, cache):
        processor = TaggerProcessor(
            {"FatJet": saved_tagger}, jet_selections={"FatJet": {"pt": lambda jets: jets.pt > cut}}, cache=cache
        )
        return processor.process(open_nano(nano_file, metadata={"dataset": "signal"}))

    tight = process(500, tmp_path)["jet_cutflow"]["FatJet"]["signal"]["scored"]
    assert sum(networks) == tight > 0
    networks.clear()
    loose = process(300, tmp_path)
    assert sum(networks) == loose["jet_cutflow"]["FatJet"]["signal"]["scored"] - tight > 0
    assert loose["scores"]["FatJet"]["score"] == process(300, None)["scores"]["FatJet"]["score"]


def test_chunks_are_known_by_file_tree_and_range(nano_file, open_nano):
    uuid, tree, events = chunk_of(open_nano(nano_file, entry_start=2, entry_stop=7)[1:])
    assert (len(uuid), tree, events) == (36, "/Events;1", "2-7")
    assert chunk_of(ak.Array([{"FatJet": [1]}])) == ()


def test_traced_events_leave_no_files(nano_file, open_nano, saved_tagger, tmp_path):
    events = open_nano(nano_file)
    trace(lambda events: attach(events, {"FatJet": saved_tagger}, cache=tmp_path), events)
    assert not list(tmp_path.iterdir())


def test_variations_are_kept_too(nano_file, open_nano, saved_tagger, networks, tmp_path):
    shifts = {"scaleUp": variations.JetScale(0.02), "candidatesUp": variations.CandidateScale(0.05)}

    def columns(**options):
        jets = attach(open_nano(nano_file), {"FatJet": saved_tagger}, variations=shifts, **options).FatJet
        return [jets[name].to_list() for name in ("score", "score_scaleUp", "score_candidatesUp")]

    plain = columns()
    networks.clear()
    assert columns(cache=tmp_path) == plain
    assert sum(networks) > 17  # jets without candidates are the same with shifted ones
    networks.clear()
    assert columns(cache=tmp_path) == plain
    assert sum(networks) == 0
    assert plain[0] == plain[1] != plain[2]

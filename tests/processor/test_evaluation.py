"""Evaluations as output of the processor: the executor's sum is the evaluation of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from coffea.nanoevents import PFNanoAODSchema
from coffea.processor import FuturesExecutor, Runner

from coffea_equitag import JetError, TaggerProcessor, attach
from coffea_equitag.evaluation import Evaluation


class QuietSchema(PFNanoAODSchema):
    warn_missing_crossrefs = False


VARIABLES = {"pt": (200, 400, 600, 900), "mass": (0, 50, 1000)}


def filled(events, jets):
    """The label of a jet is whether it is central."""
    fat = jets["FatJet"]
    evaluation = Evaluation(("qcd", "top"), variables=VARIABLES)
    return {"evaluation": evaluation.fill(fat.score, (abs(fat.eta) < 1) * 1, fat)}


def test_the_sum_of_chunks_is_the_whole(nano_file, open_nano, saved_tagger):
    processor = TaggerProcessor({"FatJet": saved_tagger}, hook=filled)
    runner = Runner(FuturesExecutor(workers=2, status=False), chunksize=5, schema=QuietSchema, savemetrics=False)
    found = runner({"signal": {"files": {str(nano_file): "Events"}}}, processor)["evaluation"]
    events = attach(open_nano(nano_file), {"FatJet": saved_tagger})
    whole = filled(events, {"FatJet": events.FatJet})["evaluation"]
    assert found.measure() == whole.measure()
    assert found.num_missing == whole.num_missing
    for variable in VARIABLES:
        one, two = (each.efficiency(variable, 0.5, edges=VARIABLES[variable]) for each in (found, whole))
        for kind in ("qcd", "top"):
            assert one.classes[kind].number.tolist() == two.classes[kind].number.tolist()
            np.testing.assert_array_equal(one.classes[kind].value, two.classes[kind].value)


def test_records_without_constituents_have_no_multiplicity(nano_file, open_nano, saved_tagger):
    events = attach(open_nano(nano_file), {"FatJet": saved_tagger})
    with pytest.raises(JetError, match=r"variable 'multiplicity'(.|\n)*give the values: fill\(..., multiplicity=...\)"):
        Evaluation(("qcd", "top")).fill(events.FatJet.score, (events.FatJet.eta > 0) * 1, events.FatJet)

import functools
import os
import subprocess
import sys
import threading

import hist
import numpy as np
import pytest
from coffea.nanoevents import PFNanoAODSchema
from coffea.processor import IterativeExecutor, Runner

from coffea_equitag import TaggerProcessor
from coffea_equitag.errors import TaggerError
from coffea_equitag.processor.checkpointer import TaggerCheckpointer
from coffea_equitag.processor.fingerprint import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning")

THRESHOLD = 300


def above(threshold):
    return lambda jets: jets.pt > threshold


def above_global(jets):
    return jets.pt > THRESHOLD


def test_what_changes_the_output_changes_the_fingerprint(saved_tagger, three_class_tagger, tmp_path, monkeypatch):
    def of(tagger=saved_tagger, cut=None, edge=1.0, **options):
        axis = hist.axis.Variable([0, 0.5, edge], name="r")
        return fingerprint(
            TaggerProcessor(
                {"FatJet": tagger},
                jet_selections={"FatJet": {"cut": cut or above(300)}},
                variables={"FatJet": {"r": (axis, functools.partial(np.multiply, 2))}},
                **options,
            )
        )

    assert of() == of()
    assert of(saved_tagger.path) == of(str(saved_tagger.path)) == of(saved_tagger)
    with_global = of(cut=above_global)
    different = [of(), of(three_class_tagger), of(cut=above(301)), of(edge=1.1), of(weight="genWeight"), with_global]
    different.append(of(cut=lambda jets: jets.pt >= 300))
    monkeypatch.setitem(globals(), "THRESHOLD", 301)
    different.append(of(cut=above_global))
    assert len(set(different)) == len(different)


def test_files_count_by_content(tmp_path):
    path = tmp_path / "wp.json"
    path.write_text("1")
    first = fingerprint({"working_points": str(path)})
    path.write_text("2")
    assert fingerprint({"working_points": str(path)}) != first


def test_the_same_in_every_process():
    code = """
from coffea_equitag.processor.fingerprint import fingerprint
print(fingerprint({"cut": lambda jets: jets.kind in {"a", "b", "c"}}, {"x", "y", 3}))
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, text=True, stdout=-1, check=True
        ).stdout
        for seed in "12"
    }
    assert len(outputs) == 1


def test_recursion_ends_and_what_has_no_value_is_refused():
    loop = []
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)
    with pytest.raises(TaggerError, match=r"_thread\.lock"):
        fingerprint({"lock": threading.Lock()})


def test_checkpoints_are_read_by_the_same_processor_only(nano_file, saved_tagger, three_class_tagger, tmp_path):
    def run(tagger, threshold=300):
        calls = []
        processor = TaggerProcessor({"FatJet": tagger}, jet_selections={"FatJet": {"cut": above(threshold)}})
        original = TaggerProcessor.process
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TaggerProcessor, "process", lambda self, events: calls.append(1) or original(self, events))
            runner = Runner(
                IterativeExecutor(status=False),
                schema=PFNanoAODSchema,
                chunksize=6,
                checkpointer=TaggerCheckpointer(str(tmp_path)),
            )
            output = runner({"signal": {"files": {str(nano_file): "Events"}}}, processor)
        return len(calls), output["jet_cutflow"]

    chunks, expected = run(saved_tagger)
    assert chunks == 2
    assert run(saved_tagger) == (0, expected)
    assert run(saved_tagger.path) == (0, expected)
    assert run(saved_tagger, 301)[0] == run(three_class_tagger)[0] == 2
    assert not list(tmp_path.rglob("*.part"))
    next(tmp_path.rglob("*.coffea")).write_bytes(b"damaged")
    for _ in range(3):
        _, output = run(saved_tagger)
        assert output == expected

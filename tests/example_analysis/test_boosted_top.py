from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path

import pytest

from coffea_equitag.demo import PACKAGED_FILE

SCRIPT = Path(__file__).resolve().parents[2] / "example_analysis" / "boosted_top.py"


@pytest.fixture(scope="module")
def analysis():
    spec = importlib.util.spec_from_file_location("boosted_top", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["boosted_top"] = module  # workers unpickle the processor by this name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:Missing cross-reference")
def test_runs_and_plots(analysis, tmp_path):
    output = analysis.analyse({"packaged": [str(PACKAGED_FILE)]})
    cutflow = output["cutflow"]["packaged"]
    assert cutflow["all"] == 400
    assert cutflow["all"] >= cutflow["fat jet, 550 < pT < 650 GeV"] > cutflow["top score above 0.9"] > 0
    mass = output["mass"][{"dataset": sum}]
    assert mass.sum(flow=True).value == cutflow["fat jet, 550 < pT < 650 GeV"]
    passed = mass[{"region": "pass"}]
    assert passed[{"truth": "top"}].sum().value > passed[{"truth": "other"}].sum().value
    assert all(path.stat().st_size > 5000 for path in analysis.plot(output, tmp_path))


@pytest.mark.filterwarnings("ignore:Missing cross-reference")
def test_chunks_add_up(analysis):
    whole = analysis.analyse({"packaged": [str(PACKAGED_FILE)]})
    pieces = analysis.analyse({"packaged": [str(PACKAGED_FILE)]}, chunksize=150)
    assert whole["cutflow"] == pieces["cutflow"]
    assert whole["mass"] == pieces["mass"]

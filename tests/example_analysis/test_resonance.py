"""The example analysis: its background estimate and fit on numbers with a known answer, and the whole at small size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import correctionlib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("pyhf")
pytest.importorskip("cabinetry")

from example_analysis import background, fit, trigger  # noqa: E402

MASS = np.linspace(1080, 1800, 10)


def regions(number=20_000, slope=0.0):
    """Expected QCD events by region: the second jet's mis-tag rate is 0.05 at 1440 GeV and rises by `slope` per TeV."""
    shape = np.exp(-(MASS - 1000) / 200)
    shape *= number / shape.sum()
    rate = 0.05 + slope * (MASS - 1440) / 1000
    return {
        "PP": shape * 0.04 * rate,
        "PF": shape * 0.04,
        "FP": shape * 0.96 * rate,
        "FF": shape * 0.96,
    }


TOPS = {region: np.full(10, value) for region, value in {"PP": 0.6, "PF": 0.4, "FP": 0.4, "FF": 0.1}.items()}


@pytest.mark.parametrize(("slope", "order"), [(0.0, 0), (0.05, 1)])
def test_background_is_what_was_put_in(slope, order):
    qcd = regions(slope=slope)
    data = {region: qcd[region] + TOPS[region] for region in qcd}
    found = background.estimate(data, TOPS, qcd, MASS)
    assert found.transfer_factor.order == order
    np.testing.assert_allclose(found.values, qcd["PP"], rtol=2e-3)
    predicted, true, uncertainty = found.closure
    assert predicted == pytest.approx(true, rel=2e-3)
    # no bias, so that the statistics of the simulation remain
    assert uncertainty == pytest.approx(np.sqrt(true + predicted**2 / qcd["PF"].sum()) / predicted, rel=1e-2)


def test_uncertainties_cover_fluctuations():
    """The spread of the estimates over repeated experiments is what is quoted for one."""
    generator = np.random.default_rng(2)
    qcd = regions()
    totals, quoted = [], []
    for _ in range(60):
        data = {region: generator.poisson(qcd[region] + TOPS[region]).astype(float) for region in qcd}
        values, (factor, _) = background.predict(data, TOPS, MASS)
        totals.append(values.sum())
        ((up, down),) = factor.variations(MASS) if factor.order == 0 else [(factor(MASS), factor(MASS))]
        fail = values / factor(MASS)
        quoted.append(np.hypot(((up - down) / 2 * fail).sum(), np.sqrt((factor(MASS) ** 2 * data["PF"]).sum())))
    assert np.mean(totals) == pytest.approx(qcd["PP"].sum(), rel=3 * np.std(totals) / np.mean(totals) / np.sqrt(60))
    # 60 experiments give a standard deviation to 9%
    assert np.std(totals) == pytest.approx(np.median(quoted), rel=0.3)


def test_signal_of_known_strength_is_found(tmp_path):
    qcd = regions(5_000)
    data = {region: qcd[region] + TOPS[region] for region in qcd}
    signal = 20 * np.exp(-0.5 * ((MASS - 1240) / 70) ** 2)
    shifted = {"energy_scale": (1.03 * signal, 0.97 * signal)}
    spec = fit.workspace(
        qcd["PP"] + TOPS["PP"] + 0.7 * signal,
        fit.Template(signal, 0.01 * signal, shifted),
        fit.Template(TOPS["PP"], 0.02 * TOPS["PP"], {}),
        background.estimate(data, TOPS, qcd, MASS),
    )
    result, model, _ = fit.run(spec, tmp_path)
    assert result.strength == pytest.approx(0.7, abs=0.02)
    assert result.expected_limits == sorted(result.expected_limits)
    assert result.observed_limit > result.strength
    assert result.significance > 3
    assert {"energy_scale", "qcd_transfer_order", "top_tagging"} <= set(model.config.parameters)
    assert json.loads((tmp_path / "workspace.json").read_text()) == spec
    assert (tmp_path / "pulls.png").exists()


def test_trigger_turns_on():
    pt = np.array([400.0, 500.0, 700.0])
    np.testing.assert_allclose(trigger.efficiency(pt), [0, 0.495, 0.99], atol=1e-4)
    assert np.all(trigger.efficiency(pt, "down") <= trigger.efficiency(pt))
    assert np.all(trigger.efficiency(pt) <= trigger.efficiency(pt, "up"))


def test_working_points_are_correctionlibs():
    path = ROOT / "example_analysis" / "tagger" / "working_points.json"
    thresholds = correctionlib.CorrectionSet.from_file(str(path))["score_wp_values"]
    assert 0 < thresholds.evaluate("loose") < 1


def test_whole_analysis_at_small_size(tmp_path):
    pytest.importorskip("pythia8mc")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "example_analysis.run", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    spec = json.loads((tmp_path / "workspace.json").read_text())
    # all jets are scored, and two belong to each event that passes the cuts
    for dataset, numbers in found["monitoring"].items():
        cuts = list(found["cutflow"][dataset].values())
        assert numbers["scored"] == numbers["jets"] == 2 * cuts[-1]["events"]
        assert cuts[0]["events"] > cuts[-1]["events"] > 0
    assert found["cutflow"]["qcd"]["all"]["events"] == 160
    assert 0 < found["qcd_estimate"] < found["cutflow"]["data"]["delta eta < 1.5"]["events"] / 10
    modifiers = {m["name"] for sample in spec["channels"][0]["samples"] for m in sample["modifiers"]}
    assert {"jet_scale", "neutral_scale", "tracking", "trigger"} <= modifiers
    figures = {path.name for path in tmp_path.glob("*.png")}
    assert {
        "score.png",
        "input_delta_r.png",
        "transfer_factor.png",
        "prefit.png",
        "postfit.png",
        "limit.png",
    } <= figures
    assert "signal strength" in done.stdout

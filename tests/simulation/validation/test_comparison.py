"""The whole comparison."""

import json

import pytest

from coffea_equitag import JetError
from coffea_equitag.simulation.validation import JetSample, compare_samples
from coffea_equitag.simulation.validation.plots import figures
from coffea_equitag.simulation.validation.table import markdown


def test_alike_samples(toy_jets):
    sample = JetSample.of(toy_jets(100))
    found = compare_samples(sample, sample, ("QCD", "top"), network=False)
    assert list(found.classes) == ["QCD", "top"]
    assert all(one.observables["multiplicity"].ks_p == 1 for one in found.classes.values())
    assert list(found.classes["top"].peaks) == ["top peak", "W peak"]
    assert not found.classes["QCD"].peaks
    assert {what: kept for what, _, _, kept in found.checks()}["QCD: mean multiplicity, standard errors apart"]
    assert found.separation == {}


def test_shifted_sample(toy_jets):
    found = compare_samples(JetSample.of(toy_jets(200, softer=2)), JetSample.of(toy_jets(200)), network=False)
    assert list(found.classes) == ["class 0", "class 1"]
    for one in found.classes.values():
        assert one.observables["multiplicity"].difference > 10
        assert one.observables["multiplicity"].ks_p < 1e-9
    assert not all(kept for *_, kept in found.checks())
    assert "**failed**" in markdown(found)


def test_networks_by_class_and_together(toy_jets):
    pytest.importorskip("lightning")
    calls = []
    found = compare_samples(
        JetSample.of(toy_jets(40)),
        JetSample.of(toy_jets(40, seed=1)),
        folds=2,
        epochs=1,
        progress=lambda *done: calls.append(done),
    )
    assert list(found.separation) == ["class 0", "class 1", "all"]
    assert [one.number for one in found.separation.values()] == [20, 20, 40]
    assert calls[-1] == ("networks", 6, 6)
    assert "real_versus_simulated" in dict(figures(found))
    assert set(found.as_dict()["real_versus_simulated"]["all"]) == {"auc", "error", "jets_each"}


def test_few_and_empty_jets(random_jets):
    """Undefined numbers are left out, and nothing fails."""
    mine = JetSample.of(random_jets([0, 1, 0, 3], label=[0, 0, 1, 1]))
    theirs = JetSample.of(random_jets([0, 0, 2, 0], label=[0, 0, 1, 1]))
    found = compare_samples(mine, theirs, ("QCD", "top"), folds=2)
    assert found.separation == {"QCD": None, "top": None, "all": None}
    json.dumps(found.as_dict(), allow_nan=False)
    assert "too few" in markdown(found)
    drawn = dict(figures(found))
    assert "jet_mass" in drawn
    assert "real_versus_simulated" not in drawn
    for name in ("multiplicity", "smallest_pt", "pair_mass", "constituent_pt"):
        drawn[name].canvas.draw()


@pytest.mark.parametrize(
    ("mine", "theirs", "classes", "words"),
    [
        ([0, 0], [0, 1], None, "simulated jets of the classes 0 and real jets of 0, 1"),
        ([0, 1], [1, 1], None, "simulated jets of the classes 0, 1 and real jets of 1"),
        ([], [0, 1], None, "no simulated jets"),
        ([0, 1], [], None, "no real jets"),
        ([0, 1], [0, 1], ["QCD"], "class names QCD for labels up to 1"),
        ([0, 1], [0, 1], ["QCD", "QCD"], "class names QCD, QCD"),
        ([0, 1], [0, 1], ["QCD", "all"], "class names QCD, all"),
    ],
)
def test_refused(random_jets, mine, theirs, classes, words):
    samples = [JetSample.of(random_jets([2] * len(labels), label=labels)) for labels in (mine, theirs)]
    with pytest.raises(JetError, match=words):
        compare_samples(*samples, classes)

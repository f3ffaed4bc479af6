"""Data against simulation: sums, bands and intervals against numbers worked out by hand."""

from __future__ import annotations

import hist
import numpy as np
import pytest
from scipy import stats

from coffea_equitag import JetError
from coffea_equitag.evaluation import binomial_interval, compare, plots, poisson_interval


def filled(entries, *, region=("SR",)):
    """(dataset, systematic, region, bin, weight, times) in a histogram of two bins."""
    histogram = hist.Hist(
        hist.axis.StrCategory([], growth=True, name="dataset"),
        hist.axis.StrCategory(["nominal"], growth=True, name="systematic"),
        hist.axis.StrCategory(list(region), growth=True, name="region"),
        hist.axis.Regular(2, 0, 2, name="x", label="x"),
        storage=hist.storage.Weight(),
    )
    for dataset, systematic, where, x, weight, times in entries:
        histogram.fill(dataset, systematic, where, np.full(times, x + 0.5), weight=weight)
    return histogram


ENTRIES = [
    ("data", "nominal", "SR", 0, 1, 9),
    ("qcd", "nominal", "SR", 0, 2.0, 3),
    ("qcd", "nominal", "SR", 1, 2.0, 1),
    ("qcd", "jesUp", "SR", 0, 2.0, 4),
    ("qcd", "jesDown", "SR", 0, 2.0, 5),
    ("tt", "nominal", "SR", 0, 0.5, 4),
]


def test_poisson_interval_is_garwoods():
    low, high = poisson_interval([0, 1, 9])
    # R. L. Workman et al. (PDG), Eq. 40.76: chi-squared quantiles
    outside = stats.norm.sf(1)
    np.testing.assert_allclose(high, stats.chi2.isf(outside, 2 * np.array([1, 2, 10])) / 2, rtol=1e-12)
    np.testing.assert_allclose(low, [0, *(stats.chi2.ppf(outside, 2 * np.array([1, 9])) / 2)], rtol=1e-12)
    # many: as the binomial interval of rare events
    few, many = binomial_interval(9, 10**7)
    np.testing.assert_allclose((low[2], high[2]), (few * 1e7, many * 1e7), rtol=1e-5)


def test_poisson_interval_of_weights_is_that_of_the_events_they_are_worth():
    low, high = poisson_interval([18.0, 0.0], [36.0, 0.0])
    few, many = poisson_interval([9, 0])
    np.testing.assert_allclose((low, high), (2 * few, 2 * many))
    assert poisson_interval([0.0], [0.0])[1] == pytest.approx(1.841, abs=1e-3)


def test_sums_and_band():
    found = compare(filled(ENTRIES), "data", {"QCD": "qcd", "top": ["tt"]})
    np.testing.assert_allclose(found.data, [9, 0])
    np.testing.assert_allclose(found.processes["QCD"], [6, 2])
    np.testing.assert_allclose(found.total, [8, 2])
    # statistics: 3 of weight 2 and 4 of weight 0.5; source jes: 2 and 4 above, none below in the first bin, where both
    # sides lie above; in the second bin both lose everything
    np.testing.assert_allclose(found.high - found.total, [np.sqrt(13 + 16), 2])
    np.testing.assert_allclose(found.total - found.low, [np.sqrt(13), np.sqrt(4 + 4)])


def test_without_systematics_and_with_scale():
    found = compare(filled(ENTRIES), "data", {"QCD": "qcd", "top": "tt"}, systematics=False, scale={"qcd": 10})
    np.testing.assert_allclose(found.total, [62, 20])
    np.testing.assert_allclose(found.high - found.total, [np.sqrt(1201), 20])


def test_normalised_to_data():
    found = compare(filled(ENTRIES), "data", {"QCD": "qcd", "top": "tt"}, normalise=True)
    np.testing.assert_allclose(found.total, [8 * 0.9, 2 * 0.9])
    # with jes up the shape is (10, 0) of 10 jets
    np.testing.assert_allclose(found.high - found.total, [np.sqrt(13 * 0.81 + 1.8**2), 1.8])


def test_regions_are_selected():
    histogram = filled([*ENTRIES, ("qcd", "nominal", "CR", 1, 1.0, 7)], region=("SR", "CR"))
    np.testing.assert_allclose(compare(histogram, [], {"QCD": "qcd"}, region="CR").total, [0, 7])
    with pytest.raises(JetError, match=r"region SR, CR(.|\n)*select one"):
        compare(histogram, "data", {"QCD": "qcd"})
    with pytest.raises(JetError, match=r"region 'VR'(.|\n)*SR, CR"):
        compare(histogram, "data", {"QCD": "qcd"}, region="VR")
    with pytest.raises(JetError, match=r"dataset 'zjets'(.|\n)*data, qcd, tt"):
        compare(histogram, "data", {"Z": "zjets"}, region="SR")
    with pytest.raises(JetError, match="axis 'channel'"):
        compare(histogram, "data", {"QCD": "qcd"}, channel="SR")


@pytest.mark.parametrize("log", [False, True])
def test_plot_shows_all(log, tmp_path):
    histogram = filled([*ENTRIES, ("signal", "nominal", "SR", 1, 1.0, 3)])
    figure = plots.data_simulation(
        histogram, "data", {"QCD": "qcd", "top": "tt"}, overlay={"Z'": "signal"}, log=log, title="2 bins"
    )
    upper, lower = figure.axes
    assert {text.get_text() for text in upper.get_legend().get_texts()} == {"QCD", "top", "Z'", "uncertainty", "data"}
    assert (lower.get_xlabel(), lower.get_xlim()) == ("x", (0, 2))
    assert upper.get_ylim()[1] > 9 + np.sqrt(9)
    (points,) = [line for line in lower.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    np.testing.assert_allclose(points.get_ydata(), [9 / 8, 0])
    figure.savefig(tmp_path / "plot.png")


def test_plot_of_nothing(tmp_path):
    plots.data_simulation(filled([]), [], {}).savefig(tmp_path / "empty.png")

"""Plots: their content, and that pyplot is not used."""

from __future__ import annotations

import awkward as ak
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.evaluation import Evaluation, differences, measure, plots, roc, roc_band


@pytest.fixture
def scored():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 500)
    scores = 1 / (1 + np.exp(-generator.normal(2 * labels - 1, 1)))
    counts = [100, 0, 400]
    return ak.unflatten(scores, counts), ak.unflatten(labels, counts)


def test_saved_in_either_form_without_pyplot(scored, tmp_path):
    settings = dict(mpl.rcParams)
    figures = [plots.score_by_class(*scored, title="a tagger"), plots.roc_curve(*scored, name="a tagger")]
    for index, figure in enumerate(figures):
        for suffix in ("png", "pdf"):
            path = tmp_path / f"{index}.{suffix}"
            figure.savefig(path)
            assert path.stat().st_size > 5_000
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def test_roc_names_the_figures(scored):
    axes = plots.roc_curve(*scored, name="mine").axes[0]
    metrics = measure(*scored)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"mine, AUC = {metrics.auc:.4f}" in texts
    first = metrics.rejections[0]
    assert any(f"{first.value:.0f}^{{+{first.high - first.value:.0f}}}" in text for text in texts)


def test_roc_has_a_band(scored):
    (band,) = plots.roc_curve(*scored).axes[0].collections[:1]
    background, signal, _ = roc(*scored)
    low, high = roc_band(background, measure(*scored).num_background)
    edges = band.get_paths()[0].vertices
    point = int(np.argmax(background > 0.1))
    at = edges[np.isclose(edges[:, 0], signal[point])]
    assert at[:, 1].min() <= 1 / high[point] * (1 + 1e-12)
    assert at[:, 1].max() >= 1 / low[point] * (1 - 1e-12)


@pytest.mark.parametrize("number", [20, 500, 20_000])
def test_nothing_lies_over_anything(number):
    """The legend is clear of curves, histograms and the title, at any number of jets."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, number)
    scores = 1 / (1 + np.exp(-generator.normal(4 * labels - 2, 1)))
    title = "a tagger\nHT2000toInf_Run3Summer23_part_0001.root and 12 more, $p_T$ 550 to 650 GeV, $|\\eta| < 2$"
    for figure in (plots.score_by_class(scores, labels, title=title), plots.roc_curve(scores, labels, title=title)):
        figure.draw_without_rendering()
        axes = figure.axes[0]
        legend = axes.get_legend().get_window_extent()
        drawn = [line.get_transform().transform(line.get_xydata()) for line in axes.lines if len(line.get_xydata()) > 1]
        for collection in axes.collections:
            drawn += [collection.get_transform().transform(path.vertices) for path in collection.get_paths()]
        for patch in axes.patches:
            drawn.append(patch.get_transform().transform(patch.get_path().vertices))
        for points in drawn:
            inside = axes.bbox.contains
            assert not any(legend.contains(x, y) for x, y in points if inside(x, y))
        assert not legend.overlaps(axes.title.get_window_extent()) or legend.y1 <= axes.bbox.y1
        assert axes._left_title.get_window_extent().x1 <= figure.bbox.x1
        assert axes._left_title.get_text() == title


def test_score_by_class_counts_each_class(scored):
    axes = plots.score_by_class(*scored, classes=("qcd", "top"), bins=10).axes[0]
    number = np.bincount(ak.to_numpy(ak.flatten(scored[1])))
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == [f"qcd ({number[0]} jets)", f"top ({number[1]} jets)"]


def test_perfect_scores_can_be_drawn():
    scores, labels = [0.1, 0.2, 0.9, 1.0], [0, 0, 1, 1]
    plots.roc_curve(scores, labels).canvas.draw()
    plots.score_by_class(scores, labels).canvas.draw()


def test_refused():
    with pytest.raises(JetError, match="only signal"):
        plots.roc_curve([0.1, 0.2], [1, 1])


@pytest.fixture
def flavours():
    """An evaluation of three classes against one variable."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, 600)
    logits = generator.normal(0, 1, (600, 3)) + 2 * np.eye(3)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = Evaluation(("light", "c", "b"), variables={"mass": range(0, 101, 10)})
    return found.fill(
        ak.zip(dict(zip(("light", "c", "b"), scores.T, strict=True))), labels, mass=generator.uniform(0, 100, 600)
    )


def test_efficiencies_against_a_variable(flavours):
    binned = flavours.efficiency("mass", 0.5, edges=range(0, 101, 20))
    upper, lower = plots.efficiency([binned]).axes
    drawn = upper.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(drawn, np.stack([[10, 30, 50, 70, 90], binned.classes["b"].value], axis=1))
    assert [each.get_label() for each in lower.containers] == ["light, score ≥ 0.5", "c, score ≥ 0.5"]
    # a rate of 0 has no place on a logarithmic axis
    assert all((each.lines[0].get_ydata() > 0).all() for each in lower.containers)


def test_confusion_is_written_into_its_cells(flavours):
    axes = plots.confusion(flavours.confusion).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == [f"{100 * share:.3g}%" for share in flavours.confusion.rates[0].ravel()]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["light", "c", "b"]


def test_sculpting_and_calibration_name_their_figures(flavours):
    (found,) = flavours.sculpting(efficiencies=(0.1,))
    texts = [text.get_text() for text in plots.sculpting([found]).axes[0].get_legend().get_texts()]
    assert any(f"= 10%, JSD = {found.divergence.value:.3f}" in text for text in texts)
    curve = flavours.calibration.curve("b")
    texts = [text.get_text() for text in plots.calibration({"b": curve}).axes[0].get_legend().get_texts()]
    assert f"b, error {curve.error.value:.3f}" in texts


def test_differences_are_drawn_where_there_are_any(flavours):
    found = differences(flavours, flavours + flavours, efficiencies=(0.5,))
    axes = plots.differences(found).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[::-1][:3] == ["AUC", "accuracy", r"1/$\epsilon_B$ at $\epsilon_S$ = 50%"]
    assert (axes.lines[-1].get_xdata() == 0).all()

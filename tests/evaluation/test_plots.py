"""Plots: their content, and that pyplot is not used."""

from __future__ import annotations

import awkward as ak
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.evaluation import measure, plots


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
    assert any(f"{metrics.rejections[0].value:.0f} ±" in text for text in texts)


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

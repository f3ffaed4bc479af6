"""Trainings, simulations, audits and measurements that are as short as they can be, whatever a page asks for."""

from __future__ import annotations

import functools
import importlib
from dataclasses import replace

import coffea_equitag as eqt
from coffea_equitag.cli.benchmark import QUICK

#: Of a benchmark: one comparison, of one jet.
BENCHMARK = {name: value for name, value in QUICK.items() if name != "models"} | {"sections": ("networks",), "batch": 1}

#: Networks of a few weights.
SIZES = {"lorentznet": {"hidden": 4, "n_layers": 2}, "pelican": {"size": "3k"}}


def shorten(monkeypatch):
    """Replace what takes long by itself with small numbers, in Python and in the commands."""
    train, search, warming = map(_module, ("training.train", "training.search", "warming"))
    audit, scoring, benchmarking = map(_module, ("evaluation.audit", "scoring", "benchmarking"))
    build = _small(eqt.models.build)
    for module in (eqt.models, train):
        monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(eqt, "fit", functools.partial(eqt.fit, epochs=1, progress=False))
    monkeypatch.setattr(train, "fit_options", _one_epoch(train.fit_options))
    monkeypatch.setattr(search, "search", _with(search.search, trials=2))
    monkeypatch.setattr(warming, "warmup", _one_network(warming.warmup))
    settings = benchmarking.Settings
    monkeypatch.setattr(benchmarking, "Settings", lambda **given: settings(**{"models": ("pfn",)} | given | BENCHMARK))
    monkeypatch.setattr(benchmarking, "run", benchmarking.measure)  # in this process, whose malloc is as it is
    for module in (eqt, audit):
        monkeypatch.setattr(module, "audit", _with(audit.audit, num_jets=4))
    for module in (eqt, scoring):
        monkeypatch.setattr(module, "score_files", _with(scoring.score_files, workers=1))


def shorten_simulations(monkeypatch):
    """Few jets of each sample, in one process, and few observables to compare."""
    simulation, plots = map(_module, ("simulation", "simulation.validation.plots"))
    validation = _module("simulation.validation")
    for name in ("simulate_file", "simulate_folder"):
        monkeypatch.setattr(simulation, name, _few(getattr(simulation, name)))
    for name, split in simulation.STANDARD_SPLITS.items():
        few = tuple(replace(part, n=2) for part in split.parts)
        monkeypatch.setitem(simulation.STANDARD_SPLITS, name, replace(split, parts=few))
    monkeypatch.setattr(simulation, "make_split", _with(simulation.make_split, workers=1))
    monkeypatch.setattr(validation, "validate_files", _with(validation.validate_files, folds=2, epochs=1))
    monkeypatch.setattr(plots, "OBSERVABLES", {"jet_mass": plots.OBSERVABLES["jet_mass"]})
    monkeypatch.setattr(plots, "SPECTRA", {})


def _module(name):
    return importlib.import_module(f"coffea_equitag.{name}")


def _with(function, **values):
    """The function, with these values whatever it is given."""
    return lambda *given, **options: function(*given, **options | values)


def _small(build):
    return lambda kind, **options: build(kind, **SIZES.get(kind, {}) | options)


def _one_epoch(fit_options):
    def fit(model, jets, labels, options, **others):
        return fit_options(model, jets, labels, options.model_copy(update={"epochs": 1}), **others)

    return fit


def _one_network(warmup):
    return lambda models=(), *, workers=1, **options: warmup(models or ["pfn"], **options)


def _few(simulate):
    return lambda recipe, n, path, **options: simulate(recipe, min(n, 40), path, **options | {"workers": 1})

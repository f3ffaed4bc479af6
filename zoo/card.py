"""A trained tagger with everything on its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError, explain
from coffea_equitag.evaluation import Evaluation, TemperatureFit, fit_temperature
from coffea_equitag.tagger import Tagger
from coffea_equitag.tagger.card import Card, TrainingRecord
from coffea_equitag.tagger.measurements import CalibrationRecord, Performance

from .config import ZooConfig
from .measure import cost, evaluation, logits, measured, performance, resolution, symmetry
from .samples import record

__all__ = ["described"]


def described(name: str, config: ZooConfig, tagger: Tagger, folders: dict[str, Path], reference: Path | None) -> Tagger:
    """The tagger at its temperature, with sample, measurements and limits on its card.

    Raises
    ------
    JetError
        If the published jets are not those that the tagger is to be tested on.
    """
    _check(name, config, reference)
    test = read_jets(folders["test"])
    if tagger.classes:
        tagger, changes = _of_classes(config, tagger, test, folders, reference)
    else:
        changes = {"performance": (resolution(tagger, test, _words(config)),)}
    changes |= {
        "name": name,
        "contract": tagger.card.contract.model_copy(update={"jet_definition": config.jet_definition}),
        "training": _training(tagger.card, config, folders),
        "symmetry": symmetry(tagger, test),
        "cost": cost(tagger, test),
        "limits": _limits(config, changes["performance"]),
        "content_hash": None,
    }
    return Tagger(tagger.model, tagger.card.model_copy(update=changes))


def _check(name: str, config: ZooConfig, reference: Path | None) -> None:
    if reference is not None and reference.name != config.reference:
        wanted = f"the file {config.reference}" if config.reference else "no published jets"
        raise JetError(
            explain(f"published jets {reference.name} for {name}", wanted, "leave out --reference, or change it")
        )


def _words(config: ZooConfig) -> str:
    return f"simulated, recipe {config.recipe}, seed {config.samples['test'].seed}"


def _of_classes(
    config: ZooConfig, tagger: Tagger, test: ak.Array, folders: dict[str, Path], reference: Path | None
) -> tuple[Tagger, dict[str, Any]]:
    """The tagger at its temperature, and what its card says of calibration and performance."""
    fit = fit_temperature(tagger, read_jets(folders["validation"]))
    outputs, labels = logits(tagger, test), ak.to_numpy(test.label)
    before, after = (evaluation(one, outputs, labels) for one in (tagger.with_temperature(1.0), fit.tagger))
    tested = [performance(after, _words(config), config.efficiencies)]
    if reference is not None:
        jets = read_jets(reference)
        published = evaluation(fit.tagger, logits(tagger, jets), ak.to_numpy(jets.label))
        tested.append(performance(published, reference.name, config.efficiencies, real=True))
    return fit.tagger, {"calibration": _calibration(before, after, fit), "performance": tuple(tested)}


def _calibration(before: Evaluation, after: Evaluation, fit: TemperatureFit) -> CalibrationRecord:
    curve = after.calibration.curve()
    return CalibrationRecord(
        num_jets=fit.num_jets,
        temperature_uncertainty=fit.uncertainty,
        error_before=measured(before.calibration.curve().error),
        error_after=measured(curve.error),
        error_if_right=curve.error_if_right,
    )


def _training(card: Card, config: ZooConfig, folders: dict[str, Path]) -> TrainingRecord:
    """The record of the training, with samples in place of the paths of one machine."""
    samples = tuple(record(folders[part]) for part in config.training_parts)
    seeds = " and ".join(f"{one.seed} ({one.num_jets:,} jets)" for one in samples)
    words = f"equitag simulate {config.recipe}, seed {seeds}"
    assert card.training is not None
    return card.training.model_copy(update={"data": words, "samples": samples})


def _limits(config: ZooConfig, tested: tuple[Performance, ...]) -> tuple[str, ...]:
    """What the recipe says of the jets, what the tagger was not tested on, and what its file says."""
    jets = config.sample_recipe
    low, high = jets.leading_pt
    spectrum = f"pT of {low:g} to {high:g} GeV" if high < 5000 else f"pT above {low:g} GeV"
    eta = f"|{'y' if jets.rapidity else 'η'}| < {jets.leading_eta:g}"
    found = [f"Trained on jets with {spectrum}, {eta}, {config.jet_definition}, without pile-up; from Pythia alone."]
    if not any(one.real for one in tested):
        found.append("Tested on simulated jets of the same kind only.")
    found.append("Not tested beyond this range, with pile-up, or on another detector, generator or jet radius.")
    return (*found, "Not calibrated on data: efficiencies and mistag rates have to be measured.", *config.limits)

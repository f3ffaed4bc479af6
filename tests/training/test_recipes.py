"""Recipes: the papers' schedules, scaled, replaced, refused."""

from __future__ import annotations

import math

import pytest

from coffea_equitag import TaggerError
from coffea_equitag.training import Recipe, recipe_of
from faults.hostile import HOSTILE


def rate(epoch: float) -> float:
    return recipe_of("lorentznet").rate(epoch / 35)


def test_lorentznet_as_published():
    recipe = recipe_of("lorentznet")
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("adamw", 1e-3, 1e-2)
    assert (recipe.batch_size, recipe.epochs) == (128, 35)
    # warm-up over 5 epochs, cosines of 4, 8 and 16, halved every epoch from 31
    assert rate(0) == 0
    assert rate(2.5) == pytest.approx(5e-4)
    assert [rate(e) for e in (5, 9, 17)] == pytest.approx([1e-3] * 3)
    assert [rate(e) for e in (7, 13, 25)] == pytest.approx([5e-4] * 3)
    last = 0.5e-3 * (1 + math.cos(math.pi * 14 / 16))
    assert [rate(e + 0.5) for e in (31, 32, 33, 34)] == pytest.approx([last / 2, last / 4, last / 8, last / 16])


def test_pfn_is_constant():
    recipe = recipe_of("pfn")
    assert recipe.optimizer == "adam"
    assert recipe.rate(0) == recipe.rate(0.37) == recipe.rate(1) == 1e-3


def test_schedule_is_of_the_fraction():
    # whatever the number of epochs, a seventh of them warms up
    assert recipe_of("lorentznet").rate(1 / 14) == pytest.approx(5e-4)


def test_values_replaced():
    recipe = recipe_of("lorentznet", {"learning_rate": 0.1, "first_cycle": None, "halve_from": None})
    assert recipe.rate(0.9) == 0.1
    assert recipe.batch_size == 128
    assert recipe_of("lorentznet", "pfn") == recipe_of("pfn")
    assert recipe_of("unheard-of") == recipe_of("lorentznet")
    own = Recipe(learning_rate=3.0)
    assert recipe_of("pfn", own) is own


@pytest.mark.parametrize(
    "bad",
    [{"learning_rat": 1.0}, {"learning_rate": -1}, {"optimizer": "lion"}, "lion", 3, [], {"first_cycle": 1e-300}],
)
def test_refused(bad):
    with pytest.raises(TaggerError, match="expected"):
        recipe_of("lorentznet", bad)


@pytest.mark.parametrize("name", Recipe.model_fields)
def test_values_of_every_type(name):
    """Whatever a recipe holds, it is refused in words or has finite rates, soon."""
    for value in HOSTILE:
        try:
            recipe = recipe_of("lorentznet", {name: value})
        except TaggerError:
            continue
        assert all(math.isfinite(recipe.rate(progress)) for progress in (0.0, 0.3, 1.0))

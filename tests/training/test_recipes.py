"""Recipes: the papers' optimisers and schedules, scaled, replaced, refused."""

from __future__ import annotations

import math

import pytest

from coffea_equitag import TaggerError, models
from coffea_equitag.training import Recipe, recipe_of
from coffea_equitag.training.recipes import RECIPES, variant_of
from faults.hostile import HOSTILE


def rate(epoch: float) -> float:
    return recipe_of("lorentznet").rate(epoch / 35)


def rates(kind: str, *epochs: float) -> list[float]:
    recipe = recipe_of(kind)
    return [recipe.rate(epoch / recipe.epochs) for epoch in epochs]


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


def test_pelican_as_published():
    recipe = recipe_of("pelican")
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("adamw", 2.5e-3, 5e-3)
    assert (recipe.batch_size, recipe.epochs, recipe.max_constituents) == (64, 35, 80)
    assert models.build("pelican", size="3k").options["dropout"] == 0.025
    # warm-up over 4 epochs, cosines of 4, 8 and 16 down to 1e-6, whose last value is halved in each of 3 epochs
    assert rates("pelican", 2, 4, 8, 16) == pytest.approx([1.25e-3, 2.5e-3, 2.5e-3, 2.5e-3])
    assert rates("pelican", 6, 12, 24) == pytest.approx([(2.5e-3 + 1e-6) / 2] * 3)
    assert rates("pelican", 32.5, 33.5, 34.5) == pytest.approx([1e-6 / 2, 1e-6 / 4, 1e-6 / 8])


def test_pelican_for_momenta():
    recipe = recipe_of("pelican", options={"output": "momentum"})
    assert (recipe.batch_size, recipe.max_constituents) == (128, 100)
    assert recipe.rate(0.3) == recipe_of("pelican").rate(0.3)


def test_lgn_as_published():
    recipe = recipe_of("lgn")
    assert (recipe.optimizer, recipe.weight_decay, recipe.batch_size, recipe.epochs) == ("amsgrad", 0, 8, 53)
    # one cosine from 1e-3 to 1e-5
    assert rates("lgn", 0, 26.5) == pytest.approx([1e-3, (1e-3 + 1e-5) / 2])
    assert rates("lgn", 53 - 1e-6) == pytest.approx([1e-5])


def test_particlenet_as_published():
    recipe = recipe_of("particlenet")
    assert (recipe.optimizer, recipe.weight_decay, recipe.batch_size, recipe.epochs) == ("adamw", 1e-4, 384, 20)
    assert rates("particlenet", 0, 4, 8, 12, 16, 20) == pytest.approx([3e-4, 1.65e-3, 3e-3, 1.65e-3, 3e-4, 5e-7])
    lite = recipe_of("particlenet", options={"lite": True})
    assert lite.batch_size == 1024
    assert [lite.rate(e / 20) for e in (0, 8, 16, 20)] == pytest.approx([5e-4, 5e-3, 5e-4, 1e-6])


@pytest.mark.parametrize("kind", ["pfn", "vector_pfn", "tensor_pfn"])
def test_pfn_is_constant(kind):
    recipe = recipe_of(kind)
    assert (recipe.optimizer, recipe.weight_decay, recipe.batch_size) == ("adam", 0, 500)
    assert recipe.rate(0) == recipe.rate(0.37) == recipe.rate(1) == 1e-3


def test_every_network_has_a_recipe_that_says_where_it_is_from():
    assert set(models.names()) <= set(RECIPES)
    assert all(recipe.reference for recipe in RECIPES.values())
    # what is not from a paper says so
    stated = {name for name, recipe in RECIPES.items() if recipe.reference.startswith("default of this package")}
    assert stated == {"lgatr_slim", "lloca_transformer", "lorentznet_base", "vector_pfn", "tensor_pfn"}


def test_variants():
    assert variant_of("particlenet", {"lite": True}) == "particlenet_lite"
    assert variant_of("particlenet", {"lite": False}) == "particlenet"
    assert variant_of("lgn", {"output": "momentum"}) == "lgn"
    assert variant_of("unheard-of", {}) == "unheard-of"


def test_schedule_is_of_the_fraction():
    # whatever the number of epochs, a seventh of them warms up
    assert recipe_of("lorentznet").rate(1 / 14) == pytest.approx(5e-4)


def test_points_are_interpolated():
    flat = Recipe(epochs=10, learning_rate=2.0, points=((7, 1), (10, 0.01)), interpolation="exponential")
    assert [flat.rate(p) for p in (0, 0.5, 0.7)] == [2, 2, 2]
    assert flat.rate(0.85) == pytest.approx(2 * 0.1)
    assert flat.rate(1) == pytest.approx(2 * 0.01)
    assert Recipe(epochs=10, learning_rate=2.0, points=((7, 1), (10, 0))).rate(0.85) == pytest.approx(1)


def test_values_replaced():
    recipe = recipe_of("lorentznet", {"learning_rate": 0.1, "first_cycle": None, "halve_from": None})
    assert recipe.rate(0.9) == 0.1
    assert recipe.batch_size == 128
    assert recipe_of("lorentznet", "pfn") == recipe_of("pfn")
    assert recipe_of("unheard-of") == recipe_of("lorentznet")
    # cycles take the place of a recipe's points
    cosine = recipe_of("particlenet", {"warmup": 0, "first_cycle": 20, "halve_from": None, "learning_rate": 2.0})
    assert cosine.rate(0.5) == pytest.approx(1.0)
    assert recipe_of("particlenet", {"learning_rate": 2.0}).points == recipe_of("particlenet").points
    own = Recipe(learning_rate=3.0)
    assert recipe_of("pfn", own) is own


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rat": 1.0},
        {"learning_rate": -1},
        {"optimizer": "lion"},
        "lion",
        3,
        [],
        {"first_cycle": 1e-300},
        {"points": ()},
        {"points": ((3, 1), (2, 1))},
        {"points": ((0, 2),)},
        {"points": ((0, 0), (1, 1)), "interpolation": "exponential"},
        {"ema": 1},
        {"label_smoothing": 1},
        {"accumulate": 0},
        {"patience": 0},
    ],
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

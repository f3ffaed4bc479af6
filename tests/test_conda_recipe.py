"""The recipe for conda-forge asks for what pyproject.toml asks for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

#: Name on PyPI -> that on conda-forge, where they differ.
NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "pythia8mc": "pythia8"}

#: Extras of developers, and Triton, which conda-forge's pytorch brings itself.
LEFT_OUT = {"test", "docs", "dev", "all", "gpu"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def recipe():
    return yaml.safe_load((ROOT / "conda-forge" / "recipe.yaml").read_text())


def on_conda(requirements):
    found = [Requirement(one) for one in requirements]
    return {(NAMES.get(one.name, one.name), str(one.specifier)) for one in found if one.name != "coffea-equitag"}


def of_recipe(lines):
    named = [line.partition(" ") for line in lines]
    return {(name, str(Requirement(f"x{bounds}").specifier)) for name, _, bounds in named if name != "python"}


def test_requirements(project, recipe):
    assert of_recipe(recipe["requirements"]["run"]) == on_conda(project["dependencies"])
    extras = [one for name, lines in project["optional-dependencies"].items() if name not in LEFT_OUT for one in lines]
    assert of_recipe(recipe["requirements"]["run_constraints"]) == on_conda(extras)
    assert recipe["context"]["python_min"] == project["requires-python"].removeprefix(">=")


def test_command_and_build(project, recipe):
    (command,) = recipe["build"]["python"]["entry_points"]
    assert command == "equitag = " + project["scripts"]["equitag"]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert on_conda(build) <= of_recipe([line for line in recipe["requirements"]["host"] if " " in line])

"""Warnings are errors where our modules cause them, and are only shown where libraries do: pyproject.toml's filters."""

from __future__ import annotations

import warnings

import numba
import numpy as np
import pytest

import coffea_equitag.jets.kinematics

SITE = "/usr/lib/python3/site-packages"


@pytest.mark.parametrize(
    "module",
    [
        "coffea_equitag",
        "coffea_equitag.kernels.pfn.cpu.forward",
        "tests.kernels.test_pfn_cpu",
        "tests.conftest",
        "networks",
        "conftest",
        f"{SITE}/coffea_equitag/jets/kinematics",
        "/home/someone/coffea-equitag/src/coffea_equitag/compiled",
        "/home/someone/coffea-equitag/tests/test_jets",
    ],
)
def test_ours_are_errors(module):
    with pytest.raises(PendingDeprecationWarning, match="old"):
        warnings.warn_explicit("old", PendingDeprecationWarning, "file.py", 1, module)


@pytest.mark.parametrize(
    "module",
    [
        "ast",
        "triton.compiler.code_generator",
        "numpy.lib.tests.test_io",
        "coffea.nanoevents.trace",
        f"/home/someone/coffea_equitag/.venv{SITE}/torch/nn/modules/module",
        "testsuite",
    ],
)
@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning, SyntaxWarning, ResourceWarning, UserWarning])
def test_those_of_libraries_are_shown(module, category):
    with warnings.catch_warnings(record=True) as shown:
        warnings.warn_explicit("of another version", category, "file.py", 1, module)
    assert [warning.category for warning in shown] == [category]


def test_planted_in_a_module_of_ours():
    """What numpy says of arithmetic, and what a library says to its caller, is said to our module."""
    ours = vars(coffea_equitag.jets.kinematics) | {"warn": warnings.warn, "np": np}
    exec("def retired(): warn('retired', DeprecationWarning, stacklevel=2)", library := {"warn": warnings.warn})
    exec("def divide(): return np.ones(1) / np.zeros(1)\ndef call(retired): retired()", ours)
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        ours["divide"]()
    with pytest.raises(DeprecationWarning, match="retired"):
        ours["call"](library["retired"])


def test_arithmetic_that_libraries_do_for_us():
    with pytest.raises(RuntimeWarning, match="Mean of empty slice"):
        np.mean(np.ones(0))


def test_what_numba_says_of_a_function():
    """It warns from modules of its own, and names the file of the function."""

    def unused(x):
        return x + 1.0

    compiled = numba.njit(parallel=True)(unused)
    with pytest.raises(numba.NumbaPerformanceWarning, match="no transformation for parallel execution"):
        compiled(1.0)

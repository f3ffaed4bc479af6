"""Tests of kernels: those marked ``gpu`` run on a GPU, or in Triton's interpreter."""

from __future__ import annotations

import pytest

from gpu import UNAVAILABLE, needs_gpu
from kernel_forms import needs_vectors


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of GPU kernels where they cannot run; test_gpu_interpreter runs them in Triton's interpreter."""
    if UNAVAILABLE and item.get_closest_marker("gpu"):
        pytest.skip(UNAVAILABLE)


@pytest.fixture(params=[pytest.param("cpu", marks=needs_vectors), pytest.param("gpu", marks=needs_gpu)])
def backend(request: pytest.FixtureRequest) -> str:
    """The kernels under test, ``"cpu"`` or ``"gpu"``; `gpu.device_of` gives the device of their tensors."""
    return request.param

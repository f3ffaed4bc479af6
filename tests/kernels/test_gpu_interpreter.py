from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
#: The folders of these tests, in three parts: all GPU kernels in one process take minutes.
PLACES = sorted({path.parent.relative_to(HERE).as_posix() for path in HERE.rglob("test_*.py")})
PARTS = [PLACES[k::3] for k in range(3)]


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="this is the interpreter")
def test_gpu_kernels_in_the_interpreter(part):
    """Every test marked ``gpu`` that needs no speed, on the CPU."""
    triton = pytest.importorskip("triton", reason="Triton is not installed")
    if triton.__version__ < "3.7" and np.__version__ >= "2.4":
        pytest.skip("the interpreter of Triton < 3.7 fails with NumPy ≥ 2.4")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: the kernels are tested on it")
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    settings = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    files = [str(path) for folder in part for path in sorted((HERE / folder).glob("test_*.py"))]
    command = [*pytest_here, "-m", "gpu", *files]
    done = subprocess.run(command, env=settings, cwd=HERE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout

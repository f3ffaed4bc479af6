"""malloc keeps what a step frees, and only while a training runs."""

from __future__ import annotations

import ctypes

import pytest
import torch

from coffea_equitag import fit, models
from coffea_equitag.training.loop import malloc
from coffea_equitag.training.loop.malloc import retained_memory
from coffea_equitag.training.loop.module import Training

LIBC = malloc._glibc()
BLOCK = 64 << 20

pytestmark = pytest.mark.skipif(not hasattr(LIBC, "mallinfo2"), reason="needs glibc 2.33 or later")


class MallInfo(ctypes.Structure):
    """struct mallinfo2."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


def is_apart():
    """Whether malloc takes a large block directly from the system."""
    LIBC.mallinfo2.restype = MallInfo
    LIBC.malloc.restype, LIBC.malloc.argtypes, LIBC.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    before = LIBC.mallinfo2().hblkhd
    block = LIBC.malloc(BLOCK)
    apart = LIBC.mallinfo2().hblkhd - before >= BLOCK
    LIBC.free(block)
    return apart


def test_large_blocks_come_from_the_heap():
    assert is_apart()
    with retained_memory() as retained:
        assert retained
        assert not is_apart()
    assert is_apart()


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    with retained_memory() as retained:
        assert not retained
        assert is_apart()


def test_fit_retains(tmp_path, toy, monkeypatch):
    found, step = [], Training.training_step

    def watched(*arguments):
        found.append(is_apart())
        return step(*arguments)

    monkeypatch.setattr(Training, "training_step", watched)
    torch.manual_seed(1)
    fit(models.build("pfn", phi=(6,), f=(6,)), toy(40), out=tmp_path / "run", epochs=1, device="cpu", progress=False)
    assert found == [False]
    assert is_apart()

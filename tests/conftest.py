"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real jets, real files and parity fixtures; they are not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: real jets and parity fixtures are not part of the repository")
    return SHARED

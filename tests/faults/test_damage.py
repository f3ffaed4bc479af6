"""Damaged and foreign files of every format end in one of our errors, which names the file: ``nox -s faults`` for more.

`damage` says what is done to the files, `formats` which they are, `worker` what counts as which outcome.
"""

from __future__ import annotations

import sys

import pytest

from faults.formats import FORMATS
from faults.supervisor import ALLOWED, Try, tries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers measure their memory in /proc")


@pytest.fixture(scope="module")
def outcomes() -> list[Try]:
    """Each fault once for each format."""
    return list(tries({name: len(kind.faults) for name, kind in FORMATS.items()}))


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_ends_in_our_error(outcomes, name):
    found = [one for one in outcomes if one.format == name]
    assert tuple(one.fault for one in found) == FORMATS[name].faults
    assert [one for one in found if one.outcome not in ALLOWED] == []

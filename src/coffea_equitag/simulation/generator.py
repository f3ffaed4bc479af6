"""Pythia 8 events as awkward arrays, a batch at a time."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import awkward as ak
import numpy as np

from ..errors import EquitagError, explain

__all__ = ["Generator", "pythia_module"]

#: Largest seed that Pythia accepts.
MAX_SEED = 900_000_000

#: Events per batch: a full event record is about half a megabyte.
BATCH = 200


def pythia_module() -> Any:
    """Import ``pythia8mc``.

    Raises
    ------
    EquitagError
        If it is not installed.
    """
    try:
        return importlib.import_module("pythia8mc")
    except ImportError as error:
        raise EquitagError(
            explain(
                f"simulation needs pythia8mc, which cannot be imported ({error})",
                "pythia8mc 8.312 or newer, below 8.318",
                "pip install 'coffea-equitag[simulate]'",
            )
        ) from error


class Generator:
    """A Pythia run with its own random numbers.

    Parameters
    ----------
    settings : iterable of str
        Lines that Pythia's ``readString`` takes.
    seed : int
        Seed of the random numbers, 1 to 900 000 000.
    veto : UserHooks, optional
        Vetoes events while they are generated.

    Raises
    ------
    EquitagError
        If Pythia is missing, refuses a setting, or cannot start with them.
    """

    def __init__(self, settings: Iterable[str], seed: int, veto: Any = None) -> None:
        self._pythia = pythia_module().Pythia("", False)
        self._veto = veto  # Pythia does not keep it alive
        if veto is not None:
            self._pythia.setUserHooksPtr(veto)
        lines = ["Print:quiet = on", *settings, "Random:setSeed = on", f"Random:seed = {seed}"]
        for line in lines:
            if not self._pythia.readString(line):
                raise EquitagError(explain(f"Pythia refuses {line!r}", "a Pythia 8 setting", "see pythia.org's manual"))
        if not self._pythia.init():
            raise EquitagError(
                explain("Pythia did not start", "settings that are consistent", f"check {lines} and Pythia's output")
            )

    def batch(self, size: int) -> ak.Array:
        """The next events.

        Returns
        -------
        ak.Array
            ``[event]`` records of ``prt`` (``[event][particle]``: id, status, mother1, p, m, ...; GeV) and ``info``.
        """
        return self._pythia.nextBatch(size)

    @property
    def generated(self) -> int:
        """Events so far, including vetoed ones."""
        return int(self._pythia.infoPython().nSelected())

    @property
    def cross_section_pb(self) -> float:
        """Cross-section of the processes so far, pb, before the veto and any selection."""
        info = self._pythia.infoPython()
        # Pythia's own figure counts only accepted events
        return float(info.sigmaGen()) * 1e9 * int(info.nSelected()) / max(int(info.nAccepted()), 1)

    def charges(self, pdg_ids: ak.Array) -> ak.Array:
        """Electric charge, in units of e, of every PDG code."""
        codes, inverse = np.unique(ak.to_numpy(ak.flatten(pdg_ids)), return_inverse=True)
        table = np.array([round(self._pythia.particleData.charge(int(code))) for code in codes], np.int32)
        return ak.unflatten(table[inverse], ak.num(pdg_ids))

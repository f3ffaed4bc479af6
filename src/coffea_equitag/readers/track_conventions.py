"""Signs and units of track parameters in other formats, relative to the canonical columns.

Canonical is the sign of Delphes' D0: the point of closest approach is (d0 sin φ, −d0 cos φ, dz), in mm.
"""

from __future__ import annotations

__all__ = ["D0_SIGNS", "MILLIMETRES"]

#: Convention -> factor from its d0 to ours. ``"delphes"``: d0 = (x py − y px) / pT, also of JetClass. ``"cms"``: dxy =
#: (y px − x py) / pT, whatever the column is called. ``"perigee"``: the point is (−d0 sin φ, d0 cos φ), as in ATLAS
#: and in LCIO's and EDM4hep's track states.
D0_SIGNS = {"delphes": 1.0, "cms": -1.0, "perigee": -1.0}

#: Unit -> its length in mm.
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3}

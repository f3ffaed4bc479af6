"""The sizes of PELICAN, and which of its options go together."""

from __future__ import annotations

from typing import Any

from ..errors import TaggerError, explain
from ..layers.broken_symmetry import SYMMETRIES

__all__ = ["SIZES", "check_options"]

#: Channels of the equivariant layers, of the messages, and of the embedded scalars.
SIZES = {
    "3k": (11, 7, 7),
    "6k": (16, 10, 10),
    "11k": (25, 15, 10),
    "24k": (42, 25, 10),
    "48k": (60, 35, 10),
    "208k": (132, 78, 10),
}


def check_options(options: dict[str, Any]) -> None:
    """Raise a `TaggerError` for options of `PELICAN` that are none, or do not go together."""
    for name, known in (
        ("symmetry", tuple(SYMMETRIES)),
        ("method", ("spurions", "input")),
        ("output", ("classes", "momentum")),
        ("aggregation", ("mean", "sum")),
    ):
        if options[name] not in known:
            raise TaggerError(
                explain(f"{name} = {options[name]!r}", f"one of {', '.join(known)}", "check the spelling")
            )
    size = options["size"]
    if isinstance(size, str) and size not in SIZES:
        raise TaggerError(
            explain(
                f"size = {size!r}",
                f"one of {', '.join(SIZES)}",
                "or give the channels of the layers, the messages and the scalars, e.g. size=(25, 15, 10)",
            )
        )
    if not isinstance(size, str) and not (len(size) == 3 and min(size) > 0 and size[0] > size[2]):
        raise TaggerError(
            explain(f"size = {size}", "three positive numbers, the first above the third", "e.g. size=(25, 15, 10)")
        )
    if not options["irc_safe"]:
        return
    if options["method"] == "input" and options["symmetry"] != "so13":
        raise TaggerError(
            explain(
                f"irc_safe with the input method and symmetry {options['symmetry']!r}",
                "inputs that are angles only",
                "use method='spurions', or symmetry='so13'",
            )
        )
    if options["aggregation"] == "mean":
        raise TaggerError(
            explain(
                "irc_safe with means over constituents", "aggregation='sum'", "the multiplicity is not safe: use sums"
            )
        )

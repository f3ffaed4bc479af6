"""The sizes of PELICAN, and which of its options go together."""

from __future__ import annotations

from typing import Any, Literal

from ..errors import TaggerError, explain

__all__ = ["SIZES", "Size", "check_combination"]

Size = Literal["3k", "6k", "11k", "24k", "48k", "208k"]

#: Channels of the equivariant layers, of the messages, and of the embedded scalars.
SIZES: dict[Size, tuple[int, int, int]] = {
    "3k": (11, 7, 7),
    "6k": (16, 10, 10),
    "11k": (25, 15, 10),
    "24k": (42, 25, 10),
    "48k": (60, 35, 10),
    "208k": (132, 78, 10),
}


def check_combination(options: dict[str, Any]) -> None:
    """Raise a `TaggerError` for options of `PELICAN` that do not go together, or a size that cannot be."""
    size = options["size"]
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

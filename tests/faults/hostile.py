"""JSON values of every type, as a card, a run or a command line may hold them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

__all__ = ["HOSTILE", "hostile"]

#: Values that are wrong almost everywhere.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 3, 0.5, -0.0, 10**9, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "x" * 10**5,
    "\0", "../../etc", [], [[]], [10**9], [-1], [1] * 10**5, [None], ["so13"], {}, {"a": {"b": [1]}},
]  # fmt: skip


def hostile(content: bytes, rng: np.random.Generator) -> bytes:
    """A JSON file in which one value, at any depth, is replaced by one of `HOSTILE`."""
    tree = {"": json.loads(content)}
    places = list(_places(tree))
    parent, key = places[int(rng.integers(len(places)))]
    parent[key] = HOSTILE[int(rng.integers(len(HOSTILE)))]
    return json.dumps(tree[""]).encode()


def _places(tree: Any) -> Any:
    """All values in a tree, as containers and keys or indices."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])

"""Network inputs: invariants and features of constituents, computed by numba on awkward's buffers."""

from .gram import gram
from .minkowski import dot, pair_offsets, pairwise_dot, pairwise_products
from .weaver_variables import kinematic_features

__all__ = ["dot", "gram", "kinematic_features", "pair_offsets", "pairwise_dot", "pairwise_products"]

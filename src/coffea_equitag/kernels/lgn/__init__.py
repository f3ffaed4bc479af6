"""LGN's kernels."""

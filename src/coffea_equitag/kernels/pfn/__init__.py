"""PFN's kernels."""

"""Vector PFN and Tensor PFN's kernels."""

"""Kernels for GPUs, in Triton, compiled on first use; Triton is imported with them and not before."""

"""LLoCa-Transformer's kernels for CPUs."""

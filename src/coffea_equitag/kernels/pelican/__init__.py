"""PELICAN's kernels."""

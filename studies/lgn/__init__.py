"""Covariant products of tensors: LGN and CLARIANT beside networks of like size."""

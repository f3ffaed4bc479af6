"""Lorentz-symmetric patches on networks without the symmetry, and controls."""

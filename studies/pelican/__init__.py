"""PELICAN: how the symmetry is broken, and how large the network is."""

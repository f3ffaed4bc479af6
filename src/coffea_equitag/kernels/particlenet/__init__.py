"""ParticleNet's kernels."""

"""LorentzNet's kernels."""

"""What several networks' kernels share."""

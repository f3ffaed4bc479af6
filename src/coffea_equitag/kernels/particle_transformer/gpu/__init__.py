"""Particle Transformer on GPUs."""

"""Rejection against the number of training jets, and against the cost of a score."""

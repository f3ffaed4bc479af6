"""Studies: networks trained on the same jets and compared, each from a folder with its configuration.

``python -m studies.networks`` simulates what is missing, trains what is not trained, and writes the results and their
page; interrupted, it goes on where it stopped. ``--scale 0.1`` does it all with a tenth of the jets.
"""
